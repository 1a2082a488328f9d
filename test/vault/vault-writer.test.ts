import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { outcomeOf } from '../../src/vault/append-outcome.ts'
import type { VaultWriterOptions } from '../../src/vault/vault-writer.ts'
import { VaultWriter } from '../../src/vault/vault-writer.ts'
import { startTestBroker } from '../support/broker.ts'
import { eventually } from '../support/eventually.ts'
import { consumeValues } from '../support/kcat.ts'

/** A TCP relay to the broker whose answers a test can cut off. */
async function startRelay(brokerPort: number) {
  const relay = { port: 0, cutAnswers: false, cutCount: 0, down: false }
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    if (relay.down) {
      client.destroy()
      return
    }
    const broker = connect({ host: '127.0.0.1', port: brokerPort })
    sockets.add(client)
    client.on('error', () => broker.destroy()).on('close', () => broker.destroy())
    broker.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.on('data', (chunk) => broker.write(chunk))
    broker.on('data', (chunk) => {
      // The broker has done what it was asked; its answer never arrives.
      if (relay.cutAnswers && chunk.length < 200) {
        relay.cutCount += 1
        relay.cutAnswers = false
        client.destroy()
      } else client.write(chunk)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  relay.port = (server.address() as AddressInfo).port
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return Object.assign(relay, {
    breakAll() {
      for (const socket of sockets) socket.destroy()
    },
  })
}

async function startWriter(options: Pick<VaultWriterOptions, 'onAcknowledged' | 'streamCountMax'> = {}) {
  const broker = await startTestBroker()
  const relay = await startRelay(broker.port)
  // Clients follow the advertised address, so the broker has to name the relay.
  await broker.broker.stop()
  const advertised = await broker.restart({ advertisedHost: '127.0.0.1', advertisedPort: relay.port })
  const cluster = new KafkaCluster({
    bootstrapServers: [`127.0.0.1:${relay.port}`],
    clientId: 'writer-test',
    clock: systemClock,
    random: systemRandom,
    diagnostics: silentDiagnostics,
  })
  await cluster.connect()
  const vault = new VaultWriter({
    cluster,
    upstream: { kind: 'embedded', syncPolicy: 'every-ack' },
    ...options,
  })
  onTestFinished(async () => {
    await vault.stop({ drainMs: 0 })
    await cluster.close()
    await advertised.stop()
  })
  return { vault, relay, broker: advertised, cluster }
}

function batchOf(...values: string[]): Buffer {
  const encoder = new BatchEncoder()
  encoder.start()
  for (const value of values) encoder.append(1_700_000_000_000, null, Buffer.from(value))
  return Buffer.from(encoder.finish())
}

describe('the vault writer', () => {
  test('creates a stream on opening, finds it again, and tells where a batch landed', async () => {
    const { vault } = await startWriter()
    expect(await vault.find('orders')).toBeNull()
    expect(vault.known('orders')).toBeNull()
    const stream = await vault.open('orders')
    expect(stream).toEqual({ stream: 'orders', topic: 'raw-vault.orders', partitionCount: 4 })
    expect(vault.known('orders')).toEqual(stream)
    expect(await vault.find('orders')).toEqual(stream)
    await vault.append(stream, 2, batchOf('a', 'b'), { acks: -1, deadlineMs: 5_000 })
    expect(
      await vault.append(stream, 2, batchOf('c', 'd', 'e'), { acks: -1, deadlineMs: 5_000 }),
    ).toMatchObject({
      topic: 'raw-vault.orders',
      partition: 2,
      baseOffset: 2,
      lastOffset: 4,
      recordCount: 3,
    })
    expect(vault.status()).toMatchObject({
      upstream: 'embedded',
      durability: 'fsynced',
      streamCount: 1,
      bytesInFlight: 0,
      batchesInFlight: 0,
    })
  })

  test('remembers nothing of names that are no streams, and finds one that others created soon', async () => {
    const { vault, cluster, relay } = await startWriter()
    const names = Array.from({ length: 500 }, (_, index) => `unknown-${index}`)
    expect(await Promise.all(names.map((name) => vault.find(name)))).toEqual(Array(500).fill(null))
    expect(cluster.snapshot.topicErrors.size).toBe(0)

    const other = new KafkaCluster({
      bootstrapServers: [`127.0.0.1:${relay.port}`],
      clientId: 'other',
      clock: systemClock,
      random: systemRandom,
      diagnostics: silentDiagnostics,
    })
    onTestFinished(() => other.close())
    await other.ensureTopic('raw-vault.unknown-7', { partitionCount: 2 })
    await eventually('it is found', async () => (await vault.find('unknown-7'))?.partitionCount === 2)
  })

  test('creates so many streams and no more, however many ask at once, and keeps those there are', async () => {
    const { vault } = await startWriter({ streamCountMax: 3 })
    await vault.open('first')
    const opened = await Promise.allSettled(['a', 'b', 'c', 'd', 'e'].map((name) => vault.open(name)))
    const refused = opened.filter((outcome) => outcome.status === 'rejected')
    expect(refused).toHaveLength(3)
    expect(refused[0]?.reason).toMatchObject({ code: 'GS_VAULT_STREAMS_MAX', facts: { streamCountMax: 3 } })
    expect(outcomeOf(refused[0]?.reason)).toMatchObject({
      kind: 'refused',
      kafkaErrorName: 'POLICY_VIOLATION',
    })
    expect(await vault.open('first')).toMatchObject({ topic: 'raw-vault.first' })
  })

  test('tells how long each acknowledgement took, with the time in which there was nobody to give it', async () => {
    const tookMs: number[] = []
    const { vault, relay } = await startWriter({ onAcknowledged: (ms) => tookMs.push(ms) })
    const stream = await vault.open('orders')
    await vault.append(stream, 0, batchOf('a'), { acks: -1, deadlineMs: 10_000 })
    relay.down = true
    relay.breakAll()
    const second = vault.appendOwn(stream, 0, batchOf('b'), { deadlineMs: 10_000 })
    await new Promise((resolve) => setTimeout(resolve, 300))
    relay.down = false
    await second
    expect(tookMs).toHaveLength(2)
    expect(tookMs[1]).toBeGreaterThanOrEqual(290)
  })

  test('stores a batch of its own once, although every answer about it got lost at first', async () => {
    const { vault, relay, broker } = await startWriter()
    const stream = await vault.open('orders')
    const expected: string[] = []
    for (let index = 0; index < 20; index += 1) {
      if (index % 4 === 1) relay.cutAnswers = true
      expected.push(`value ${index}`)
      await vault.appendOwn(stream, 0, batchOf(`value ${index}`), { deadlineMs: 10_000 })
    }
    expect(relay.cutCount).toBe(5)
    expect(vault.status().retryCount).toBeGreaterThanOrEqual(5)
    expect(await consumeValues(broker.address, 'raw-vault.orders')).toEqual(expected)
  })

  test('keeps the order of a partition through a connection that breaks', async () => {
    const { vault, relay, broker } = await startWriter()
    const stream = await vault.open('orders')
    const appends = Array.from({ length: 50 }, (_, index) =>
      vault.appendOwn(stream, 1, batchOf(`value ${index}`), { deadlineMs: 10_000 }),
    )
    setImmediate(() => relay.breakAll())
    await Promise.all(appends)
    expect(await consumeValues(broker.address, 'raw-vault.orders')).toEqual(
      Array.from({ length: 50 }, (_, index) => `value ${index}`),
    )
  })

  test('gives up at the deadline with "not stored" when the upstream cannot be reached', async () => {
    const { vault, relay } = await startWriter()
    const stream = await vault.open('orders')
    relay.down = true
    relay.breakAll()
    const startedMs = performance.now()
    const failure = await vault
      .append(stream, 0, batchOf('a'), { acks: -1, deadlineMs: 300 })
      .catch((error) => error)
    expect(outcomeOf(failure)).toEqual({ kind: 'not-stored' })
    expect(performance.now() - startedMs).toBeLessThan(2_000)
    relay.down = false
    await vault.append(stream, 0, batchOf('b'), { acks: -1, deadlineMs: 10_000 })
  })
})
