/**
 * The topics that a worker's output goes to: made before they are needed, and made again when somebody deletes them, as long
 * as the vault topic that they belong to is there. What is on its way meanwhile is tried again until the topic is back.
 *
 * How soon a deletion is noticed is up to whoever looks at all topics; the member of the consumer group does, every second.
 */

import type { Clock } from '../core/clock.ts'
import type { SourceTopics } from '../enrichment/source-topics.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { ensureLedgerTopic, LEDGER_TOPIC } from '../ledger/ledger-topic.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'

export interface OutputTopicsOptions {
  readonly cluster: KafkaCluster
  readonly topics: SourceTopics
  readonly clock: Clock
  readonly diagnostics: Diagnostics
}

/** Making a topic again that is still being deleted is tried so often. */
const RETRY_MS = 1_000

export class OutputTopics {
  readonly #options: OutputTopicsOptions
  readonly #stopping = new AbortController()
  readonly #stopWatching: () => void
  /** Vault topics whose output topics were made sure of. */
  readonly #enriched = new Set<string>()
  /** Vault topics whose batches are forwarded. */
  readonly #forwarded = new Set<string>()
  #isLedgerEnsured = false
  #isRestoring = false

  constructor(options: OutputTopicsOptions) {
    this.#options = options
    this.#stopWatching = options.cluster.onTopicsChanged(() => void this.#restore())
  }

  async ensureLedger(): Promise<void> {
    await ensureLedgerTopic(this.#options.cluster)
    this.#isLedgerEnsured = true
  }

  /** For a new assignment: makes sure of the topics of these vault topics; those of others are left alone from now on. */
  async ensureFor(vaultTopics: readonly string[]): Promise<void> {
    const { cluster, topics } = this.#options
    this.#enriched.clear()
    // They are made sure of when the first batch is forwarded, and with as many partitions as there are then.
    this.#forwarded.clear()
    await Promise.all(
      vaultTopics.map(async (topic) => {
        await topics.ensureOutputs(cluster, topic)
        this.#enriched.add(topic)
      }),
    )
  }

  hasPassthroughFor(vaultTopic: string): boolean {
    return this.#forwarded.has(vaultTopic)
  }

  async ensurePassthroughFor(vaultTopic: string): Promise<void> {
    const { cluster, topics } = this.#options
    await topics.ensurePassthrough(cluster, vaultTopic)
    this.#forwarded.add(vaultTopic)
  }

  stop(): void {
    this.#stopWatching()
    this.#stopping.abort()
  }

  /** What was made sure of and is not there any more. */
  #missing(): string[] {
    const { cluster, topics } = this.#options
    const known = cluster.snapshot.topics
    const needed = new Set(this.#isLedgerEnsured ? [LEDGER_TOPIC] : [])
    for (const topic of this.#enriched) {
      if (known.has(topic)) for (const output of topics.outputsOf(topic)) needed.add(output)
    }
    for (const topic of this.#forwarded) {
      const output = topics.passthroughOf(topic)
      if (known.has(topic) && output !== null) needed.add(output)
    }
    return [...needed].filter((topic) => !known.has(topic))
  }

  /** Makes again what is missing. Never rejects. */
  async #restore(): Promise<void> {
    if (this.#isRestoring) return
    this.#isRestoring = true
    const { clock, diagnostics } = this.#options
    const { signal } = this.#stopping
    for (let missing = this.#missing(); missing.length > 0 && !signal.aborted; missing = this.#missing()) {
      diagnostics.warn({ topics: missing }, 'output topics were deleted; they are made again')
      try {
        await this.#ensureAll()
      } catch (error) {
        diagnostics.warn({ error, topics: missing }, 'output topics could not be made again')
        await clock.sleep(RETRY_MS, signal).catch(() => {})
      }
    }
    this.#isRestoring = false
  }

  async #ensureAll(): Promise<void> {
    const { cluster, topics } = this.#options
    if (this.#isLedgerEnsured) await ensureLedgerTopic(cluster)
    await Promise.all([
      ...[...this.#enriched].map((topic) => topics.ensureOutputs(cluster, topic)),
      ...[...this.#forwarded].map((topic) => topics.ensurePassthrough(cluster, topic)),
    ])
  }
}
