/**
 * Tells the embedded broker which bytes of the vault its retention may not have yet: what no processor has accounted for,
 * and what is owed. Bytes under debt that retention took could never be repaid.
 *
 * The order of the two readings is the point. A processor commits an offset and the debt before it in one transaction:
 *   1. The committed offset C is read. 2. The ledger is read up to its end. Debt below C was committed with C or before, so it
 *      is in what is read, and the lower of the two is right.
 *   The other way round: 1. The ledger is read, no debt. 2. A processor commits debt [0, 9] and the offset 10. 3. The offset 10
 *      is read. Retention deletes below 10, and the debt with it.
 *
 * When anything of this fails, what was told before goes on holding: it can only be too much.
 */

import type { Timer } from '../core/clock.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { fetchCommittedOffsets } from '../kafka/group-offsets.ts'
import type { LedgerFold } from '../ledger/ledger-fold.ts'
import { ensureLedgerTopic, LedgerReader } from '../ledger/ledger-topic.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import { DEFAULT_STREAM_TOPICS, streamOf } from '../vault/stream-topics.ts'

/** Everything of a partition from `offset` on is held; with null nothing is. */
export interface VaultHold {
  readonly topic: string
  readonly partition: number
  readonly offset: number | null
}

interface PartitionOffset {
  readonly topic: string
  readonly partition: number
  /** Negative when nothing was committed. */
  readonly offset: number
}

export interface RetentionHoldsOptions {
  readonly cluster: KafkaCluster
  readonly diagnostics: Diagnostics
  readonly vaultTemplate: string
  /** The processors' group. */
  readonly groupId: string
  /** False when nobody here processes: a vault that no group ever read then obeys its retention alone. */
  readonly isProcessedHere: boolean
  /** Sends the holds to the broker. */
  readonly tell: (holds: readonly VaultHold[]) => Promise<unknown>
}

const TELL_INTERVAL_MS = 15_000
/** Waiting for open transactions in the ledger included; they are short, and what fails is tried again. */
const READ_MS_MAX = 20_000

export class RetentionHolds {
  readonly #options: RetentionHoldsOptions
  readonly #ledger: LedgerReader
  #timer: Timer | null = null
  #telling: Promise<void> = Promise.resolve()
  #isStopped = false

  private constructor(options: RetentionHoldsOptions) {
    this.#options = options
    this.#ledger = new LedgerReader(options.cluster, options)
  }

  /** Begins to tell; the first time is at once, in the background. */
  static start(options: RetentionHoldsOptions): RetentionHolds {
    const holds = new RetentionHolds(options)
    holds.#telling = holds.#tellAndGoOn()
    return holds
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await this.#ledger.stop()
    await this.#telling
  }

  async #tellAndGoOn(): Promise<void> {
    const { cluster, diagnostics, tell } = this.#options
    try {
      const holds = await this.#look()
      if (!this.#isStopped && holds.length > 0) await tell(holds)
    } catch (error) {
      if (!this.#isStopped) {
        diagnostics.debug({ error }, 'retention was not told how far it may go; it keeps to what it was told')
      }
    }
    if (this.#isStopped) return
    this.#timer = cluster.clock.after(TELL_INTERVAL_MS, () => {
      this.#telling = this.#tellAndGoOn()
    })
  }

  async #look(): Promise<VaultHold[]> {
    const { cluster, vaultTemplate, groupId, isProcessedHere } = this.#options
    const templates = { ...DEFAULT_STREAM_TOPICS, vault: vaultTemplate }
    const topics = (await cluster.listTopics()).filter(({ name }) => streamOf(name, templates) !== null)
    if (topics.length === 0) return []
    await ensureLedgerTopic(cluster)
    const committed = await fetchCommittedOffsets(cluster, groupId, null, { deadlineMs: READ_MS_MAX })
    await this.#ledger.catchUp({ timeoutMs: READ_MS_MAX })
    const isProcessed = isProcessedHere || committed.length > 0
    return holdsOf(topics, { committed, ledger: this.#ledger.fold, isProcessed })
  }
}

/** What each partition of the vault has to be held from. `committed` must have been read before the ledger. */
export function holdsOf(
  topics: readonly { readonly name: string; readonly partitionCount: number }[],
  {
    committed,
    ledger,
    isProcessed,
  }: {
    readonly committed: readonly PartitionOffset[]
    readonly ledger: Pick<LedgerFold, 'partitions' | 'booksOf'>
    readonly isProcessed: boolean
  },
): VaultHold[] {
  const offsets = new Map(committed.map(({ topic, partition, offset }) => [keyOf(topic, partition), offset]))
  const owedFrom = new Map<string, number>()
  for (const partition of ledger.partitions()) {
    const open = ledger.booksOf(partition).find(({ state }) => state === 'open')
    if (open === undefined) continue
    const key = keyOf(partition.topic, partition.partition)
    owedFrom.set(key, Math.min(open.first, owedFrom.get(key) ?? Number.POSITIVE_INFINITY))
  }
  return topics.flatMap(({ name: topic, partitionCount }) =>
    Array.from({ length: partitionCount }, (_, partition): VaultHold => {
      const key = keyOf(topic, partition)
      const owed = owedFrom.get(key)
      if (!isProcessed && owed === undefined) return { topic, partition, offset: null }
      // A partition that was never committed has nothing accounted for yet.
      const accounted = isProcessed ? Math.max(0, offsets.get(key) ?? 0) : Number.POSITIVE_INFINITY
      return { topic, partition, offset: Math.min(accounted, owed ?? Number.POSITIVE_INFINITY) }
    }),
  )
}

const keyOf = (topic: string, partition: number): string => `${topic}/${partition}`
