/**
 * The status topic: what the pressure of each instance on the same cluster was last, under the instance's name. Compacted, so
 * it holds one record for each instance; written seldom, and at once when a zone or tier changes. An instance that stops
 * cleanly takes its record back; one that was killed is told by the age of its record.
 *
 * It is for people who look. Nothing is decided by it, so a record that cannot be read is passed over.
 */

import { BatchEncoder } from '../batch/batch-encoder.ts'
import type { Timer } from '../core/clock.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { Producer } from '../kafka/producer.ts'
import { TopicReader } from '../kafka/topic-reader.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { PressureStatus } from './pressure-status.ts'
import { TIERS, ZONES } from './tiers.ts'

export const STATUS_TOPIC = 'gophership.status'

/** One instance's record. */
export interface InstanceStatus
  extends Pick<
    PressureStatus,
    | 'zone'
    | 'tier'
    | 'score'
    | 'pressureText'
    | 'tierText'
    | 'backlogRecordCount'
    | 'arrivalRate'
    | 'emergency'
  > {
  readonly instance: string
  readonly host: string
  readonly processId: number
  readonly roles: readonly string[]
  /** Wall clock, when it was written. */
  readonly atMs: number
}

const TOPIC_CONFIGS = {
  'cleanup.policy': 'compact',
  'segment.ms': String(3_600_000),
  'min.cleanable.dirty.ratio': '0.1',
} as const
/** A record at least this often; twice as old, its instance is likely gone. */
export const STATUS_MS_BETWEEN = 30_000
const WRITE_MS_MAX = 5_000
const STOP_MS_MAX = 1_000
const READ_MS_MAX = 10_000
const RECORD_BYTES_MAX = 8 * 1024
const VERSION = 1

export interface StatusWriterOptions {
  readonly cluster: KafkaCluster
  readonly diagnostics: Diagnostics
  /** What to write now. */
  readonly status: () => InstanceStatus
}

/** Writes this instance's record. Failures are not worth more than a line nobody sees: the next one may go through. */
export class StatusWriter {
  readonly #options: StatusWriterOptions
  readonly #producer: Producer
  readonly #encoder = new BatchEncoder({ bytesInitial: 2_048 })
  #timer: Timer | null = null
  #writing: Promise<void> = Promise.resolve()
  #isStopped = false

  private constructor(options: StatusWriterOptions) {
    this.#options = options
    this.#producer = new Producer(options.cluster, { timeoutMs: WRITE_MS_MAX })
  }

  static start(options: StatusWriterOptions): StatusWriter {
    const writer = new StatusWriter(options)
    writer.writeNow()
    return writer
  }

  /** To be called when something changed that others should see. */
  writeNow(): void {
    if (this.#isStopped) return
    this.#timer?.cancel()
    this.#timer = this.#options.cluster.clock.after(STATUS_MS_BETWEEN, () => this.writeNow())
    this.#writing = this.#writing.then(() => {
      const status = this.#options.status()
      return this.#write(status.instance, { version: VERSION, ...status })
    })
  }

  /** Takes the record back. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    // A stop does not wait for a cluster that is in trouble.
    const stopped = this.#writing.then(() => this.#write(this.#options.status().instance, null))
    await Promise.race([stopped, this.#options.cluster.clock.sleep(STOP_MS_MAX)])
    await this.#producer.stop({ drainMs: 0 })
  }

  async #write(instance: string, value: object | null): Promise<void> {
    const { cluster, diagnostics } = this.#options
    try {
      await ensureStatusTopic(cluster)
      this.#encoder.start()
      const text = value === null ? null : Buffer.from(JSON.stringify(value))
      this.#encoder.append(cluster.clock.wallMs(), Buffer.from(instance), text)
      await this.#producer.send(STATUS_TOPIC, 0, Buffer.from(this.#encoder.finish()))
    } catch (error) {
      diagnostics.debug(
        { error, topic: STATUS_TOPIC },
        'the status of this instance was not written this time',
      )
    }
  }
}

/** The latest record of every instance, by name. Rejects when the topic cannot be read; empty when nobody ever wrote. */
export async function readStatuses(cluster: KafkaCluster): Promise<InstanceStatus[]> {
  if ((await cluster.partitionCount(STATUS_TOPIC)) === null) return []
  const statuses = new Map<string, InstanceStatus>()
  const reader = new TopicReader(cluster, {
    topic: STATUS_TOPIC,
    partitions: [0],
    onRecord: ({ key, value }) => {
      const instance = key?.toString() ?? ''
      const status = value === null ? null : parseStatus(instance, value)
      if (status === null) statuses.delete(instance)
      else statuses.set(instance, status)
    },
  })
  try {
    await reader.catchUp({ timeoutMs: READ_MS_MAX })
  } finally {
    await reader.stop()
  }
  return [...statuses.values()].sort((a, b) => (a.instance < b.instance ? -1 : 1))
}

/** Null for a record that is none of ours. */
function parseStatus(instance: string, value: Buffer): InstanceStatus | null {
  if (value.length > RECORD_BYTES_MAX) return null
  let fields: Record<string, unknown>
  try {
    fields = JSON.parse(value.toString('utf8')) as Record<string, unknown>
  } catch {
    return null
  }
  if (typeof fields !== 'object' || fields === null) return null
  const { version, ...status } = fields
  if (version !== VERSION) return null
  const isStatus =
    status['instance'] === instance &&
    ZONES.some((zone) => zone === status['zone']) &&
    TIERS.some((tier) => tier === status['tier']) &&
    ['score', 'backlogRecordCount', 'arrivalRate', 'atMs', 'processId'].every((name) =>
      isNumber(status[name]),
    ) &&
    ['host', 'pressureText', 'tierText'].every((name) => typeof status[name] === 'string') &&
    Array.isArray(status['roles'])
  return isStatus ? (status as unknown as InstanceStatus) : null
}

const isNumber = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value)

async function ensureStatusTopic(cluster: KafkaCluster): Promise<void> {
  await cluster.ensureTopic(STATUS_TOPIC, {
    partitionCount: 1,
    configs: TOPIC_CONFIGS,
    deadlineMs: WRITE_MS_MAX,
  })
}
