/** Requests to a test broker over a bare connection, and batches to send. */

import type { BatchStartOptions } from '../../src/batch/batch-encoder.ts'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { batchBytesAt } from '../../src/batch/record-batch.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { produceApi } from '../../src/wire/00-produce.ts'
import { fetchApi } from '../../src/wire/01-fetch.ts'
import { metadataApi } from '../../src/wire/03-metadata.ts'
import { createTopicsApi } from '../../src/wire/19-create-topics.ts'
import { RawConnection } from '../listener/raw-connection.ts'
import type { TestBroker, TestBrokerOptions } from '../support/broker.ts'
import { startTestBroker } from '../support/broker.ts'

const brokers: TestBroker[] = []
const connections: RawConnection[] = []

/** Starts a broker that `stopBrokers` ends. */
export async function startBroker(options: TestBrokerOptions = {}): Promise<TestBroker> {
  const broker = await startTestBroker(options)
  brokers.push(broker)
  return broker
}

/** Restarts a broker of `startBroker`. */
export async function restartBroker(
  broker: TestBroker,
  options: TestBrokerOptions = {},
): Promise<TestBroker> {
  const again = await broker.restart(options)
  brokers[brokers.indexOf(broker)] = again
  return again
}

export async function connectTo(broker: { readonly port: number }): Promise<RawConnection> {
  const connection = await RawConnection.open(broker.port)
  connections.push(connection)
  return connection
}

/** For `afterEach`. */
export async function stopBrokers(): Promise<void> {
  for (const connection of connections.splice(0)) connection.close()
  for (const broker of brokers.splice(0)) await broker.stop()
}

export const NOW_MS = 1_700_000_000_000

/** A batch of its own memory with these values; `null` values and keys are allowed. */
export function batchOf(
  values: readonly (string | null)[],
  options: BatchStartOptions & { timestamps?: readonly number[]; keys?: readonly string[] } = {},
): Buffer {
  const encoder = new BatchEncoder({ bytesMax: 64 * 1024 * 1024 })
  encoder.start(options)
  values.forEach((value, index) => {
    const key = options.keys?.[index]
    encoder.append(
      options.timestamps?.[index] ?? NOW_MS + index,
      key === undefined ? null : Buffer.from(key),
      value === null ? null : Buffer.from(value),
    )
  })
  return Buffer.from(encoder.finish())
}

export interface ProduceOptions {
  readonly topic?: string
  readonly partition?: number
  readonly acks?: number
  readonly version?: number
}

/** Produces one batch to one partition and gives its answer. */
export async function produce(
  connection: RawConnection,
  records: Buffer | null,
  options: ProduceOptions = {},
) {
  const { topic = 'orders', partition = 0, acks = -1, version = 9 } = options
  const response = await connection.request(produceApi, version, {
    acks,
    timeoutMs: 30_000,
    topicData: [{ name: topic, partitionData: [{ index: partition, records }] }],
  })
  const result = response.responses[0]?.partitionResponses[0]
  if (result === undefined) throw new Error('the answer names no partition')
  return result
}

export interface FetchOptions {
  readonly topic?: string
  readonly partition?: number
  readonly offset?: number
  readonly version?: number
  readonly maxWaitMs?: number
  readonly minBytes?: number
  readonly maxBytes?: number
  readonly partitionMaxBytes?: number
  readonly isolationLevel?: number
}

/** Sends a fetch of one partition, by name (versions up to 12), without waiting. */
export function sendFetch(connection: RawConnection, options: FetchOptions = {}): number {
  const version = options.version ?? 11
  connection.sendRequest(fetchApi, version, {
    maxWaitMs: options.maxWaitMs ?? 0,
    minBytes: options.minBytes ?? 1,
    maxBytes: options.maxBytes ?? 10_000_000,
    isolationLevel: options.isolationLevel ?? 0,
    topics: [
      {
        topic: options.topic ?? 'orders',
        partitions: [
          {
            partition: options.partition ?? 0,
            fetchOffset: options.offset ?? 0,
            partitionMaxBytes: options.partitionMaxBytes ?? 10_000_000,
          },
        ],
      },
    ],
  })
  return version
}

/** Fetches one partition and gives its answer. */
export async function fetchOne(connection: RawConnection, options: FetchOptions = {}) {
  const version = sendFetch(connection, options)
  const response = await connection.response(fetchApi, version)
  const result = response.responses[0]?.partitions[0]
  if (result === undefined) throw new Error('the answer names no partition')
  return result
}

/** Creates a topic and fails when that is refused. */
export async function createTopic(
  connection: RawConnection,
  name = 'orders',
  options: { partitionCount?: number; configs?: Record<string, string> } = {},
) {
  const response = await connection.request(createTopicsApi, 7, {
    topics: [
      {
        name,
        numPartitions: options.partitionCount ?? 1,
        replicationFactor: 1,
        configs: Object.entries(options.configs ?? {}).map(([key, value]) => ({ name: key, value })),
      },
    ],
  })
  const topic = response.topics[0]
  if (topic?.errorCode !== 0)
    throw new Error(`the topic was refused: ${topic?.errorCode} ${topic?.errorMessage}`)
  return topic
}

/** What Metadata says of these topics. */
export async function metadataOf(connection: RawConnection, names: readonly string[] | null, version = 12) {
  const topics = names === null ? null : names.map((name) => ({ name }))
  return connection.request(metadataApi, version, { topics })
}

/** Offsets and values of whole batches, as `offset:value`. */
export function contentsOf(records: Buffer | null): string[] {
  if (records === null) return []
  const cursor = new RecordCursor()
  const contents: string[] = []
  for (let at = 0; at < records.length; at += batchBytesAt(records, at)) {
    cursor.open(records, at)
    while (cursor.next()) contents.push(`${cursor.offset}:${cursor.valueBytes()?.toString() ?? 'null'}`)
  }
  return contents
}
