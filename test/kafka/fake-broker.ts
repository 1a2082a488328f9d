/**
 * A scripted Kafka server: it answers from the wire tables' own server side, keeps what is produced in memory, and does
 * on demand what no real broker does on demand: drop a connection after the write, answer late, wrongly or not at all.
 *
 *     const broker = await FakeBroker.start({ topics: { orders: 2 } })
 *     broker.script(produceApi, drop, answerWith(…))   // one step per request; afterwards the default again
 */

import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import { recordCountAt } from '../../src/batch/record-batch.ts'
import { produceApi } from '../../src/wire/00-produce.ts'
import { fetchApi } from '../../src/wire/01-fetch.ts'
import { listOffsetsApi } from '../../src/wire/02-list-offsets.ts'
import { metadataApi } from '../../src/wire/03-metadata.ts'
import { findCoordinatorApi } from '../../src/wire/10-find-coordinator.ts'
import { apiVersionsApi } from '../../src/wire/18-api-versions.ts'
import { initProducerIdApi } from '../../src/wire/22-init-producer-id.ts'
import { addPartitionsToTxnApi } from '../../src/wire/24-add-partitions-to-txn.ts'
import { addOffsetsToTxnApi } from '../../src/wire/25-add-offsets-to-txn.ts'
import { endTxnApi } from '../../src/wire/26-end-txn.ts'
import { txnOffsetCommitApi } from '../../src/wire/28-txn-offset-commit.ts'
import type { AnyApi, RequestOf, ResponseInputOf } from '../../src/wire/api.ts'
import { ALL_APIS, findApi } from '../../src/wire/apis.ts'
import { KAFKA_ERROR } from '../../src/wire/error-codes.ts'
import { decodeRequestHeader, encodeResponseFrame } from '../../src/wire/frame.ts'
import { FrameSplitter } from '../../src/wire/frame-splitter.ts'

/** The producer id of every transactional id. */
export const TRANSACTIONAL_PRODUCER_ID = 7000

export interface FakeRequest<A extends AnyApi> {
  readonly api: A
  readonly version: number
  readonly correlationId: number
  readonly value: RequestOf<A>
  readonly socket: Socket
  /** What the default would answer; calling it has the default's effects (a produced batch is stored). */
  readonly answer: () => ResponseInputOf<A>
}

/** What happens to one request: an answer, raw bytes instead of a frame, or null for no answer at all. */
export type Step<A extends AnyApi> = (
  request: FakeRequest<A>,
) => ResponseInputOf<A> | Buffer | null | Promise<ResponseInputOf<A> | Buffer | null>

/** Ends the connection; nothing was done. */
export const drop: Step<AnyApi> = ({ socket }) => {
  socket.destroy()
  return null
}

/** Does what was asked, then ends the connection instead of answering. */
export const doThenDrop: Step<AnyApi> = ({ socket, answer }) => {
  answer()
  socket.destroy()
  return null
}

/** Never answers. */
export const keepSilent: Step<AnyApi> = () => null

export interface FakeBrokerOptions {
  /** Partition counts by topic. */
  readonly topics?: Readonly<Record<string, number>>
  readonly nodeId?: number
  /** Offered instead of what the tables have; an API left out is not offered. */
  readonly versions?: ReadonlyMap<number, readonly [number, number]>
  /** Levels of features that the cluster has finalized. */
  readonly features?: Readonly<Record<string, number>>
}

export class FakeBroker {
  readonly nodeId: number
  readonly topics: Map<string, number>
  /** Leaders other than this node, by `topic-partition`. */
  readonly leaders = new Map<string, number>()
  /** Other nodes named in the metadata. */
  readonly peers: FakeBroker[] = []
  /** Every request, in the order of arrival. */
  readonly requests: FakeRequest<AnyApi>[] = []
  readonly sockets = new Set<Socket>()
  /** Who coordinates every group and transaction; this node unless said otherwise. */
  coordinator: FakeBroker | null = null
  /** By transactional id: the epoch given last. */
  readonly epochs = new Map<string, number>()
  readonly #options: FakeBrokerOptions
  readonly #server: Server
  readonly #scripts = new Map<number, Step<AnyApi>[]>()
  readonly #always = new Map<number, Step<AnyApi>>()
  readonly #logs = new Map<string, { readonly baseOffset: number; readonly batch: Buffer }[]>()
  #producerId = 1000

  private constructor(options: FakeBrokerOptions, server: Server) {
    this.#options = options
    this.#server = server
    this.nodeId = options.nodeId ?? 1
    this.topics = new Map(Object.entries(options.topics ?? {}))
    server.on('connection', (socket) => this.#serve(socket))
  }

  static async start(options: FakeBrokerOptions = {}): Promise<FakeBroker> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1')
    const broker = new FakeBroker(options, server)
    await once(server, 'listening')
    return broker
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** The next requests of this API go through these steps, one each. */
  script<A extends AnyApi>(api: A, ...steps: Step<A>[]): void {
    const queued = this.#scripts.get(api.key) ?? []
    this.#scripts.set(api.key, [...queued, ...(steps as unknown as Step<AnyApi>[])])
  }

  /** Every request of this API that no script takes. */
  always<A extends AnyApi>(api: A, step: Step<A>): void {
    this.#always.set(api.key, step as unknown as Step<AnyApi>)
  }

  requestsOf<A extends AnyApi>(api: A): FakeRequest<A>[] {
    return this.requests.filter((request) => request.api.key === api.key) as unknown as FakeRequest<A>[]
  }

  /** The batches stored in a partition, as they came. */
  log(topic: string, partition: number): Buffer[] {
    return (this.#logs.get(`${topic}-${partition}`) ?? []).map(({ batch }) => batch)
  }

  /** Puts a batch into a partition's log; returns its offset. */
  append(topic: string, partition: number, batch: Buffer): number {
    const key = `${topic}-${partition}`
    const log = this.#logs.get(key) ?? []
    const baseOffset = this.#endOffset(topic, partition)
    const copy = Buffer.from(batch)
    copy.writeBigInt64BE(BigInt(baseOffset), 0)
    log.push({ baseOffset, batch: copy })
    this.#logs.set(key, log)
    return baseOffset
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #serve(socket: Socket): void {
    this.sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.sockets.delete(socket))
    const splitter = new FrameSplitter({ frameBytesMax: 256 * 1024 * 1024 })
    let answered: Promise<unknown> = Promise.resolve()
    socket.on('data', (chunk: Buffer) => {
      for (const frame of splitter.feed(chunk)) {
        if (socket.destroyed) return
        const reply = this.#handle(frame, socket)
        // In order, as Kafka does.
        answered = Promise.all([answered, reply]).then(([, buffers]) => {
          if (!socket.destroyed) for (const buffer of buffers) socket.write(buffer)
        })
      }
    })
  }

  async #handle(frame: Buffer, socket: Socket): Promise<readonly Buffer[]> {
    const { apiKey, apiVersion, correlationId, bodyStart } = decodeRequestHeader(frame)
    const api = findApi(apiKey) as AnyApi
    const request: FakeRequest<AnyApi> = {
      api,
      version: apiVersion,
      correlationId,
      value: apiVersion <= api.versionMax ? api.decodeRequest(frame, bodyStart, apiVersion) : {},
      socket,
      answer: () => this.#defaultAnswer(request) as never,
    }
    this.requests.push(request)
    const step = this.#scripts.get(apiKey)?.shift() ?? this.#always.get(apiKey)
    const answer = step === undefined ? request.answer() : await step(request)
    if (answer === null) return []
    if (Buffer.isBuffer(answer)) return [answer]
    const isUnanswered =
      apiKey === produceApi.key && (request as FakeRequest<typeof produceApi>).value.acks === 0
    return isUnanswered ? [] : encodeResponseFrame(api, apiVersion, correlationId, answer)
  }

  #defaultAnswer(request: FakeRequest<AnyApi>): object {
    const value = request.value as never
    switch (request.api.key as number) {
      case apiVersionsApi.key as number:
        return this.#apiVersions()
      case metadataApi.key as number:
        return this.#metadata(value)
      case produceApi.key as number:
        return this.#produce(value)
      case fetchApi.key as number:
        return this.#fetch(value)
      case listOffsetsApi.key as number:
        return this.#listOffsets(value)
      case initProducerIdApi.key as number:
        return this.#initProducerId(value)
      case findCoordinatorApi.key as number:
        return this.#findCoordinator(value)
      case addPartitionsToTxnApi.key as number:
        return addPartitionsAnswer(value, () => KAFKA_ERROR.NONE)
      case addOffsetsToTxnApi.key as number:
        return {}
      case txnOffsetCommitApi.key as number:
        return txnOffsetCommitAnswer(value, KAFKA_ERROR.NONE)
      case endTxnApi.key as number:
        return this.#endTxn(request as never)
      default:
        throw new Error(`the fake broker has no answer to ${request.api.name}: script one`)
    }
  }

  #apiVersions(): ResponseInputOf<typeof apiVersionsApi> {
    const ranges =
      this.#options.versions ??
      new Map(ALL_APIS.map((api) => [api.key as number, [api.versionMin, api.versionMax]] as const))
    return {
      apiKeys: Array.from(ranges, ([apiKey, [minVersion, maxVersion]]) => ({
        apiKey,
        minVersion,
        maxVersion,
      })),
      finalizedFeatures: Object.entries(this.#options.features ?? {}).map(([name, level]) => ({
        name,
        maxVersionLevel: level,
        minVersionLevel: level,
      })),
    }
  }

  /** A transactional id keeps its producer id, with a new epoch each time. */
  #initProducerId({ transactionalId }: RequestOf<typeof initProducerIdApi>) {
    if (transactionalId === null) return { producerId: this.#producerId++, producerEpoch: 0 }
    const producerEpoch = (this.epochs.get(transactionalId) ?? -1) + 1
    this.epochs.set(transactionalId, producerEpoch)
    return { producerId: TRANSACTIONAL_PRODUCER_ID, producerEpoch }
  }

  #findCoordinator({ key, coordinatorKeys }: RequestOf<typeof findCoordinatorApi>) {
    const { nodeId, port } = this.coordinator ?? this
    const node = { nodeId, host: '127.0.0.1', port }
    return { key, ...node, coordinators: coordinatorKeys.map((each) => ({ key: each, ...node })) }
  }

  #endTxn({ value, version }: FakeRequest<typeof endTxnApi>): ResponseInputOf<typeof endTxnApi> {
    if (version < 5) return {}
    const producerEpoch = value.producerEpoch + 1
    this.epochs.set(value.transactionalId, producerEpoch)
    return { producerId: value.producerId, producerEpoch }
  }

  #metadata({ topics }: RequestOf<typeof metadataApi>): ResponseInputOf<typeof metadataApi> {
    const names = topics === null ? [...this.topics.keys()] : topics.map(({ name }) => name ?? '')
    return {
      clusterId: 'fake',
      controllerId: this.nodeId,
      brokers: [this, ...this.peers].map(({ nodeId, port }) => ({ nodeId, host: '127.0.0.1', port })),
      topics: names.map((name) => {
        const partitionCount = this.topics.get(name)
        if (partitionCount === undefined) return { name, errorCode: KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION }
        return {
          name,
          topicId: topicIdOf(name),
          partitions: Array.from({ length: partitionCount }, (_, partitionIndex) => ({
            partitionIndex,
            leaderId: this.leaders.get(`${name}-${partitionIndex}`) ?? this.nodeId,
            leaderEpoch: 0,
          })),
        }
      }),
    }
  }

  #produce({ topicData }: RequestOf<typeof produceApi>): ResponseInputOf<typeof produceApi> {
    return {
      responses: topicData.map(({ name, partitionData }) => ({
        name,
        partitionResponses: partitionData.map(({ index, records }) => ({
          index,
          baseOffset: this.append(name, index, records ?? Buffer.alloc(61)),
          logStartOffset: 0,
        })),
      })),
    }
  }

  #fetch({ topics }: RequestOf<typeof fetchApi>): ResponseInputOf<typeof fetchApi> {
    return {
      responses: topics.map(({ topic, topicId, partitions }) => {
        const name = topic === '' ? this.#nameOf(topicId) : topic
        return {
          topic,
          topicId,
          partitions: partitions.map(({ partition, fetchOffset }) => ({
            partitionIndex: partition,
            highWatermark: this.#endOffset(name, partition),
            lastStableOffset: this.#endOffset(name, partition),
            logStartOffset: 0,
            records: this.#read(name, partition, fetchOffset),
          })),
        }
      }),
    }
  }

  #listOffsets({ topics }: RequestOf<typeof listOffsetsApi>): ResponseInputOf<typeof listOffsetsApi> {
    return {
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, timestamp }) => ({
          partitionIndex,
          offset: timestamp === -2 ? 0 : this.#endOffset(name, partitionIndex),
        })),
      })),
    }
  }

  #endOffset(topic: string, partition: number): number {
    const last = this.#logs.get(`${topic}-${partition}`)?.at(-1)
    return last === undefined ? 0 : last.baseOffset + recordCountAt(last.batch, 0)
  }

  #read(topic: string, partition: number, fetchOffset: number): Buffer[] {
    return (this.#logs.get(`${topic}-${partition}`) ?? [])
      .filter(({ baseOffset, batch }) => baseOffset + recordCountAt(batch, 0) > fetchOffset)
      .map(({ batch }) => batch)
  }

  #nameOf(topicId: Buffer): string {
    for (const name of this.topics.keys()) if (topicIdOf(name).equals(topicId)) return name
    return ''
  }
}

/** An AddPartitionsToTxn answer with a code for each partition. */
export function addPartitionsAnswer(
  { v3AndBelowTopics }: RequestOf<typeof addPartitionsToTxnApi>,
  codeOf: (topic: string, partition: number) => number,
): ResponseInputOf<typeof addPartitionsToTxnApi> {
  return {
    resultsByTopicV3AndBelow: v3AndBelowTopics.map(({ name, partitions }) => ({
      name,
      resultsByPartition: partitions.map((partitionIndex) => ({
        partitionIndex,
        partitionErrorCode: codeOf(name, partitionIndex),
      })),
    })),
  }
}

/** A TxnOffsetCommit answer with one code for all partitions. */
export function txnOffsetCommitAnswer(
  { topics }: RequestOf<typeof txnOffsetCommitApi>,
  errorCode: number,
): ResponseInputOf<typeof txnOffsetCommitApi> {
  return {
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    })),
  }
}

/** An id that is the topic's name, padded. */
export function topicIdOf(name: string): Buffer {
  return Buffer.from(name.padEnd(16, '.').slice(0, 16))
}

/** A Produce answer that refuses every partition of the request. */
export function refuseProduce(errorCode: number): Step<typeof produceApi> {
  return ({ value }) => ({
    responses: value.topicData.map(({ name, partitionData }) => ({
      name,
      partitionResponses: partitionData.map(({ index }) => ({ index, errorCode, baseOffset: -1 })),
    })),
  })
}
