/**
 * The compactor: pays enrichment debt in idle hours. One member of the consumer group `<groupId>-compactor` over the vault's
 * topics; whoever has a partition in that group may write the account `repaid` of its books, and nobody else.
 *
 * Promises:
 * - Events, dead letters and settlement of a piece of debt are one transaction: after a crash at any instant nothing of it is
 *   there twice and nothing is missing.
 * - Nothing is paid but in an idle hour and while pressure is green and steady; what was ordered, or would be lost, see
 *   `pay-permit.ts`. When that ends, the batch under way is the last one.
 * - Debt nearest to its retention comes first; a partition that cannot be read or written rests, and the others go on.
 * - Bytes that are gone make their debt `lost`: said loudly, counted, and kept in the books.
 *
 * It leaves to others: what an event looks like (`topology/`), what is owed (`ledger/`), holding back the vault's retention.
 */

import type { Registry } from 'prom-client'
import type { Config } from '../config/schema.ts'
import { asOffset, type Offset, type PartitionId } from '../core/brands.ts'
import type { Clock } from '../core/clock.ts'
import { isFailure } from '../core/errors.ts'
import { DERIVED_BATCH_BYTES_MAX } from '../core/limits.ts'
import { upTo } from '../core/up-to.ts'
import { EncoderPool } from '../enrichment/encoder-pool.ts'
import type { OutputBatch } from '../enrichment/output-batch.ts'
import { OutputTopics } from '../enrichment/output-topics.ts'
import { PartitionEnricher } from '../enrichment/partition-enricher.ts'
import type { SourceTopics } from '../enrichment/source-topics.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { GroupMember } from '../kafka/group-member.ts'
import { kafkaErrorCodeOf } from '../kafka/kafka-errors.ts'
import { TransactionalProducer } from '../kafka/transactional-producer.ts'
import type { DebtPartition } from '../ledger/debt-entry.ts'
import { partitionKey } from '../ledger/debt-entry.ts'
import { ensureLedgerTopic, LEDGER_TOPIC } from '../ledger/ledger-topic.ts'
import type { AmbientReader } from '../pressure/ambient-status.ts'
import { ControlTopic } from '../pressure/control-topic.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import { RateLimitedDiagnostics } from '../telemetry/rate-limited.ts'
import type { CompiledTopology } from '../topology/compile.ts'
import { createEnricher, type Enricher } from '../topology/enricher.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import { ChunkPayer } from './chunk-payer.ts'
import { type CompactorMetrics, openCompactorMetrics } from './compactor-metrics.ts'
import type { CompactorStatus } from './compactor-status.ts'
import { deadlineFor } from './debt-deadline.ts'
import { FailingPartitions, pickDebt, type QueuedDebt, queueDebt } from './debt-queue.ts'
import { describeCompactor } from './describe-compactor.ts'
import { LedgerView } from './ledger-view.ts'
import { NowOrder } from './now-order.ts'
import { OwnedPartition } from './owned-partition.ts'
import type { PayPermit } from './pay-permit.ts'
import { PayProgress } from './pay-progress.ts'
import { PaySchedule } from './pay-schedule.ts'
import type { RateBudget } from './rate-budget.ts'
import { VaultKeeper } from './vault-keeper.ts'
import { VaultLook } from './vault-look.ts'
import { VaultRangeReader } from './vault-range-reader.ts'

export interface CompactorOptions {
  /** Connected; closed by whoever made it. */
  readonly cluster: KafkaCluster
  readonly clock: Clock
  readonly diagnostics: Diagnostics
  readonly metrics: Registry
  /** The processors' group; the compactors have their own beside it. */
  readonly groupId: string
  /** Makes the member static (KIP-345); also the transactional id, so that a restart fences the one before it. */
  readonly groupInstanceId: string
  readonly topologyName: string
  readonly topology: CompiledTopology
  /** Which vault topics are read, and where their output goes. */
  readonly topics: SourceTopics
  readonly ambient: AmbientReader
  readonly config: Config['compactor']
  /** Told once, of what will not pass by itself: being fenced by a namesake, not being allowed in. */
  readonly onFailed: (error: Error) => void
  /** How often to look again while nothing can be paid. Default 250. */
  readonly lookMs?: number
  /** How often the vault's ends are looked at. Default 2,000. */
  readonly vaultLookMs?: number
}

/** The name of the compactors' consumer group. */
export const compactorGroupOf = (groupId: string): string => `${groupId}-compactor`

const LOOK_MS = 250
const VAULT_LOOK_MS = 2_000
const TOPICS_POLL_MS = 1_000
const HEARTBEAT_INTERVAL_MS = 2_000
/** An open transaction holds up every reader of the vault's outputs, so one that hangs is given up soon. */
const TRANSACTION_TIMEOUT_MS = 15_000
const OUTPUT_BATCH_BYTES_TARGET = 512 * 1024
const OUTPUT_BYTES_IN_FLIGHT_MAX = 16 * 1024 * 1024
const START_AGAIN_MS = 2_000
/** A partition that is given up waits so long for the piece under way. */
const LEAVE_MS_MAX = 5_000
/** A stop waits so long for it, and then gives it up; its transaction did not happen, or the successor learns how it ended. */
const STOP_PIECE_MS_MAX = 2_000
/** And so long to leave the group. */
const STOP_GROUP_MS_MAX = 500

/** A partition with what it takes to pay its debt. */
interface Payable {
  readonly owned: OwnedPartition
  readonly enricher: PartitionEnricher
  readonly made: OutputBatch[]
}

export class Compactor {
  readonly #options: CompactorOptions
  readonly #enricher: Enricher
  readonly #schedule: PaySchedule
  readonly #order = new NowOrder()
  readonly #progress = new PayProgress()
  readonly #failing: FailingPartitions
  readonly #vault: VaultLook
  readonly #ledger: LedgerView
  readonly #producer: TransactionalProducer
  readonly #reader: VaultRangeReader
  readonly #payer: ChunkPayer
  readonly #keeper: VaultKeeper
  readonly #group: GroupMember
  readonly #metrics: CompactorMetrics
  readonly #told: RateLimitedDiagnostics
  readonly #encoders = new EncoderPool({
    bytesInitial: 64 * 1024,
    bytesMax: DERIVED_BATCH_BYTES_MAX,
    keptMax: 8,
  })
  readonly #stopping = new AbortController()
  readonly #payables = new Map<string, Payable>()
  readonly #outputs: OutputTopics
  #control: ControlTopic | null = null
  #running: Promise<void> = Promise.resolve()
  /** The turn under way, if any; partitions are given up between turns. */
  #turn: Promise<void> = Promise.resolve()
  #isLeaving = false
  #isMember = false
  /** Which partitions are ours is settled: not before the first assignment, nor while they are being shared out anew. */
  #isAssigned = false
  #wake: () => void = () => {}
  #vaultLookedMs = Number.NEGATIVE_INFINITY
  #queue: readonly QueuedDebt[] = []
  #isOrdered = false
  #isUrgent = false
  #permit: PayPermit = NOT_YET
  #current: QueuedDebt | null = null
  #settledRecordCount = 0
  #orderedMs: number | null = null

  private constructor(options: CompactorOptions) {
    const { cluster, clock, diagnostics, groupId, groupInstanceId, topics, config } = options
    this.#options = options
    this.#enricher = createEnricher(options.topology)
    this.#schedule = new PaySchedule(config, { clock, ambient: options.ambient })
    this.#failing = new FailingPartitions(clock)
    this.#vault = new VaultLook(cluster)
    this.#ledger = new LedgerView(cluster, { diagnostics })
    this.#producer = new TransactionalProducer(cluster, {
      transactionalId: groupInstanceId,
      transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
      bytesInFlightMax: OUTPUT_BYTES_IN_FLIGHT_MAX,
    })
    this.#reader = new VaultRangeReader(cluster)
    this.#group = new GroupMember(cluster, {
      groupId: compactorGroupOf(groupId),
      groupInstanceId,
      topicsPollMs: TOPICS_POLL_MS,
      heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
      topics: (names) => names.filter((name) => topics.streamOf(name) !== null),
    })
    this.#payer = new ChunkPayer({
      clock,
      producer: this.#producer,
      reader: this.#reader,
      generation: () => this.#group.generation(),
    })
    this.#outputs = new OutputTopics(options, { name: LEDGER_TOPIC, ensure: ensureLedgerTopic })
    this.#metrics = openCompactorMetrics(options.metrics, () => this.status())
    this.#keeper = new VaultKeeper({ clock, diagnostics, payer: this.#payer, metrics: this.#metrics })
    this.#told = new RateLimitedDiagnostics(diagnostics, { clock })
  }

  /** Begins: joins the group once the ledger and the orders are known; `status` says how far it is. */
  static start(options: CompactorOptions): Compactor {
    const compactor = new Compactor(options)
    compactor.#running = compactor.#run()
    return compactor
  }

  status(): CompactorStatus {
    const { state } = this.#group.status()
    const entry = this.#current?.entry
    return describeCompactor({
      isMember: state === 'stable' || state === 'revoking',
      isAssigned: this.#isAssigned,
      isPaused: this.#isPaused,
      books: [...this.#payables.values()].map(({ owned }) => owned.books()),
      queue: this.#queue,
      permit: this.#permit,
      current: entry === undefined ? null : { entry, position: this.#payer.position },
      recordsPerSecond: this.#progress.ratePerSecond(this.#options.clock.monotonicMs()),
      settledRecordCount: this.#settledRecordCount,
      failing: this.#failing.list(),
      foreignTopologies: this.#foreignTopologies(),
      unreadableCount: this.#ledger.unreadableCount,
    })
  }

  /** Settles what the batch under way completes, unless that takes too long, and leaves the group. */
  async stop(): Promise<void> {
    const { clock } = this.#options
    this.#stopping.abort()
    this.#wake()
    this.#outputs.stop()
    await upTo(clock, STOP_PIECE_MS_MAX, this.#running)
    // Rejects whatever is still waited for, so that the last turn ends.
    await this.#producer.stop()
    // Leaving revokes the partitions, which needs no more than that.
    if (this.#isMember) await upTo(clock, STOP_GROUP_MS_MAX, this.#group.stop())
    await this.#control?.stop()
    await this.#reader.stop()
    await this.#ledger.stop()
  }

  async #run(): Promise<void> {
    const { clock, diagnostics, onFailed, lookMs = LOOK_MS } = this.#options
    const { signal } = this.#stopping
    try {
      while (!(await this.#begin())) {
        await clock.sleep(START_AGAIN_MS, signal)
      }
      while (!signal.aborted) {
        const turn = this.#takeTurn()
        this.#turn = turn.then(
          () => {},
          () => {},
        )
        if (!(await turn)) await this.#rest(lookMs)
      }
    } catch (error) {
      if (signal.aborted) return
      diagnostics.error({ error }, 'the compactor cannot go on')
      onFailed(error as Error)
    }
  }

  /** What must be known before anything may be paid. False when it cannot be yet: it is tried again. */
  async #begin(): Promise<boolean> {
    const { cluster, diagnostics, onFailed } = this.#options
    try {
      await this.#outputs.ensureSide()
      this.#control = await ControlTopic.open(cluster, { diagnostics })
    } catch (error) {
      if (this.#stopping.signal.aborted || !isFailure(error)) throw error
      diagnostics.warn({ error }, 'the compactor cannot begin yet; it tries again')
      return false
    }
    this.#control.onChange(() => this.#wake())
    // Ends what a predecessor of the same name left open: the ledger could not be read to its end before.
    await this.#producer.init(this.#stopping.signal)
    this.#ledger.follow()
    this.#isMember = true
    this.#group.start({
      onAssigned: (partitions, generationId) => this.#onAssigned(partitions, generationId),
      onRevoked: () => this.#onGone(),
      onLost: () => this.#onGone(),
      onFailed,
    })
    return true
  }

  /** Looks, decides, and pays one piece. False when there was nothing that could be done: a rest is due. */
  async #takeTurn(): Promise<boolean> {
    if (this.#isLeaving || this.#payables.size === 0) {
      this.#hold()
      return false
    }
    try {
      await this.#followOrder()
      await this.#lookAtVault()
    } catch (error) {
      if (this.#stopping.signal.aborted) return false
      this.#onFailure(null, error)
      return false
    }
    this.#queue = this.#queueNow()
    this.#isOrdered = this.#queue.some(({ isOrdered }) => isOrdered)
    this.#isUrgent = this.#queue.some(({ isUrgent }) => isUrgent)
    this.#permit = this.#permitNow()
    const debt = this.#isLeaving ? null : pickDebt(this.#queue, this.#permit, this.#failing)
    if (debt === null) {
      this.#hold()
      return false
    }
    const budget = this.#schedule.budgetFor(this.#permit, debt)
    this.#current = debt
    this.#progress.begin(this.#options.clock.monotonicMs())
    const waitMs = budget.waitMs()
    if (waitMs > 0) {
      // Short rests, so that what changes meanwhile is noticed.
      await this.#rest(Math.min(waitMs, this.#options.lookMs ?? LOOK_MS))
      return true
    }
    await this.#pay(debt, budget)
    return true
  }

  async #pay(debt: QueuedDebt, budget: RateBudget): Promise<void> {
    const { entry } = debt
    const { clock } = this.#options
    const payable = this.#payables.get(partitionKey(entry))
    if (payable === undefined) return
    try {
      await this.#outputs.ensure(entry.topic)
      const paid = await this.#payer.pay(
        payable.owned,
        { entry, enricher: payable.enricher, made: payable.made },
        { budget: budget.available(), last: this.#lastFor(debt), mayGoOn: () => this.#mayGoOn(debt) },
        this.#stopping.signal,
      )
      budget.spend(paid)
      this.#failing.clear(entry)
      this.#settledRecordCount += paid.recordCount
      this.#progress.add(paid.recordCount, clock.monotonicMs())
      this.#metrics.addPaid(payable.owned.stream, paid)
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      // Its first bytes are gone, or it was cut: the next look books that.
      if (kafkaErrorCodeOf(error) === KAFKA_ERROR.OFFSET_OUT_OF_RANGE) {
        this.#vaultLookedMs = Number.NEGATIVE_INFINITY
      }
      this.#onFailure(entry, error)
    }
  }

  /** Whether the piece under way may take another batch: everything that may change within a batch is looked at anew. */
  #mayGoOn(debt: QueuedDebt): boolean {
    if (this.#isLeaving || this.#stopping.signal.aborted) return false
    const permit = this.#permitNow()
    return permit.all || (permit.urgent && debt.isUrgent) || (permit.ordered && debt.isOrdered)
  }

  /** Only what was ordered, where nothing else allows more. */
  #lastFor({ entry, isUrgent, isOrdered }: QueuedDebt): Offset {
    const isOnlyOrdered = isOrdered && !this.#permit.all && !(this.#permit.urgent && isUrgent)
    return isOnlyOrdered ? asOffset(Math.min(entry.last, this.#order.lastOf(entry))) : entry.last
  }

  #permitNow(): PayPermit {
    const [isPaused, isOrdered, isUrgent] = [this.#isPaused, this.#isOrdered, this.#isUrgent]
    return this.#schedule.permit({ isPaused, isOrdered, isUrgent })
  }

  #queueNow(): QueuedDebt[] {
    const { clock, config } = this.#options
    const nowMs = clock.wallMs()
    const urgentShare = config.urgentPercent / 100
    const books = [...this.#payables.values()].map(({ owned }) => owned.books())
    return queueDebt(
      books,
      (entry) =>
        deadlineFor(entry, {
          retention: this.#vault.retentionOf(entry.topic),
          growth: this.#vault.growthOf(entry),
          urgentShare,
          nowMs,
        }),
      this.#order,
    )
  }

  get #isPaused(): boolean {
    return this.#control?.current().compactor.isPaused ?? false
  }

  /** Takes a new order to pay now: the debt that it is about may be in the ledger and not yet in our view of it. */
  async #followOrder(): Promise<void> {
    const requestedMs = this.#control?.current().compactor.now?.requestedMs ?? null
    if (requestedMs !== this.#orderedMs) {
      if (requestedMs !== null) await this.#ledger.catchUp({ signal: this.#stopping.signal })
      this.#orderedMs = requestedMs
      this.#order.take(requestedMs)
    }
    for (const { owned } of this.#payables.values()) this.#order.look(owned.partition, owned.books())
  }

  /** Now and then: where the vault begins, and what follows from that for the books. */
  async #lookAtVault(): Promise<void> {
    const { clock, vaultLookMs = VAULT_LOOK_MS } = this.#options
    if (clock.monotonicMs() - this.#vaultLookedMs < vaultLookMs) return
    const booked = [...this.#payables.values()].filter(({ owned }) => owned.books().length > 0)
    if (booked.length > 0) await this.#vault.refresh(booked.map(({ owned }) => owned.partition))
    this.#vaultLookedMs = clock.monotonicMs()
    const mayGoOn = () => !this.#isLeaving && !this.#stopping.signal.aborted
    for (const { owned } of booked) {
      if (this.#isLeaving || this.#failing.isResting(owned.partition)) continue
      try {
        await this.#keeper.keep(owned, this.#vault.startOf(owned.partition) ?? 0, mayGoOn)
      } catch (error) {
        if (this.#stopping.signal.aborted) return
        this.#onFailure(owned.partition, error)
      }
    }
  }

  /** What failed rests and is tried again; a producer that is finished ends the compactor. */
  #onFailure(partition: DebtPartition | null, error: unknown): void {
    if (this.#producer.state === 'fenced') throw error
    this.#metrics.addFailure()
    const { diagnostics } = this.#options
    if (partition === null) {
      this.#told.warn('look', { error }, 'the vault or the ledger cannot be looked at; it is tried again')
      return
    }
    const { topic, partition: id } = partition
    const restMs = this.#failing.add(partition, error)
    const facts = { topic, partition: id, restMs, error }
    if (isFailure(error)) diagnostics.warn(facts, 'debt could not be paid; it is tried again')
    else diagnostics.error(facts, 'a bug kept debt from being paid; it is tried again')
  }

  /**
   * The order of these steps is what keeps two compactors from paying the same debt:
   *   1. The committed positions are asked for, which waits until the predecessor's settlement (they are in its transaction)
   *      is decided, and it can make no other: the group has a new generation.
   *   2. The ledger is read to its end, so that what the predecessor settled is known.
   *   3. Only now the partitions count as ours.
   */
  async #onAssigned(
    partitions: readonly { readonly topic: string; readonly partition: PartitionId }[],
    generationId: number,
  ): Promise<void> {
    const { signal } = this.#stopping
    const { topics, topologyName } = this.#options
    const committed = await this.#group.committed(partitions)
    await this.#ledger.catchUp({ signal })
    this.#payables.clear()
    this.#outputs.reset()
    for (const { topic, partition, offset } of committed) {
      const stream = topics.streamOf(topic) ?? topic
      const owned = new OwnedPartition({
        partition: { topology: topologyName, topic, partition },
        generationId,
        stream,
        progress: offset,
        ledger: this.#ledger,
      })
      this.#payables.set(partitionKey(owned.partition), this.#payableOf(owned))
    }
    this.#vaultLookedMs = Number.NEGATIVE_INFINITY
    this.#isLeaving = false
    this.#isAssigned = true
    this.#wake()
  }

  #payableOf(owned: OwnedPartition): Payable {
    const { topics } = this.#options
    const { topic, partition } = owned.partition
    const made: OutputBatch[] = []
    const enricher = new PartitionEnricher({
      enricher: this.#enricher,
      encoders: this.#encoders,
      vaultTopic: topic,
      partition,
      enrichedTopic: topics.enrichedTopicOf(owned.stream),
      deadLetterTopic: topics.deadLetterTopic,
      batchBytesTarget: OUTPUT_BATCH_BYTES_TARGET,
      emit: (output) => made.push(output),
    })
    return { owned, enricher, made }
  }

  /** The partitions are another's, or about to be: the piece under way ends with its batch. */
  async #onGone(): Promise<void> {
    this.#isLeaving = true
    this.#wake()
    await Promise.race([this.#turn, this.#options.clock.sleep(LEAVE_MS_MAX)])
    for (const { owned } of this.#payables.values()) {
      this.#failing.clear(owned.partition)
      this.#order.forget(owned.partition)
    }
    this.#payables.clear()
    this.#queue = []
    this.#isAssigned = false
  }

  #hold(): void {
    this.#current = null
    this.#progress.end()
  }

  /** Waits, but not when something has changed. */
  async #rest(ms: number): Promise<void> {
    if (this.#stopping.signal.aborted) return
    const woken = Promise.withResolvers<void>()
    this.#wake = woken.resolve
    const timer = this.#options.clock.after(ms, woken.resolve)
    await woken.promise
    timer.cancel()
  }

  #foreignTopologies(): string[] {
    const { topologyName } = this.#options
    const ours = new Set([...this.#payables.values()].map(({ owned }) => vaultKeyOf(owned.partition)))
    const foreign = this.#ledger
      .partitions()
      .filter((partition) => partition.topology !== topologyName && ours.has(vaultKeyOf(partition)))
      .filter((partition) => this.#ledger.booksOf(partition).some(({ state }) => state === 'open'))
    return [...new Set(foreign.map(({ topology }) => topology))]
  }
}

const vaultKeyOf = ({ topic, partition }: DebtPartition) => `${topic}/${partition}`

const NOT_YET: PayPermit = {
  all: false,
  ordered: false,
  urgent: false,
  reason: 'none',
  explanation: '',
  endsMs: null,
}
