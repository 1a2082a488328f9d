/**
 * Sends dead letters back: each becomes a new record at the end of the vault partition it came from, with the key, value,
 * headers and time that its producer gave it. What the processors then make of it is what they make of any record.
 *
 * The letter stays where it is, and so does the outcome of its first record: dead-lettered. The new record has an outcome of
 * its own, so an audit finds exactly one for each of the two. That the one came from the other is written to
 * `redriven-log.ts`, in the same transaction: a letter is sent back once, however often a redrive is killed and begun again.
 */

import { BatchEncoder, type EncodedHeaders, encodeHeaders } from '../batch/batch-encoder.ts'
import { COMPRESSION } from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'
import type { RecordHeader } from '../batch/record-headers.ts'
import type { Clock } from '../core/clock.ts'
import { BATCH_BYTES_MAX, BATCH_INFLATED_BYTES_MAX } from '../core/limits.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { listOffsets } from '../kafka/offsets.ts'
import { batchesOf, scanPartitions } from '../kafka/partition-scan.ts'
import { TransactionalProducer } from '../kafka/transactional-producer.ts'
import type { DeadLetter } from './dead-letters.ts'
import {
  encodeRedriven,
  ensureRedrivenTopic,
  REDRIVEN_TOPIC,
  type RecordPlace,
  type Redriven,
  RedrivenLog,
} from './redriven-log.ts'

/** Why a letter was not sent back. */
export type RedriveRefusal =
  /** It was, by this or an earlier redrive. */
  | 'already-redriven'
  /** It is a batch whose records nobody could read: they would end here again. */
  | 'undecodable-batch'
  /** It says a topic that is no vault topic of this configuration. */
  | 'not-in-vault'
  /** It has no value of its own, and the vault no longer has it. */
  | 'bytes-gone'
  /** The vault took it in a batch that was compressed better than we can. */
  | 'too-large'

export interface RedriveOptions {
  readonly clock: Clock
  /** True for the vault's topics. */
  readonly isVaultTopic: (topic: string) => boolean
  /** Send back also what was sent back before. */
  readonly isAgain: boolean
  /** Called for each letter, when it is decided; for one that was sent back, after its transaction. */
  readonly onDecided?: (letter: DeadLetter, outcome: Redriven | RedriveRefusal) => void
}

/** One redrive at a time: a newer one ends the older, which would not see what the newer sends. */
const TRANSACTIONAL_ID = 'gophership-redrive'
/** Letters in one transaction. */
const LETTERS_PER_TRANSACTION = 200
/** Bytes of their batches, about: well below what a producer holds. */
const BYTES_PER_TRANSACTION = 16 * 1024 * 1024
/** Several records share a batch up to this size; a larger one has its own, which is compressed: it may have come so. */
const BATCH_BYTES_TARGET = 256 * 1024

interface SentBack {
  readonly letter: DeadLetter
  readonly record: VaultRecord
  /** Its headers as they are encoded. */
  readonly headers: EncodedHeaders
  /** The batch that it has to itself; null when it may share one. */
  readonly own: Buffer | null
}

interface VaultRecord {
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
}

export class Redrive {
  readonly redriven: RedrivenLog
  readonly #cluster: KafkaCluster
  readonly #options: RedriveOptions
  readonly #producer: TransactionalProducer

  private constructor(
    cluster: KafkaCluster,
    options: RedriveOptions,
    opened: { producer: TransactionalProducer; redriven: RedrivenLog },
  ) {
    this.#cluster = cluster
    this.#options = options
    this.#producer = opened.producer
    this.redriven = opened.redriven
  }

  /** Ends whatever another redrive has open, and only then reads what was sent back. */
  static async open(cluster: KafkaCluster, options: RedriveOptions): Promise<Redrive> {
    await ensureRedrivenTopic(cluster)
    const producer = new TransactionalProducer(cluster, { transactionalId: TRANSACTIONAL_ID })
    try {
      await producer.init()
      return new Redrive(cluster, options, { producer, redriven: await RedrivenLog.read(cluster) })
    } catch (error) {
      await producer.stop()
      throw error
    }
  }

  /** Sends letters back, or says of each why not. */
  async send(letters: readonly DeadLetter[]): Promise<void> {
    let ready: SentBack[] = []
    let bytes = 0
    const sendReady = async () => {
      const together = ready
      ready = []
      bytes = 0
      if (together.length > 0) await this.#sendTogether(together)
    }
    for (const letter of letters) {
      const one = refusalOf(letter, this.redriven, this.#options) ?? (await this.#prepare(letter))
      if (typeof one === 'string') {
        this.#options.onDecided?.(letter, one)
        continue
      }
      ready.push(one)
      bytes += one.own?.length ?? payloadBytesOf(one)
      if (ready.length >= LETTERS_PER_TRANSACTION || bytes >= BYTES_PER_TRANSACTION) await sendReady()
    }
    await sendReady()
  }

  stop(): Promise<void> {
    return this.#producer.stop()
  }

  async #sendTogether(ready: readonly SentBack[]): Promise<void> {
    const producer = this.#producer
    producer.begin()
    try {
      const groups = Map.groupBy(ready, ({ letter }) => `${letter.facts.topic}/${letter.facts.partition}`)
      const sent = await Promise.all([...groups.values()].flatMap((group) => this.#sendGroup(group)))
      const redrivenMs = this.#options.clock.wallMs()
      const entries = sent.flat().map(({ letter, record }) => {
        const place = { topic: letter.topic, partition: letter.partition, offset: letter.offset }
        return { letter, entry: { letter: place, record, attempt: letter.attempt, redrivenMs } }
      })
      const encoder = new BatchEncoder()
      encoder.start()
      for (const { entry } of entries) {
        const { key, value } = encodeRedriven(entry)
        encoder.append(redrivenMs, key, value)
      }
      await producer.send(REDRIVEN_TOPIC, 0, encoder.finish())
      await producer.commit()
      for (const { letter, entry } of entries) {
        this.redriven.add(entry)
        this.#options.onDecided?.(letter, entry)
      }
    } catch (error) {
      await producer.abort().catch(() => {})
      throw error
    }
  }

  /** Batches of one vault partition; each resolves with where its records lie. */
  #sendGroup(group: readonly SentBack[]): Promise<{ letter: DeadLetter; record: RecordPlace }[]>[] {
    const { topic, partition } = (group[0] as SentBack).letter.facts
    return batchesFor(group).map(async ({ batch, members }) => {
      const { baseOffset } = await this.#producer.send(topic, partition, batch)
      return members.map(({ letter }, index) => ({
        letter,
        record: { topic, partition, offset: baseOffset + index },
      }))
    })
  }

  async #prepare(letter: DeadLetter): Promise<SentBack | RedriveRefusal> {
    const record = await this.#recordOf(letter)
    if (record === null) return 'bytes-gone'
    const prepared = { letter, record, headers: encodeHeaders(record.headers), own: null }
    if (payloadBytesOf(prepared) <= BATCH_BYTES_TARGET) return prepared
    const own = encodeAlone(prepared)
    return own.length <= BATCH_BYTES_MAX ? { ...prepared, own } : 'too-large'
  }

  async #recordOf(letter: DeadLetter): Promise<VaultRecord | null> {
    const { timestampMs, key, value, headers, facts } = letter
    if (facts.omitted === undefined) return { timestampMs, key, value, headers }
    return readVaultRecord(this.#cluster, facts)
  }
}

/** Why a letter cannot be sent back, as far as it says so itself; null when it can. */
export function refusalOf(
  letter: DeadLetter,
  redriven: RedrivenLog,
  { isAgain, isVaultTopic }: Pick<RedriveOptions, 'isAgain' | 'isVaultTopic'>,
): RedriveRefusal | null {
  if (!isVaultTopic(letter.facts.topic)) return 'not-in-vault'
  if (letter.facts.lastOffset !== undefined) return 'undecodable-batch'
  return !isAgain && redriven.of(letter) !== null ? 'already-redriven' : null
}

/** Batches of at most the target size, in order. */
function batchesFor(group: readonly SentBack[]): { batch: Buffer; members: SentBack[] }[] {
  const encoder = new BatchEncoder()
  const batches: { batch: Buffer; members: SentBack[] }[] = []
  let members: SentBack[] = []
  const finish = () => {
    if (members.length > 0) batches.push({ batch: Buffer.from(encoder.finish()), members })
    members = []
    encoder.start()
  }
  encoder.start()
  for (const one of group) {
    const { record, headers, own } = one
    if (own !== null || encoder.bytes + payloadBytesOf(one) > BATCH_BYTES_TARGET) finish()
    if (own !== null) {
      batches.push({ batch: own, members: [one] })
      continue
    }
    encoder.append(record.timestampMs, record.key, record.value, headers)
    members.push(one)
  }
  finish()
  return batches
}

type Prepared = Pick<SentBack, 'record' | 'headers'>

function encodeAlone({ record, headers }: Prepared): Buffer {
  const encoder = new BatchEncoder({ bytesMax: BATCH_INFLATED_BYTES_MAX + BATCH_BYTES_MAX })
  encoder.start({ compression: COMPRESSION.gzip })
  encoder.append(record.timestampMs, record.key, record.value, headers)
  return encoder.finish()
}

function payloadBytesOf({ record: { key, value }, headers }: Prepared): number {
  return (key?.length ?? 0) + (value?.length ?? 0) + headers.length
}

/** A record by its place in the vault; null when it is not there any more. */
async function readVaultRecord(
  cluster: KafkaCluster,
  { topic, partition, offset }: RecordPlace,
): Promise<VaultRecord | null> {
  const [first, last] = await listOffsets(cluster, [
    { topic, partition, at: 'earliest' },
    { topic, partition, at: 'latest' },
  ])
  if (offset < (first?.offset ?? 0) || offset >= (last?.offset ?? 0)) return null
  const cursor = new RecordCursor()
  let found: VaultRecord | null = null
  await scanPartitions(cluster, [{ topic, partition, from: offset, end: offset + 1 }], {
    onBatches: (fetched, range) => {
      for (const at of batchesOf(fetched, range)) {
        cursor.open(fetched.records, at)
        while (cursor.next()) {
          if (cursor.offset !== offset) continue
          found = {
            timestampMs: cursor.timestamp,
            key: cursor.keyBytes(),
            value: cursor.valueBytes(),
            headers: cursor.headers(),
          }
        }
        cursor.close()
      }
    },
  })
  return found
}
