// The processor against a broker of its own: what it writes, what it commits, and in which order.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listOffsets } from '../../src/kafka/offsets.ts'
import { AmbientWriter, createAmbientBuffer } from '../../src/pressure/ambient-status.ts'
import { TIERS } from '../../src/pressure/tiers.ts'
import { deleteRecordsApi } from '../../src/wire/21-delete-records.ts'
import { eventually } from '../support/eventually.ts'
import type { Event } from './support.ts'
import { COMMIT_INTERVAL_MS, ENRICHED, numbered, ProcessorWorld, VAULT } from './support.ts'

let world: ProcessorWorld

beforeEach(async () => {
  world = await ProcessorWorld.start()
})

afterEach(() => world.stop())

describe.each(['exactly-once', 'at-least-once'] as const)('Processor, %s', (chosen) => {
  beforeEach(() => {
    world.guarantee = chosen
  })

  it('enriches what was there before it and what comes after, and commits behind its output', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await world.produce(VAULT, numbered(100))
    await world.startProcessor()
    await eventually('the first hundred are committed', async () => (await world.committed()) === 100)

    await world.produce(VAULT, numbered(50, 100))

    await eventually('all are committed', async () => (await world.committed()) === 150)
    expect((await world.bodies()).toSorted()).toEqual(numbered(150).toSorted())
  })

  it('commits nothing while its output is on the way and not yet durable', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await world.cluster.ensureTopic(ENRICHED, { partitionCount: 2 })
    await world.produce(VAULT, numbered(20))
    world.syncs.close()
    const { processor } = await world.startProcessor()
    await eventually('the records were read', () => processor.status().partitions[0]?.position === 20)
    await new Promise((resolve) => setTimeout(resolve, COMMIT_INTERVAL_MS * 10))

    const whileOnTheWay = await world.committed()

    world.syncs.release()
    expect(whileOnTheWay).toBeLessThanOrEqual(0)
    await eventually('all are committed', async () => (await world.committed()) === 20)
  })

  it('commits nothing while an output cannot be written, and writes every event once it can', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await world.cluster.ensureTopic(ENRICHED, { partitionCount: 2, configs: { 'max.message.bytes': '1024' } })
    await world.produce(VAULT, numbered(20))
    const { processor } = await world.startProcessor()
    await eventually(
      'the records were read',
      () => (processor.status().partitions[0]?.recordCount ?? 0) >= 20,
    )
    await new Promise((resolve) => setTimeout(resolve, COMMIT_INTERVAL_MS * 10))

    expect(await world.committed()).toBeLessThanOrEqual(0)

    await world.setMessageBytesMax(ENRICHED, 1_000_000)
    await eventually('all are committed', async () => (await world.committed()) === 20, { withinMs: 20_000 })
    expect(new Set(await world.bodies())).toEqual(new Set(numbered(20)))
  })

  it('shares the partitions with a second member, and takes them over when that one leaves', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    const { processor: first } = await world.startProcessor()
    await world.startProcessor()
    await eventually('each has one partition', () => first.status().partitions.length === 1, {
      withinMs: 15_000,
    })
    await world.produce(VAULT, numbered(30), 0)
    await world.produce(VAULT, numbered(30, 30), 1)
    await eventually(
      'both are committed',
      async () => (await world.committed(0)) === 30 && (await world.committed(1)) === 30,
    )

    await world.processors.pop()?.stop()
    await eventually('the first has both', () => first.status().partitions.length === 2, { withinMs: 15_000 })
    await world.produce(VAULT, numbered(10, 60), 1)

    await eventually('all are committed', async () => (await world.committed(1)) === 40)
    expect((await world.bodies()).toSorted()).toEqual(numbered(70).toSorted())
  })

  it('begins with the others when a partition has no leader, and with that one as soon as it has', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await world.produce(VAULT, numbered(10))
    await world.produce(VAULT, numbered(10, 10), 1)
    await deleteRecordsBefore(VAULT, 1, 4)

    const { processor, setLeaderless } = await world.startProcessor({}, { leaderless: 1 })
    await eventually('the one with a leader is committed', async () => (await world.committed(0)) === 10)
    expect(await world.committed(1)).toBe(-1)
    setLeaderless(null)

    await eventually('the other is committed', async () => (await world.committed(1)) === 10)
    expect(processor.status().partitions).toHaveLength(2)
    await eventually('every event can be read', async () => (await world.bodies()).length === 16)
  })

  it('begins with the others when an output topic is refused, and with what it is for as soon as it is there', async () => {
    const other = 'raw-vault.other'
    await world.cluster.ensureTopic(VAULT, { partitionCount: 1 })
    await world.cluster.ensureTopic(other, { partitionCount: 1 })
    await world.produce(VAULT, numbered(10))
    await world.produce(other, numbered(10))

    const { setRefused } = await world.startProcessor({}, { refused: 'enriched.other' })
    await eventually('the others are committed', async () => (await world.committed(0)) === 10)
    expect(await world.committed(0, other)).toBe(-1)
    setRefused(null)

    await eventually('it is committed', async () => (await world.committed(0, other)) === 10, {
      withinMs: 15_000,
    })
  })

  it('does nothing twice when it gives a partition up in the middle of a chunk', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await world.cluster.ensureTopic(ENRICHED, { partitionCount: 2 })
    const [batchCount, lineCount] = [80, 1_000]
    for (let batch = 0; batch < batchCount; batch++)
      await world.produce(VAULT, numbered(lineCount, batch * lineCount))
    // Output that is not yet durable fills up, and holds the enrichment where it is.
    world.syncs.close()
    const { processor } = await world.startProcessor()
    await eventually(
      'it is in the middle',
      () => (processor.status().partitions.find(({ partition }) => partition === 0)?.position ?? 0) > 30_000,
    )

    // A new stream is a new assignment, for which all partitions are given up first.
    await world.cluster.ensureTopic('raw-vault.other', { partitionCount: 2 })
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    world.syncs.release()

    await eventually('all are committed', async () => (await world.committed()) === batchCount * lineCount, {
      withinMs: 20_000,
    })
    // A transaction counts a moment before its marker has reached every partition.
    let found: string[] = []
    await eventually('every event can be read', async () => {
      found = await world.bodies()
      return found.length >= batchCount * lineCount
    })
    expect(new Set(found).size).toBe(batchCount * lineCount)
    expect(found).toHaveLength(batchCount * lineCount)
  }, 60_000)

  it('goes on after the broker was away', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await world.produce(VAULT, numbered(10))
    await world.startProcessor({ groupInstanceId: 'static-0' })
    await eventually('the first are committed', async () => (await world.committed()) === 10)

    await world.restartBroker()
    await world.produce(VAULT, numbered(10, 10))

    await eventually('all are committed', async () => (await world.committed()) === 20, { withinMs: 20_000 })
    expect(new Set(await world.bodies())).toEqual(new Set(numbered(20)))
  })

  it('flips tiers at batch boundaries, and every offset is enriched fully or booked, never both', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    const ambient = createAmbientBuffer()
    const writer = new AmbientWriter(ambient)
    await world.startProcessor({ ambient, checkEveryRecords: 1 })
    let count = 0
    for (let round = 0; round < 24; round++) {
      const tier = TIERS[round % TIERS.length] ?? 'full'
      writer.publish({ tier, zone: 'red', score: 90, cause: 'planner', driver: 'waitSeconds' })
      for (let batch = 0; batch < 3; batch++) {
        await world.produce(VAULT, numbered(20, count), 0)
        count += 20
      }
    }
    writer.publish({ tier: 'full', zone: 'green', score: 0, cause: 'planner', driver: 'none' })
    await world.produce(VAULT, numbered(20, count), 0)
    count += 20
    await eventually('what came before is committed', async () => (await world.committed()) === count)
    writer.setEmergency(true)
    await world.produce(VAULT, numbered(20, count), 0)
    count += 20
    await eventually('all are committed', async () => (await world.committed()) === count)

    const events = (await world.values(ENRICHED)).map((value) => JSON.parse(value) as Event)
    const full = events.filter(({ density }) => density === 'full').map(({ vault }) => vault.offset)
    const partial = events.filter(({ density }) => density === 'partial').map(({ vault }) => vault.offset)
    const books = await world.ledgerBooks()
    const owed = (tier: string) =>
      books.filter((entry) => entry.tier === tier).flatMap(({ first, last }) => range(first, last))
    expect([...full, ...owed('partial'), ...owed('passthrough')].toSorted((a, b) => a - b)).toEqual(
      range(0, count - 1),
    )
    expect(partial.toSorted((a, b) => a - b)).toEqual(owed('partial'))
    expect((await world.values('passthrough.web')).toSorted()).toEqual(
      owed('passthrough')
        .map((offset) => `line number ${offset}`)
        .toSorted(),
    )
    expect(full.length).toBeGreaterThan(0)
    expect(partial.length).toBeGreaterThan(0)
    expect(books.at(-1)).toMatchObject({
      tier: 'passthrough',
      reason: { driver: 'emergency' },
      last: count - 1,
    })
    expect(books.reduce((sum, { recordCount }) => sum + recordCount, 0)).toBe(count - full.length)
  }, 30_000)

  it('only books what it defers', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    const ambient = createAmbientBuffer()
    new AmbientWriter(ambient).setEmergency(true)
    await world.startProcessor({ ambient, passthrough: 'defer' })

    await world.produce(VAULT, numbered(50))

    await eventually('all are committed', async () => (await world.committed()) === 50)
    expect(await world.ledgerBooks()).toMatchObject([
      { tier: 'deferred', first: 0, last: 49, recordCount: 50 },
    ])
    expect(await world.cluster.partitionCount('passthrough.web')).toBeNull()
    expect(await world.values(ENRICHED)).toEqual([])
  })

  it('books what was deleted before it could be processed as lost, and goes on behind it', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await world.produce(VAULT, numbered(10))
    await world.startProcessor()
    await eventually('the first are committed', async () => (await world.committed()) === 10)
    await world.processors.pop()?.stop()
    await world.produce(VAULT, numbered(10, 10))
    await world.produce(VAULT, numbered(10, 20))
    await deleteRecordsBefore(VAULT, 0, 20)

    await world.startProcessor()

    await eventually('the last are committed', async () => (await world.committed()) === 30)
    expect(await world.ledgerBooks()).toMatchObject([{ state: 'lost', first: 10, last: 19 }])
    expect(new Set(await world.bodies())).toEqual(new Set([...numbered(10), ...numbered(10, 20)]))
  })
})

describe('exactly once', () => {
  beforeEach(() => {
    world.guarantee = 'exactly-once'
  })

  it('outlives an output whose leader is down for longer than a transaction may last', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    const failures: Error[] = []
    const { processor, cutProducing } = await world.startProcessor({
      transactionTimeoutMs: 4_000,
      onFailed: (error) => failures.push(error),
    })
    cutProducing(true)
    await world.produce(VAULT, numbered(10))
    await eventually(
      'the records were read',
      () => processor.status().partitions.find(({ partition }) => partition === 0)?.position === 10,
    )

    // The coordinator looks for transactions that have lasted too long now and then.
    await new Promise((resolve) => setTimeout(resolve, 12_000))
    cutProducing(false)

    await eventually('all are committed', async () => (await world.committed()) === 10, { withinMs: 20_000 })
    expect(failures).toEqual([])
    await eventually('every event can be read', async () => (await world.bodies()).length >= 10)
    expect(await world.bodies()).toHaveLength(10)
  }, 60_000)

  it('fences a namesake that is still at work: its output never counts', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    const failures: Error[] = []
    await world.startProcessor({
      transactionalId: 'same',
      onFailed: (error) => failures.push(error),
    })
    await world.produce(VAULT, numbered(10))
    await eventually('the first are committed', async () => (await world.committed()) === 10)

    await world.startProcessor({ transactionalId: 'same' })
    await eventually(
      'both partitions are served by the second',
      async () => {
        await world.produce(VAULT, ['x'], 0)
        await world.produce(VAULT, ['x'], 1)
        return failures.length === 1
      },
      { withinMs: 20_000 },
    )

    await world.processors.shift()?.stop()
    const ends = await listOffsets(world.cluster, [
      { topic: VAULT, partition: 0, at: 'latest' },
      { topic: VAULT, partition: 1, at: 'latest' },
    ])
    const recordCount = ends.reduce((sum, { offset }) => sum + offset, 0)
    await eventually(
      'all are committed',
      async () => (await world.committed(0)) + (await world.committed(1)) === recordCount,
      { withinMs: 20_000 },
    )
    expect(await world.bodies()).toHaveLength(recordCount)
  }, 60_000)
})

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

async function deleteRecordsBefore(topic: string, partition: number, offset: number): Promise<void> {
  await world.cluster.request(
    deleteRecordsApi,
    { topics: [{ name: topic, partitions: [{ partitionIndex: partition, offset }] }], timeoutMs: 5_000 },
    { topic, partition },
  )
}
