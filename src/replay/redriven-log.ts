/**
 * Which dead letters were sent back, as which record: the topic `gophership.redriven`. Producers cannot write there, so this,
 * and no header of a record, is what an attempt is counted by.
 *
 * A redrive writes the record and its entry here in one transaction, so a letter whose record is in the vault again is known
 * to be, whatever was killed in between.
 */

import type { KafkaCluster } from '../kafka/cluster.ts'
import { TopicReader } from '../kafka/topic-reader.ts'

export const REDRIVEN_TOPIC = 'gophership.redriven'

/** Where a record lies. */
export interface RecordPlace {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export interface Redriven {
  /** The letter, in the dead-letter topic. */
  readonly letter: RecordPlace
  /** The record that was sent back, in the vault. */
  readonly record: RecordPlace
  /** Which attempt had ended with the letter, from 1. */
  readonly attempt: number
  readonly redrivenMs: number
}

export const formatPlace = ({ topic, partition, offset }: RecordPlace): string =>
  `${topic}:${partition}:${offset}`

/** Parses `topic:partition:offset`; null for anything else. */
export function parsePlace(text: string): RecordPlace | null {
  const found = /^([a-zA-Z0-9._-]+):(\d{1,9}):(\d{1,15})$/.exec(text)
  return found === null
    ? null
    : { topic: found[1] ?? '', partition: Number(found[2]), offset: Number(found[3]) }
}

export async function ensureRedrivenTopic(cluster: KafkaCluster): Promise<void> {
  await cluster.ensureTopic(REDRIVEN_TOPIC, { partitionCount: 1, configs: { 'cleanup.policy': 'delete' } })
}

/** The entry as a record of the topic. */
export function encodeRedriven(entry: Redriven): { readonly key: Buffer; readonly value: Buffer } {
  return {
    key: Buffer.from(formatPlace(entry.letter)),
    value: Buffer.from(JSON.stringify({ version: 1, ...entry })),
  }
}

export class RedrivenLog {
  readonly #byLetter = new Map<string, Redriven>()
  readonly #attempts = new Map<string, number>()

  /** Reads what there is; empty where nothing was ever sent back. */
  static async read(cluster: KafkaCluster, signal?: AbortSignal): Promise<RedrivenLog> {
    const log = new RedrivenLog()
    if (!(await cluster.refreshMetadata([REDRIVEN_TOPIC])).topics.has(REDRIVEN_TOPIC)) return log
    const reader = new TopicReader(cluster, {
      topic: REDRIVEN_TOPIC,
      onRecord: ({ value }) => {
        const entry = value === null ? null : decodeRedriven(value)
        if (entry !== null) log.add(entry)
      },
    })
    try {
      await reader.catchUp(signal === undefined ? {} : { signal })
    } finally {
      await reader.stop()
    }
    return log
  }

  add(entry: Redriven): void {
    this.#byLetter.set(formatPlace(entry.letter), entry)
    this.#attempts.set(formatPlace(entry.record), entry.attempt)
  }

  /** What became of a letter; null when it was not sent back. */
  of(letter: RecordPlace): Redriven | null {
    return this.#byLetter.get(formatPlace(letter)) ?? null
  }

  /** Which attempt a letter about this vault record ended: 1 for a record that came from a producer. */
  attemptOf(record: RecordPlace): number {
    return (this.#attempts.get(formatPlace(record)) ?? 0) + 1
  }
}

/** Null for what is not ours: a line of somebody with a tool does not stop a redrive. */
function decodeRedriven(value: Buffer): Redriven | null {
  try {
    const found = JSON.parse(value.toString('utf8')) as Partial<Redriven>
    const { letter, record, attempt, redrivenMs } = found
    if (!isPlace(letter) || !isPlace(record)) return null
    if (!Number.isSafeInteger(attempt) || !Number.isFinite(redrivenMs)) return null
    return { letter, record, attempt: attempt as number, redrivenMs: redrivenMs as number }
  } catch {
    return null
  }
}

const isPlace = (place: RecordPlace | undefined): place is RecordPlace =>
  typeof place?.topic === 'string' &&
  Number.isSafeInteger(place.partition) &&
  Number.isSafeInteger(place.offset)
