/**
 * A Kafka ingress on a free port before a real embedded broker, and a client that sends exactly the bytes a test
 * writes and gives back the frames that come.
 */

import { connect } from 'node:net'
import { Registry } from 'prom-client'
import { onTestFinished } from 'vitest'
import { BatchEncoder, encodeHeaders } from '../../src/batch/batch-encoder.ts'
import type { Compression } from '../../src/batch/record-batch.ts'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { IngressMetrics } from '../../src/ingress/ingress-metrics.ts'
import type { KafkaIngressOptions } from '../../src/ingress/kafka/kafka-ingress.ts'
import { KafkaIngress } from '../../src/ingress/kafka/kafka-ingress.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import { Admission } from '../../src/listener/admission.ts'
import type { Diagnostics } from '../../src/telemetry/diagnostics.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import type { Vault } from '../../src/vault/vault-writer.ts'
import { VaultWriter } from '../../src/vault/vault-writer.ts'
import { produceApi } from '../../src/wire/00-produce.ts'
import { metadataApi } from '../../src/wire/03-metadata.ts'
import type { AnyApi, RequestInputOf, ResponseOf } from '../../src/wire/api.ts'
import { decodeResponse, encodeRequestFrame } from '../../src/wire/frame.ts'
import { FrameSplitter } from '../../src/wire/frame-splitter.ts'
import type { TestBroker, TestBrokerOptions } from '../support/broker.ts'
import { startTestBroker } from '../support/broker.ts'

export interface KafkaFixture {
  readonly ingress: KafkaIngress
  readonly broker: TestBroker
  readonly cluster: KafkaCluster
  readonly vault: VaultWriter
  readonly admission: Admission
  readonly port: number
  readonly address: string
  readonly rejected: (reason: string) => Promise<number>
  readonly client: () => Promise<RawKafkaClient>
  /** Stops everything, last started first. */
  readonly close: () => Promise<void>
}

export interface KafkaFixtureOptions
  extends Pick<
    KafkaIngressOptions,
    'limits' | 'autoCreateStreams' | 'advertisedHost' | 'advertisedPort' | 'host'
  > {
  readonly admissionBytesMax: number
  readonly diagnostics: Diagnostics
  readonly broker: TestBrokerOptions
  readonly streamCountMax: number
  /** Puts something between the ingress and the real vault. */
  readonly wrapVault: (vault: VaultWriter) => Vault
}

/** For one test: everything stops when it is over. */
export async function startKafka(options: Partial<KafkaFixtureOptions> = {}): Promise<KafkaFixture> {
  const fixture = await openKafka(options)
  onTestFinished(fixture.close)
  return fixture
}

/** For several tests: whoever opens it closes it. */
export async function openKafka(options: Partial<KafkaFixtureOptions> = {}): Promise<KafkaFixture> {
  const {
    admissionBytesMax = 64 * 1024 * 1024,
    diagnostics = silentDiagnostics,
    wrapVault,
    streamCountMax = 1_000,
    ...own
  } = options
  const broker = await startTestBroker(options.broker)
  const cluster = new KafkaCluster({
    bootstrapServers: [broker.address],
    clientId: 'ingress-test',
    clock: systemClock,
    random: systemRandom,
    diagnostics,
  })
  await cluster.connect()
  const vault = new VaultWriter({
    cluster,
    upstream: { kind: 'embedded', syncPolicy: 'every-ack' },
    streamCountMax,
  })
  const registry = new Registry()
  const admission = new Admission({ bytesMax: admissionBytesMax })
  const ingress = await KafkaIngress.start({
    host: '127.0.0.1',
    port: 0,
    vault: wrapVault?.(vault) ?? vault,
    cluster,
    admission,
    metrics: new IngressMetrics(registry, admission),
    clock: systemClock,
    diagnostics,
    ...own,
  })
  return {
    ingress,
    broker,
    cluster,
    vault,
    admission,
    port: ingress.port,
    address: `127.0.0.1:${ingress.port}`,
    client: async () => {
      const client = await RawKafkaClient.open(ingress.port)
      onTestFinished(() => void client.socket.destroy())
      return client
    },
    async close() {
      await ingress.stop({ drainMs: 0 })
      await vault.stop({ drainMs: 0 })
      await cluster.close()
      await broker.stop()
    },
    async rejected(reason) {
      const metric = await registry.getSingleMetric('gophership_ingress_rejected_total')?.get()
      return metric?.values.find(({ labels }) => labels['reason'] === reason)?.value ?? 0
    },
  }
}

/** A connection that keeps every frame it is sent, and knows when it was closed. */
export class RawKafkaClient {
  readonly frames: Buffer[] = []
  readonly #socket: ReturnType<typeof connect>
  readonly #splitter = new FrameSplitter({ frameBytesMax: 64 * 1024 * 1024 })
  #wake: (() => void)[] = []
  #closed = false
  #correlationId = 0

  static async open(port: number): Promise<RawKafkaClient> {
    const client = new RawKafkaClient(port)
    await new Promise((resolve) => client.#socket.once('connect', resolve))
    return client
  }

  private constructor(port: number) {
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true })
    this.#socket.on('data', (chunk: Buffer) => {
      this.frames.push(...this.#splitter.feed(chunk).map((frame) => Buffer.from(frame)))
      this.#notify()
    })
    this.#socket.on('error', () => {})
    const closed = () => {
      this.#closed = true
      this.#notify()
    }
    this.#socket.on('end', closed)
    this.#socket.on('close', closed)
  }

  get closed(): boolean {
    return this.#closed
  }

  get socket(): ReturnType<typeof connect> {
    return this.#socket
  }

  write(...parts: (Buffer | readonly Buffer[])[]): void {
    this.#socket.write(Buffer.concat(parts.flat()))
  }

  /** Sends a well-made request; gives its correlation id. */
  send<A extends AnyApi>(api: A, version: number, value: RequestInputOf<A>): number {
    this.#correlationId += 1
    this.write(
      encodeRequestFrame(api, version, { correlationId: this.#correlationId, clientId: 'raw' }, value),
    )
    return this.#correlationId
  }

  /** Sends one request and waits for its answer. */
  async ask<A extends AnyApi>(api: A, version: number, value: RequestInputOf<A>): Promise<ResponseOf<A>> {
    this.send(api, version, value)
    return decodeResponse(api, version, await this.nextFrame()).value
  }

  /** The next frame; rejects when the connection closes first. */
  async nextFrame(withinMs = 10_000): Promise<Buffer> {
    await this.#until(() => this.frames.length > 0 || this.#closed, withinMs)
    const frame = this.frames.shift()
    if (frame === undefined) throw new Error('the connection was closed without an answer')
    return frame
  }

  /** Resolves once the server has closed the connection. */
  untilClosed(withinMs = 10_000): Promise<void> {
    return this.#until(() => this.#closed, withinMs)
  }

  async #until(isSo: () => boolean, withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs
    while (!isSo()) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) throw new Error(`nothing came within ${withinMs} ms`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

/** A batch of text values, as a client would send it. */
export function batchOf(
  values: readonly string[],
  options: {
    compression?: Compression
    producerId?: number
    producerEpoch?: number
    baseSequence?: number
    isTransactional?: boolean
  } = {},
): Buffer {
  const encoder = new BatchEncoder({ bytesMax: 20_000_000 })
  encoder.start(options)
  const headers = encodeHeaders([{ key: 'h', value: Buffer.from('v') }])
  for (const value of values) encoder.append(1_700_000_000_000, null, Buffer.from(value), headers)
  return Buffer.from(encoder.finish())
}

/** A Produce request for one partition. */
export function produceOf(
  topic: string,
  records: Buffer | null,
  {
    partition = 0,
    acks = -1,
    timeoutMs = 10_000,
  }: { partition?: number; acks?: number; timeoutMs?: number } = {},
): RequestInputOf<typeof produceApi> {
  return { acks, timeoutMs, topicData: [{ name: topic, partitionData: [{ index: partition, records }] }] }
}

/** Creates a stream the way a client does: by asking for its metadata. */
export async function createStream(client: RawKafkaClient, stream: string): Promise<void> {
  await client.ask(metadataApi, 9, { topics: [{ name: stream }], allowAutoTopicCreation: true })
}

/** Sends one batch and gives the partition's answer. */
export async function produce(
  client: RawKafkaClient,
  topic: string,
  records: Buffer | null,
  options: { partition?: number; acks?: number; timeoutMs?: number; version?: number } = {},
) {
  const { version = 9, ...rest } = options
  const answer = await client.ask(produceApi, version, produceOf(topic, records, rest))
  const found = answer.responses[0]?.partitionResponses[0]
  if (found === undefined) throw new Error('the answer has no partition')
  return found
}
