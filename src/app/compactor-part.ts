/**
 * The compactor's thread, from the configuration: one per process, and one member of its group among all instances. It runs while
 * something is owed, and for a minute after; the rest of the time the ledger is looked at from here, and the thread's memory
 * is nobody's.
 */

import type { CompactorStatus } from '../compactor/compactor-status.ts'
import type { CompactorThreadOptions } from '../compactor/compactor-thread.ts'
import type { Timer } from '../core/clock.ts'
import { systemDisk } from '../core/system-disk.ts'
import type { ThreadSupervisor } from '../core/thread-supervisor.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { totalsOf } from '../ledger/debt-order.ts'
import { ensureLedgerTopic, LedgerReader } from '../ledger/ledger-topic.ts'
import type { AppContext } from './app-context.ts'
import { loadInstanceId } from './instance-id.ts'
import { superviseThread } from './supervised-thread.ts'
import { loadTopology } from './topology-file.ts'

/** Part of the half minute that a stop may take. What is cut is a transaction that then did not happen. */
const STOP_MS_MAX = 4_000

/** How soon debt is noticed that was booked while the thread slept. */
const LOOK_MS = 5_000
/** Nothing was owed for so long: the thread ends. */
const REST_AFTER_MS = 60_000
/** Waiting for open transactions in the ledger included. */
const READ_MS_MAX = 20_000

export class CompactorPart {
  readonly supervisor: ThreadSupervisor
  readonly #context: AppContext
  readonly #cluster: KafkaCluster
  readonly #ledger: LedgerReader
  #timer: Timer | null = null
  #looking: Promise<void> = Promise.resolve()
  #isAwake = false
  #isStopped = false
  #owedMs: number

  private constructor(context: AppContext, cluster: KafkaCluster, supervisor: ThreadSupervisor) {
    this.supervisor = supervisor
    this.#context = context
    this.#cluster = cluster
    this.#ledger = new LedgerReader(cluster, { diagnostics: context.diagnostics })
    this.#owedMs = context.clock.monotonicMs()
  }

  /** Resolves when the ledger is being looked at. Rejects when the topology cannot be loaded. */
  static async start(
    context: AppContext,
    {
      cluster,
      bootstrapServers,
      ambient,
    }: Pick<CompactorThreadOptions, 'bootstrapServers' | 'ambient'> & { readonly cluster: KafkaCluster },
  ): Promise<CompactorPart> {
    const { config, logger } = context
    const { groupId, timeZone } = config.processor
    const topology = await loadTopology(config.processor.topology)
    const instanceId = await loadInstanceId(systemDisk, context.random, context.dataDir)
    const supervisor = superviseThread({
      ...context,
      name: 'compactor',
      kind: 'compactor',
      optionsOf: (): CompactorThreadOptions => ({
        bootstrapServers,
        clientId: config.kafka.clientId,
        groupId,
        groupInstanceId: `gophership-${instanceId}-compactor`,
        topology,
        timeZone,
        vaultTemplate: config.streams.vaultTemplate,
        ambient,
        config: config.compactor,
        logger: { ...logger, thread: 'compactor' },
      }),
    })
    const part = new CompactorPart(context, cluster, supervisor)
    part.#looking = part.#lookAndGoOn()
    return part
  }

  /** While nothing is owed, an idle one; null while the thread does not answer. */
  async status(): Promise<CompactorStatus | null> {
    if (!this.#isAwake) return this.#asleep()
    return ((await this.supervisor.handle?.status().catch(() => null)) ?? null) as CompactorStatus | null
  }

  /** Finishes or gives up the transaction under way, and leaves the group. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await this.#ledger.stop()
    await this.#looking
    await this.supervisor.stop({ stopMsMax: STOP_MS_MAX })
  }

  async #lookAndGoOn(): Promise<void> {
    const { clock, diagnostics } = this.#context
    try {
      await ensureLedgerTopic(this.#cluster)
      await this.#ledger.catchUp({ timeoutMs: READ_MS_MAX })
      if (this.#isOwing()) {
        this.#owedMs = clock.monotonicMs()
        if (!this.#isAwake && !this.#isStopped) await this.#wake()
      } else if (this.#isAwake && clock.monotonicMs() - this.#owedMs > REST_AFTER_MS) {
        this.#isAwake = false
        await this.supervisor.stop({ stopMsMax: STOP_MS_MAX })
      }
    } catch (error) {
      if (!this.#isStopped) diagnostics.debug({ error }, 'the ledger cannot be read at the moment')
    }
    if (this.#isStopped) return
    this.#timer = clock.after(LOOK_MS, () => {
      this.#looking = this.#lookAndGoOn()
    })
  }

  async #wake(): Promise<void> {
    this.#isAwake = true
    try {
      await this.supervisor.start()
    } catch (error) {
      // The next look tries again.
      this.#isAwake = false
      throw error
    }
  }

  #isOwing(): boolean {
    const { fold } = this.#ledger
    return fold
      .partitions()
      .some((partition) => fold.booksOf(partition).some(({ state }) => state === 'open'))
  }

  #asleep(): CompactorStatus {
    const { fold } = this.#ledger
    const entries = fold.partitions().flatMap((partition) => fold.booksOf(partition))
    return {
      state: 'idle',
      reason: 'none',
      explanation: '',
      endsMs: null,
      isMember: false,
      partitionCount: 0,
      open: totalsOf(entries, 'open'),
      urgent: totalsOf([], 'open'),
      lost: totalsOf(entries, 'lost'),
      oldest: [],
      recordsPerSecond: null,
      remainingMs: null,
      current: null,
      deadlineMs: null,
      settledRecordCount: 0,
      failing: [],
      problems: [],
    }
  }
}
