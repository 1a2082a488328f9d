/**
 * The control topic: orders to every instance on the same cluster, followed by each of them, and by no more than a long poll
 * while nothing is ordered. `control-record.ts` says what a record is.
 *
 * Promises: `open` resolves when every order that stands is known, so that an instance which starts in an emergency does not
 * begin to enrich; a change reaches all who follow within a second; a record that is no order is refused loudly and counted,
 * and what stood goes on standing. A cluster that cannot be reached leaves the orders as they were.
 */

import { isDeepStrictEqual } from 'node:util'
import { BatchEncoder, NO_HEADERS } from '../batch/batch-encoder.ts'
import type { Timer } from '../core/clock.ts'
import { isFailure } from '../core/errors.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { Producer } from '../kafka/producer.ts'
import type { RecordView } from '../kafka/topic-reader.ts'
import { TopicReader } from '../kafka/topic-reader.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import {
  applyControl,
  type ControlChange,
  type ControlState,
  decodeControl,
  encodeControl,
  NO_CONTROL,
} from './control-record.ts'

export const CONTROL_TOPIC = 'gophership.control'

/** Small and old: what stands is read at every start, and a tombstone is needed only by who was down when it came. */
const TOPIC_CONFIGS = {
  'cleanup.policy': 'compact',
  'segment.ms': String(24 * 3_600_000),
  'min.cleanable.dirty.ratio': '0.1',
} as const
const OPEN_MS_MAX = 15_000
const WRITE_MS_MAX = 10_000
/** A poll at the broker without news ends by then; news end it at once. */
const FETCH_WAIT_MS = 5_000
/** Pause before a reader that failed for good is opened anew. */
const REOPEN_MS = 1_000

export interface ControlTopicOptions {
  readonly diagnostics: Diagnostics
  /** Told of every record that is refused. */
  readonly onRefused?: () => void
  /** Default 15,000. */
  readonly openMsMax?: number
}

export class ControlTopic {
  readonly #cluster: KafkaCluster
  readonly #options: ControlTopicOptions
  readonly #listeners = new Set<(state: ControlState) => void>()
  /** What stands, as told to listeners. */
  #state: ControlState = NO_CONTROL
  #reader: TopicReader | null = null
  #reopenTimer: Timer | null = null
  #isStopped = false

  private constructor(cluster: KafkaCluster, options: ControlTopicOptions) {
    this.#cluster = cluster
    this.#options = options
  }

  /** Creates the topic where it is missing, reads what stands, and follows it from there. Rejects when it cannot be read. */
  static async open(cluster: KafkaCluster, options: ControlTopicOptions): Promise<ControlTopic> {
    const topic = new ControlTopic(cluster, options)
    try {
      await topic.#readAndFollow()
      return topic
    } catch (error) {
      await topic.stop()
      throw error
    }
  }

  /** What stands. */
  current(): ControlState {
    return this.#state
  }

  /** Calls `listener` after every change, until the function that is returned is called. */
  onChange(listener: (state: ControlState) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Resolves when the change is durable; it takes effect here, as everywhere, when it is read. */
  write(change: ControlChange): Promise<void> {
    return writeControl(this.#cluster, change)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#reopenTimer?.cancel()
    this.#listeners.clear()
    await this.#reader?.stop()
  }

  /** From the beginning: whatever was lost sight of, what stands at the end is right, and only that is told. */
  async #readAndFollow(): Promise<void> {
    const timeoutMs = this.#options.openMsMax ?? OPEN_MS_MAX
    await ensureControlTopic(this.#cluster, timeoutMs)
    if (this.#isStopped) return
    let found = NO_CONTROL
    let isCaughtUp = false
    const reader = new TopicReader(this.#cluster, {
      topic: CONTROL_TOPIC,
      partitions: [0],
      isolation: 'read_committed',
      fetch: { waitMsMax: FETCH_WAIT_MS },
      onRecord: (record) => {
        const change = this.#decode(record)
        if (change === null) return
        found = applyControl(found, change)
        if (isCaughtUp) this.#tell(found)
      },
    })
    this.#reader = reader
    await reader.catchUp({ timeoutMs })
    isCaughtUp = true
    this.#tell(found)
    reader.follow({ onError: (error) => this.#onLost(error) })
  }

  #tell(state: ControlState): void {
    if (isDeepStrictEqual(state, this.#state)) return
    this.#state = state
    for (const listener of this.#listeners) listener(state)
  }

  #onLost(error: unknown): void {
    if (this.#isStopped) return
    this.#options.diagnostics.warn(
      { error, topic: CONTROL_TOPIC },
      'orders cannot be read at the moment; those known still hold',
    )
    this.#reopenTimer = this.#cluster.clock.after(REOPEN_MS, () => void this.#reopen())
  }

  async #reopen(): Promise<void> {
    try {
      await this.#reader?.stop()
      await this.#readAndFollow()
    } catch (error) {
      this.#onLost(error)
    }
  }

  /** The change that a record makes; null for one that is refused. */
  #decode({ key, value, offset, timestampMs }: RecordView): ControlChange | null {
    try {
      return decodeControl(key, value, { timestampMs })
    } catch (error) {
      if (!isFailure(error, 'GS_CONTROL_INVALID')) throw error
      this.#options.diagnostics.error(
        { error, topic: CONTROL_TOPIC, offset },
        'a record of the control topic is no order; it was refused and changes nothing',
      )
      this.#options.onRefused?.()
      return null
    }
  }
}

/** Creates the topic where it is missing. */
export async function ensureControlTopic(cluster: KafkaCluster, deadlineMs = OPEN_MS_MAX): Promise<void> {
  await cluster.ensureTopic(CONTROL_TOPIC, { partitionCount: 1, configs: TOPIC_CONFIGS, deadlineMs })
}

/** Writes one change without following the topic: for a command. Resolves when it is durable. */
export async function writeControl(cluster: KafkaCluster, change: ControlChange): Promise<void> {
  await ensureControlTopic(cluster, WRITE_MS_MAX)
  const { key, value } = encodeControl(change)
  const encoder = new BatchEncoder({ bytesInitial: 1_024 })
  encoder.start()
  encoder.append(cluster.clock.wallMs(), key, value, NO_HEADERS)
  const producer = new Producer(cluster, { idempotent: true, timeoutMs: WRITE_MS_MAX })
  try {
    await producer.send(CONTROL_TOPIC, 0, Buffer.from(encoder.finish()))
  } finally {
    await producer.stop()
  }
}
