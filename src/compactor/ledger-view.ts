/**
 * The ledger as the compactor needs it: followed all the time, and with the entries of the account `owed` as they were recorded,
 * one for each key. The books join entries that touch, and cut those that overlap (as a processor without transactions leaves
 * them when it does work again); to forget one, every key that it was written under has to go.
 */

import { GopherShipError } from '../core/errors.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { TopicReader } from '../kafka/topic-reader.ts'
import { type DebtEntry, type DebtPartition, partitionKey } from '../ledger/debt-entry.ts'
import type { DebtBooks } from '../ledger/debt-ranges.ts'
import { decodeDebtEntry, decodeDebtKey } from '../ledger/debt-record.ts'
import { LedgerFold } from '../ledger/ledger-fold.ts'
import { LEDGER_PARTITION, LEDGER_TOPIC } from '../ledger/ledger-topic.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'

/** Pause before following goes on after a failure. */
const FOLLOW_AGAIN_MS = 1_000

export class LedgerView {
  readonly #cluster: KafkaCluster
  readonly #diagnostics: Diagnostics
  readonly #reader: TopicReader
  readonly #fold = new LedgerFold()
  /** By partition, then by first offset; in the order of their records. */
  readonly #owed = new Map<string, Map<number, DebtEntry>>()
  readonly #owedVersions = new Map<string, number>()
  #unreadableCount = 0
  #isStopped = false

  constructor(cluster: KafkaCluster, { diagnostics }: { readonly diagnostics: Diagnostics }) {
    this.#cluster = cluster
    this.#diagnostics = diagnostics
    this.#reader = new TopicReader(cluster, {
      topic: LEDGER_TOPIC,
      partitions: [LEDGER_PARTITION],
      isolation: 'read_committed',
      onRecord: ({ key, value, offset }) => this.#apply(key, value, offset),
    })
  }

  /** Changes with every record of a partition's account `owed`. */
  owedVersionOf(partition: DebtPartition): number {
    return this.#owedVersions.get(partitionKey(partition)) ?? 0
  }

  /** Records that could not be understood and were passed over. */
  get unreadableCount(): number {
    return this.#unreadableCount
  }

  /** Reads everything that was committed, or was in an open transaction, when it was called. */
  catchUp(options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {}): Promise<void> {
    return this.#reader.catchUp(options)
  }

  /** Goes on reading what comes; a failure is told and waited out. */
  follow(): void {
    if (this.#isStopped) return
    this.#reader.follow({
      onError: (error) => {
        if (this.#isStopped) return
        this.#diagnostics.warn({ error, topic: LEDGER_TOPIC }, 'the ledger cannot be read; it is tried again')
        this.#cluster.clock.after(FOLLOW_AGAIN_MS, () => this.follow())
      },
    })
  }

  /** The partitions that have books. */
  partitions(): DebtPartition[] {
    return this.#fold.partitions()
  }

  /** Both accounts of a partition; `owed` with an entry for each key, in the order of their records. */
  recordedOf(partition: DebtPartition): { readonly owed: readonly DebtEntry[]; readonly repaid: DebtBooks } {
    const owed = [...(this.#owed.get(partitionKey(partition))?.values() ?? [])]
    return { owed, repaid: this.#fold.accountsOf(partition).repaid }
  }

  /** The books of a partition as the topic has them. */
  booksOf(partition: DebtPartition): DebtBooks {
    return this.#fold.booksOf(partition)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#reader.stop()
  }

  #apply(key: Buffer | null, value: Buffer | null, offset: number): void {
    try {
      if (key === null) throw new GopherShipError('GS_LEDGER_CORRUPT', 'a ledger record has no key')
      this.#fold.apply(key, value)
      this.#keep(key, value)
    } catch (error) {
      this.#unreadableCount++
      this.#diagnostics.error(
        { error, topic: LEDGER_TOPIC, offset },
        'a ledger record cannot be read; it is passed over',
      )
    }
  }

  #keep(key: Buffer, value: Buffer | null): void {
    const { account, first, ...partition } = decodeDebtKey(key)
    if (account !== 'owed') return
    const name = partitionKey(partition)
    const entries = this.#owed.get(name) ?? new Map<number, DebtEntry>()
    this.#owed.set(name, entries)
    // Deleted first, because a map keeps the place of a key that it has: this record is the newest.
    entries.delete(first)
    if (value !== null) entries.set(first, decodeDebtEntry(key, value))
    if (entries.size === 0) this.#owed.delete(name)
    this.#owedVersions.set(name, (this.#owedVersions.get(name) ?? 0) + 1)
  }
}
