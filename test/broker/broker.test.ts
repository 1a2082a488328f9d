import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Clock, Timer } from '../../src/core/clock.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { Diagnostics } from '../../src/telemetry/diagnostics.ts'
import { fetchApi } from '../../src/wire/01-fetch.ts'
import { metadataApi } from '../../src/wire/03-metadata.ts'
import { findCoordinatorApi } from '../../src/wire/10-find-coordinator.ts'
import { apiVersionsApi } from '../../src/wire/18-api-versions.ts'
import { decodeResponse, encodeRequestFrame } from '../../src/wire/frame.ts'
import { startTestBroker } from '../support/broker.ts'
import { eventually } from '../support/eventually.ts'
import { allowedUnderAttack, p99OfRoundTrips } from '../support/round-trips.ts'
import {
  batchOf,
  connectTo,
  contentsOf,
  createTopic,
  fetchOne,
  metadataOf,
  produce,
  restartBroker,
  startBroker,
  stopBrokers,
} from './broker-client.ts'
import { TransactionClient } from './transactions/transaction-client.ts'

afterEach(stopBrokers)

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

describe('starting and stopping', () => {
  it('keeps every topic and record over restarts', async () => {
    let broker = await startBroker()
    for (let round = 0; round < 3; round += 1) {
      const connection = await connectTo(broker)
      await metadataOf(connection, ['orders'])
      await produce(connection, batchOf([`round ${round}`]))
      broker = await restartBroker(broker)
    }

    expect(contentsOf((await fetchOne(await connectTo(broker))).records)).toEqual([
      '0:round 0',
      '1:round 1',
      '2:round 2',
    ])
  })

  it('is ready in half a second with a hundred partitions on disk', async () => {
    const broker = await startBroker({ defaultPartitionCount: 10 })
    const connection = await connectTo(broker)
    await metadataOf(
      connection,
      Array.from({ length: 10 }, (_, index) => `topic-${index}`),
    )
    const tookMs: number[] = []
    const said: Diagnostics = {
      debug() {},
      info: (fields) => tookMs.push(Number(fields['tookMs'] ?? 0)),
      warn() {},
      error() {},
      child: () => said,
    }

    await restartBroker(broker, { diagnostics: said })

    // Twice the goal: the machine that runs the tests has other things to do.
    expect(Math.max(...tookMs)).toBeLessThan(1000)
  })

  it('refuses a folder that another broker has, and a port that is taken, leaving nothing open', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'gophership-broker-'))
    const first = await startTestBroker({ directory })
    await expect(startTestBroker({ directory })).rejects.toMatchObject({ code: 'GS_STORAGE_LOCKED' })
    const other = await mkdtemp(join(tmpdir(), 'gophership-broker-'))
    await expect(startTestBroker({ directory: other, port: first.port })).rejects.toMatchObject({
      code: 'GS_LISTEN_FAILED',
    })

    const again = await startTestBroker({ directory: other })

    await Promise.all([first.stop(), again.stop()])
    await Promise.all([directory, other].map((path) => rm(path, { recursive: true })))
  })

  it('leaves no timer of its groups and transactions when the port is taken', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'gophership-broker-'))
    const first = await startBroker({ directory })
    const connection = await connectTo(first)
    await createTopic(connection)
    const producer = await TransactionClient.begun(connection)
    await producer.add()
    await first.stop()
    const other = await startBroker()
    const pending = new Set<Timer>()
    const clock: Clock = {
      ...systemClock,
      after(delayMs, run) {
        const timer = systemClock.after(delayMs, () => {
          pending.delete(counted)
          run()
        })
        const counted = {
          cancel() {
            pending.delete(counted)
            timer.cancel()
          },
        }
        pending.add(counted)
        return counted
      },
    }

    await expect(startTestBroker({ directory, port: other.port, clock })).rejects.toMatchObject({
      code: 'GS_LISTEN_FAILED',
    })

    expect(pending.size).toBe(0)
    await rm(directory, { recursive: true })
  })

  it('may be stopped twice', async () => {
    const broker = await startBroker()

    await Promise.all([broker.broker.stop(), broker.broker.stop()])
    await broker.broker.stop()
  })
})

describe('retention', () => {
  it('deletes old segments in the background, and readers learn the new start', async () => {
    const broker = await startBroker({ retentionCheckMs: 20 })
    const connection = await connectTo(broker)
    await createTopic(connection, 'orders', {
      configs: { 'segment.bytes': '1048576', 'retention.bytes': '1048576' },
    })

    for (let count = 0; count < 60; count += 1) await produce(connection, batchOf(['x'.repeat(100_000)]))

    await eventually(
      'old segments are gone',
      async () => (await fetchOne(connection, { offset: 59 })).logStartOffset > 0,
    )
    expect(broker.broker.status().storedBytes).toBeLessThan(5_000_000)
  })

  it('leaves a compacted topic alone', async () => {
    const broker = await startBroker({ retentionCheckMs: 10 })
    const connection = await connectTo(broker)
    await createTopic(connection, 'orders', {
      configs: { 'segment.bytes': '1048576', 'retention.bytes': '1', 'cleanup.policy': 'compact' },
    })

    for (let count = 0; count < 30; count += 1)
      await produce(connection, batchOf(['x'.repeat(100_000)], { keys: ['k'] }))
    await new Promise((resolve) => setTimeout(resolve, 60))

    expect((await fetchOne(connection)).logStartOffset).toBe(0)
  })
})

describe('connections to the broker', () => {
  it.each([
    ['a negative size (K1)', int32(-1)],
    ['a size of 2^31 - 1 (K2)', int32(2147483647)],
    ['an HTTP request (K2, K37)', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a TLS handshake (K37)', Buffer.from('16030100c8010000c40303', 'hex')],
    ['an empty frame (K4)', int32(0)],
    ['an unknown API (K5)', Buffer.from('0000000a7fff000000000001ffff', 'hex')],
    ['a transaction API, which is not offered (K5, K25)', Buffer.from('0000000a0018000000000001ffff', 'hex')],
    ['an unknown version of Metadata (K7)', Buffer.from('0000000a0003006300000001ffff', 'hex')],
    ['a topic count of 2^31 - 1 (K9)', Buffer.from('0000000e0003000000000001ffff7fffffff', 'hex')],
  ])('end at %s, and only they', async (_, bytes) => {
    const broker = await startBroker()
    const good = await connectTo(broker)
    const bad = await connectTo(broker)

    bad.send(bytes)

    await expect(bad.frame()).rejects.toThrow('closed')
    expect((await good.request(apiVersionsApi, 0, {})).errorCode).toBe(0)
    expect(await broker.metrics.getSingleMetricAsString('gophership_broker_rejected_total')).toMatch(
      /reason="[a-z-]+"/,
    )
  })

  it('end when a frame takes too long (K31) or the client never reads (K33)', async () => {
    const broker = await startBroker({ listener: { frameMsMax: 400, writeStallMsMax: 100 } })
    const slow = await connectTo(broker)
    const deaf = await connectTo(broker)
    await createTopic(deaf)
    for (let count = 0; count < 12; count += 1) await produce(deaf, batchOf(['x'.repeat(1_000_000)]))
    slow.send(Buffer.concat([int32(1000), Buffer.alloc(10)]))
    deaf.socket.pause()
    for (let count = 0; count < 20; count += 1) {
      deaf.sendRequest(fetchApi, 4, {
        maxBytes: 100_000_000,
        topics: [
          { topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 100_000_000 }] },
        ],
      })
    }

    await slow.closed

    await eventually('both were counted', async () => {
      const text = await broker.metrics.getSingleMetricAsString('gophership_broker_rejected_total')
      return text.includes('frame-slow') && text.includes('write-')
    })
  })

  it('end when half a frame is followed by silence, or nothing ever comes (K31)', async () => {
    const broker = await startBroker({ listener: { frameMsMax: 50, idleMsMax: 100 } })
    const half = await connectTo(broker)
    const silent = await connectTo(broker)

    half.send(Buffer.concat([int32(16 * 1024 * 1024), Buffer.alloc(100)]))

    await Promise.all([half.closed, silent.closed])
    const text = await broker.metrics.getSingleMetricAsString('gophership_broker_rejected_total')
    expect([text.includes('frame-slow'), text.includes('idle')]).toEqual([true, true])
  })

  it('that declare 16 MiB and send 1 KiB, 64 of them, do not slow down an honest producer (K31)', async () => {
    const broker = await startBroker()
    const honest = await connectTo(broker)
    await createTopic(honest)
    const batch = batchOf(['x'.repeat(16_000)])
    const roundTrip = async () => expect((await produce(honest, Buffer.from(batch))).errorCode).toBe(0)
    await p99OfRoundTrips(50, roundTrip)
    const before = await p99OfRoundTrips(150, roundTrip)

    const silent = await Promise.all(Array.from({ length: 64 }, () => connectTo(broker)))
    for (const connection of silent)
      connection.send(Buffer.concat([int32(16 * 1024 * 1024), Buffer.alloc(1024)]))
    const after = await p99OfRoundTrips(150, roundTrip)

    expect(after).toBeLessThan(allowedUnderAttack(before))
  })

  it('may carry a null, a long, or a broken client id, and any correlation id (K8)', async () => {
    const connection = await connectTo(await startBroker())
    const requestOf = (correlationId: number, clientId: string | null) =>
      Buffer.concat(encodeRequestFrame(apiVersionsApi, 0, { correlationId, clientId }, {}))
    const broken = requestOf(7, 'ab')
    broken.fill(0xff, broken.length - 2)

    for (const frame of [requestOf(-1, null), requestOf(-2147483648, 'x'.repeat(32_000)), broken])
      connection.send(frame)

    for (const expected of [-1, -2147483648, 7])
      expect(decodeResponse(apiVersionsApi, 0, await connection.frame()).correlationId).toBe(expected)
  })

  it('get the same answers however their requests are cut, and 10,000 in one piece in order (K32)', async () => {
    const connection = await connectTo(await startBroker())
    const requestOf = (correlationId: number) =>
      Buffer.concat(encodeRequestFrame(metadataApi, 9, { correlationId, clientId: 'cut' }, { topics: [] }))
    for (let at = 1; at < requestOf(0).length; at += 1) {
      connection.send(requestOf(at).subarray(0, at))
      await new Promise((resolve) => setImmediate(resolve))
      connection.send(requestOf(at).subarray(at))
      expect(decodeResponse(metadataApi, 9, await connection.frame()).correlationId).toBe(at)
    }

    connection.send(Buffer.concat(Array.from({ length: 10_000 }, (_, index) => requestOf(index))))
    const ids: number[] = []
    while (ids.length < 10_000) ids.push((await connection.frame()).readInt32BE(0))

    expect(ids).toEqual(Array.from({ length: 10_000 }, (_, index) => index))
  })

  it('are limited for each address (K35)', async () => {
    const broker = await startBroker({ listener: { connectionsPerAddressMax: 1 } })
    const first = await connectTo(broker)

    const second = await connectTo(broker).catch(() => null)
    await second?.closed

    expect((await first.request(apiVersionsApi, 0, {})).errorCode).toBe(0)
    expect(await broker.metrics.getSingleMetricAsString('gophership_broker_rejected_total')).toContain(
      'connections-per-address-max',
    )
  })

  it('are limited (K35)', async () => {
    const broker = await startBroker({ listener: { connectionsMax: 1 } })
    const first = await connectTo(broker)

    const second = await connectTo(broker).catch(() => null)
    await second?.closed

    expect((await first.request(apiVersionsApi, 0, {})).errorCode).toBe(0)
  })

  it('that half-close or reset after sending leave what was acknowledged and nothing odd (K34)', async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)
    await createTopic(connection)
    for (let count = 0; count < 10; count += 1) {
      const leaver = await connectTo(broker)
      const sent = produce(leaver, batchOf([`${count}`])).catch(() => null)
      if (count % 2 === 0) leaver.socket.end()
      else leaver.socket.resetAndDestroy()
      await sent
    }

    const contents = contentsOf((await fetchOne(connection)).records)

    expect(contents.map((content) => content.split(':')[1])).toEqual(
      expect.arrayContaining(['0', '2', '4', '6', '8']),
    )
    expect(broker.broker.status().failedPartitions).toEqual([])
  })

  it('may ask for much and get a bounded answer, and for absurdly much and get none (K36)', async () => {
    const broker = await startBroker({ autoCreateTopics: false })
    const connection = await connectTo(broker)
    const names = Array.from({ length: 1_000_000 }, (_, index) => `t${index}`)

    const metadata = await metadataOf(connection, names.slice(0, 50_000))
    const coordinators = await connection.request(findCoordinatorApi, 4, {
      coordinatorKeys: names.slice(0, 50_000),
    })
    const absurd = metadataOf(connection, names)

    expect([metadata.topics.length, coordinators.coordinators.length]).toEqual([50_000, 50_000])
    await expect(absurd).rejects.toThrow('closed')
  })
})
