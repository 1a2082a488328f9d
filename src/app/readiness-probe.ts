/**
 * Readiness, tried out on the data path and not read off a flag: a record is made durable, the doors are looked at,
 * the processors are asked for their positions. What is wrong comes back as reasons, one for each thing.
 */

import type { Readiness } from '../admin/admin-server.ts'
import type { Clock, Timer } from '../core/clock.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { DataPathProbe } from './data-path-probe.ts'
import type { IngressPart } from './ingress-part.ts'
import type { ProcessorPart } from './processor-part.ts'
import type { PartitionProgress } from './progress-watch.ts'
import { ProgressWatch } from './progress-watch.ts'

type Reason = Readiness['reasons'][number]

/** How long a partition with work may stand still. Readiness promises to be honest within ten seconds. */
const STALLED_MS_MIN = 8_000
/**
 * A worker that was a member may be out of the group for this long: the others come and go, and all join anew. One that was
 * just added under pressure may take as long to join; taking the process out of service for it would be the wrong time.
 */
const REJOIN_MS_MAX = 6_000
/** How often positions are looked at when nobody asks. */
const OBSERVE_INTERVAL_MS = 4_000
/** A check shares the last one's answer for this long: each one writes. */
const WRITE_MS_BETWEEN = 1_000

export class ReadinessProbe {
  readonly #clock: Clock
  readonly #instance: string
  readonly #progress = new ProgressWatch({ stalledMsMin: STALLED_MS_MIN })
  #write: DataPathProbe | null = null
  #lastWrite: { readonly atMs: number; readonly reasons: Promise<Reason[]> } | null = null
  #ingress: IngressPart | null = null
  #processor: ProcessorPart | null = null
  #stalled: readonly PartitionProgress[] = []
  /** When each worker was last seen in the group, monotonic; of one added later, when it was first seen. */
  readonly #memberMs = new Map<string, number>()
  #hasMember = false
  #timer: Timer | null = null
  #isStopping = false

  constructor({ clock, instance }: { readonly clock: Clock; readonly instance: string }) {
    this.#clock = clock
    this.#instance = instance
  }

  watchCluster(cluster: KafkaCluster): void {
    this.#write = new DataPathProbe({ cluster, clock: this.#clock, instance: this.#instance })
  }

  watchIngress(ingress: IngressPart): void {
    this.#ingress = ingress
  }

  watchProcessor(processor: ProcessorPart): void {
    this.#processor = processor
    this.#observeLater()
  }

  /** From now on the answer is "stopping". */
  stop(): void {
    this.#isStopping = true
    this.#timer?.cancel()
  }

  /** Tries the data path now. Takes at most a few seconds, and never throws. */
  async check(): Promise<Readiness> {
    if (this.#isStopping)
      return notReady([{ role: 'app', reason: 'stopping', detail: 'GopherShip is stopping.' }])
    const reasons = await Promise.all([
      this.#vaultReasons(),
      this.#ingressReasons(),
      this.#processorReasons(),
    ])
    return notReady(reasons.flat())
  }

  #vaultReasons(): Promise<Reason[]> {
    const probe = this.#write
    if (probe === null) return Promise.resolve([])
    const nowMs = this.#clock.monotonicMs()
    if (this.#lastWrite === null || nowMs - this.#lastWrite.atMs >= WRITE_MS_BETWEEN) {
      const reasons = probe.run().then(
        () => [],
        (error: unknown) => {
          const detail = `A record could not be made durable: ${error instanceof Error ? error.message : error}.`
          return [{ role: 'vault', reason: 'not-writable', detail }]
        },
      )
      this.#lastWrite = { atMs: nowMs, reasons }
    }
    return this.#lastWrite.reasons
  }

  async #ingressReasons(): Promise<Reason[]> {
    if (this.#ingress === null || this.#ingress.isListening()) return []
    return [{ role: 'ingress', reason: 'not-listening', detail: 'A door does not accept connections.' }]
  }

  async #processorReasons(): Promise<Reason[]> {
    const processor = this.#processor
    if (processor === null) return []
    const workers = await this.#observe(processor)
    const silent = workers.flatMap(({ name, status }): Reason[] =>
      status !== null
        ? []
        : [
            {
              role: 'processor',
              reason: 'no-answer',
              detail: `The thread ${name} is not running or does not answer.`,
            },
          ],
    )
    const outsiders = workers.flatMap(({ name, status }): Reason[] =>
      status === null || !this.#isOut(name, status)
        ? []
        : [
            {
              role: 'processor',
              reason: 'not-assigned',
              detail: `The thread ${name} is not in the consumer group yet.`,
            },
          ],
    )
    const stalled = this.#stalled.map(({ topic, partition, position, lagRecords }) => ({
      role: 'processor',
      reason: 'stalled',
      detail: `${topic} partition ${partition} stands at offset ${position} with ${lagRecords} records to go.`,
    }))
    return [...silent, ...outsiders, ...stalled]
  }

  /** True for a worker that is not in the group and has had the time to be. */
  #isOut(name: string, { isMember }: { readonly isMember: boolean }): boolean {
    const nowMs = this.#clock.monotonicMs()
    if (isMember) {
      this.#memberMs.set(name, nowMs)
      this.#hasMember = true
      return false
    }
    if (!this.#memberMs.has(name) && this.#hasMember) this.#memberMs.set(name, nowMs)
    return nowMs - (this.#memberMs.get(name) ?? Number.NEGATIVE_INFINITY) > REJOIN_MS_MAX
  }

  async #observe(processor: ProcessorPart) {
    const workers = await processor.workers()
    const partitions = workers.flatMap(({ status }) => status?.partitions ?? [])
    this.#stalled = this.#progress.observe(partitions, this.#clock.monotonicMs())
    return workers
  }

  #observeLater(): void {
    this.#timer = this.#clock.after(OBSERVE_INTERVAL_MS, () => {
      const processor = this.#processor
      if (processor === null || this.#isStopping) return
      this.#observe(processor)
        .catch(() => {})
        .finally(() => {
          if (!this.#isStopping) this.#observeLater()
        })
    })
  }
}

function notReady(reasons: readonly Reason[]): Readiness {
  return { ready: reasons.length === 0, reasons }
}
