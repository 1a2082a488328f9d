/**
 * Whether a record can be made durable right now, found out by making one durable. A broker with a full disk, a failed
 * partition or too few replicas still answers metadata, so asking less would call a broken data path healthy.
 *
 * The record goes to a topic of its own with a short retention, only when somebody asks for readiness.
 */

import { BatchEncoder } from '../batch/batch-encoder.ts'
import type { Clock } from '../core/clock.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { Producer } from '../kafka/producer.ts'

const PROBE_TOPIC = 'gophership.probe'
const PROBE_TOPIC_CONFIGS = { 'retention.ms': '3600000', 'segment.ms': '600000', 'cleanup.policy': 'delete' }
/** Kubernetes gives up on a probe after a second by default; an operator's own check may wait longer. */
const PROBE_MS_MAX = 5_000

export class DataPathProbe {
  readonly #cluster: KafkaCluster
  readonly #clock: Clock
  readonly #producer: Producer
  readonly #encoder = new BatchEncoder({ bytesInitial: 1_024 })
  readonly #instance: Buffer

  constructor({ cluster, clock, instance }: { cluster: KafkaCluster; clock: Clock; instance: string }) {
    this.#cluster = cluster
    this.#clock = clock
    this.#producer = new Producer(cluster)
    this.#instance = Buffer.from(instance)
  }

  /** Resolves when the record is durable, with the time it took; rejects with why not. One call at a time. */
  async run(): Promise<{ readonly ackMs: number }> {
    const startedMs = this.#clock.monotonicMs()
    await this.#cluster.ensureTopic(PROBE_TOPIC, {
      partitionCount: 1,
      configs: PROBE_TOPIC_CONFIGS,
      deadlineMs: PROBE_MS_MAX,
    })
    const nowMs = this.#clock.wallMs()
    this.#encoder.start()
    this.#encoder.append(nowMs, this.#instance, Buffer.from(new Date(nowMs).toISOString()))
    const remainingMs = Math.max(1, PROBE_MS_MAX - (this.#clock.monotonicMs() - startedMs))
    await this.#producer.send(PROBE_TOPIC, 0, Buffer.from(this.#encoder.finish()), { timeoutMs: remainingMs })
    return { ackMs: this.#clock.monotonicMs() - startedMs }
  }
}
