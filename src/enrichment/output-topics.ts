/**
 * The topics that output goes to: made before they are needed, and made again when somebody deletes them, as long
 * as the vault topic that they belong to is there. What is on its way meanwhile is tried again until the topic is back.
 *
 * How soon a deletion is noticed is up to whoever looks at all topics; the member of the consumer group does, every second.
 */

import type { Clock } from '../core/clock.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { SourceTopics } from './source-topics.ts'

/** A topic that is written to whatever the vault topics are, and how it is made. */
export interface SideTopic {
  readonly name: string
  ensure(cluster: KafkaCluster): Promise<void>
}

export interface OutputTopicsOptions {
  readonly cluster: KafkaCluster
  readonly topics: SourceTopics
  readonly clock: Clock
  readonly diagnostics: Diagnostics
}

/** Making a topic again that is still being deleted is tried so often. */
const RETRY_MS = 1_000

export class OutputTopics {
  readonly #options: OutputTopicsOptions & { readonly side: SideTopic }
  readonly #stopping = new AbortController()
  readonly #stopWatching: () => void
  /** Vault topics whose output topics were made sure of. */
  readonly #enriched = new Set<string>()
  /** Vault topics whose batches are forwarded. */
  readonly #forwarded = new Set<string>()
  #isSideEnsured = false
  #isRestoring = false

  constructor({ cluster, topics, clock, diagnostics }: OutputTopicsOptions, side: SideTopic) {
    this.#options = { cluster, topics, clock, diagnostics, side }
    this.#stopWatching = cluster.onTopicsChanged(() => void this.#restore())
  }

  async ensureSide(): Promise<void> {
    const { cluster, side } = this.#options
    await side.ensure(cluster)
    this.#isSideEnsured = true
  }

  /** For a new assignment: nothing of the last one is needed, and vault topics may have more partitions. */
  reset(): void {
    this.#enriched.clear()
    this.#forwarded.clear()
  }

  /** For the events of a vault topic, and its dead letters. Once for an assignment. */
  async ensure(vaultTopic: string): Promise<void> {
    const { cluster, topics } = this.#options
    if (this.#enriched.has(vaultTopic)) return
    await topics.ensureOutputs(cluster, vaultTopic)
    this.#enriched.add(vaultTopic)
  }

  hasPassthrough(vaultTopic: string): boolean {
    return this.#forwarded.has(vaultTopic)
  }

  /** For the batches of a vault topic that are forwarded. */
  async ensurePassthrough(vaultTopic: string): Promise<void> {
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
    const { cluster, topics, side } = this.#options
    const known = cluster.snapshot.topics
    const needed = new Set(this.#isSideEnsured ? [side.name] : [])
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
    const { cluster, topics, side } = this.#options
    if (this.#isSideEnsured) await side.ensure(cluster)
    await Promise.all([
      ...[...this.#enriched].map((topic) => topics.ensureOutputs(cluster, topic)),
      ...[...this.#forwarded].map((topic) => topics.ensurePassthrough(cluster, topic)),
    ])
  }
}
