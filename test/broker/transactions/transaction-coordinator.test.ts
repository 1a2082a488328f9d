/** The coordinator over real partitions on a simulated disk: states that a client cannot bring about at will. */

import { afterEach, describe, expect, it } from 'vitest'
import { readBatchHeader } from '../../../src/batch/record-batch.ts'
import { DEFAULT_BROKER_OPTIONS } from '../../../src/broker/broker-options.ts'
import { OffsetStore } from '../../../src/broker/groups/offset-store.ts'
import { ProducerIds } from '../../../src/broker/producer-ids.ts'
import type { AppendOutcome } from '../../../src/broker/topics/partition.ts'
import { OFFSETS_TOPIC, TRANSACTIONS_TOPIC } from '../../../src/broker/topics/topic-name.ts'
import { TopicRegistry } from '../../../src/broker/topics/topic-registry.ts'
import type { SavedTransaction } from '../../../src/broker/transactions/transaction.ts'
import { TransactionCoordinator } from '../../../src/broker/transactions/transaction-coordinator.ts'
import { TransactionLog } from '../../../src/broker/transactions/transaction-log.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { silentDiagnostics } from '../../../src/telemetry/diagnostics.ts'
import { KAFKA_ERROR } from '../../../src/wire/error-codes.ts'
import { settle } from '../../storage/support.ts'
import { manualClock } from '../../support/manual-clock.ts'
import { SimDisk, simPath } from '../../support/sim-disk.ts'
import { batchOf } from '../broker-client.ts'

const open: TopicRegistry[] = []
afterEach(async () => {
  for (const topics of open.splice(0)) await topics.close()
})

async function openParts(disk: SimDisk, rewriteBytesMin = 1_000_000) {
  const clock = manualClock()
  const directory = simPath('broker')
  await disk.mkdir(directory)
  const topics = await TopicRegistry.open({
    disk,
    clock,
    random: seededRandom(1),
    diagnostics: silentDiagnostics,
    directory,
    options: DEFAULT_BROKER_OPTIONS,
  })
  open.push(topics)
  const partitionOf = async (name: string) => {
    const topic = await topics.ensure({ name, partitionCount: 1, overrides: {} })
    const partition = topic.partitions[0]
    if (partition === undefined) throw new Error(`${name} has no partition`)
    return partition
  }
  const base = { clock, diagnostics: silentDiagnostics, rewriteBytesMin }
  const log = new TransactionLog({ ...base, partition: await partitionOf(TRANSACTIONS_TOPIC) })
  const offsets = await OffsetStore.open({ ...base, partition: await partitionOf(OFFSETS_TOPIC) })
  const coordinator = new TransactionCoordinator({
    clock,
    diagnostics: silentDiagnostics,
    log,
    topics,
    offsets,
    producerIds: await ProducerIds.open({ disk, directory }),
    timeoutMsMax: 900_000,
    transactionalIdsMax: 10,
    idExpiryMs: 10_000,
  })
  return { clock, topics, log, offsets, coordinator, orders: await partitionOf('orders') }
}

const NEVER: SavedTransaction = {
  transactionalId: 'tx',
  producerId: 500,
  producerEpoch: 7,
  timeoutMs: 60_000,
  status: 'empty',
  partitions: new Map(),
  updatedMs: 0,
  startedMs: -1,
}

const inOrders = () => new Map([['orders', new Set([0])]])

/** A batch of a transaction, appended behind the coordinator's back. */
function batchIn(producerId: number, producerEpoch: number, value = 'x') {
  const batch = batchOf([value], { producerId, producerEpoch, baseSequence: 0, isTransactional: true })
  return [batch, readBatchHeader(batch, 0)] as const
}

async function durably(appended: AppendOutcome): Promise<void> {
  if (appended.kind === 'refused') throw new Error(appended.message)
  await appended.durable
}

describe('at the start', () => {
  it.each([
    ['prepareCommit', 0],
    ['prepareAbort', 1],
  ] as const)('%s is completed in the partitions where it is still open', async (status, abortedCount) => {
    const { log, coordinator, orders } = await openParts(new SimDisk())
    await log.write([{ ...NEVER, status, partitions: inOrders() }])
    orders.append(...batchIn(500, 7))

    await coordinator.load()

    expect(orders.lastStableOffset).toBe(2)
    expect(orders.abortedTransactionsIn(0, 10)).toHaveLength(abortedCount)
    expect(coordinator.find('tx')?.status).toBe(
      status === 'prepareCommit' ? 'completeCommit' : 'completeAbort',
    )
  })

  it('nothing is appended where the marker was written already', async () => {
    const { log, coordinator, orders } = await openParts(new SimDisk())
    await log.write([{ ...NEVER, status: 'prepareCommit', partitions: inOrders() }])
    orders.append(...batchIn(500, 7))
    await orders.appendMarker({ producerId: 500, producerEpoch: 7, type: 'commit' })

    await coordinator.load()

    expect(orders.log.logEndOffset).toBe(2)
  })

  it('a partition joins the transaction that is open in it, when its record was lost', async () => {
    const { log, coordinator, orders } = await openParts(new SimDisk())
    await log.write([{ ...NEVER, status: 'completeCommit' }])
    await orders.append(...batchIn(500, 7))

    await coordinator.load()
    const open = orders.lastStableOffset
    const errorCode = await coordinator.end({ ...NEVER }, true)
    await coordinator.stop()

    expect([open, errorCode, orders.lastStableOffset]).toEqual([0, 0, 2])
    expect(orders.abortedTransactionsIn(0, 10)).toEqual([])
  })

  it.each([
    ['completeCommit', 'commit', 0],
    ['completeAbort', 'abort', 1],
  ] as const)('%s ends what a damaged marker has left open', async (status, type, abortedCount) => {
    const disk = new SimDisk()
    const { log, orders } = await openParts(disk)
    await log.write([{ ...NEVER, status }])
    await durably(orders.append(...batchIn(500, 7)))
    const markerAt = orders.log.sizeBytes
    await orders.appendMarker({ producerId: 500, producerEpoch: 7, type })
    const other = batchOf(['later'])
    await durably(orders.append(other, readBatchHeader(other, 0)))
    const killed = disk.fork()
    const path = killed.files().find((each) => each.includes('/orders/') && each.endsWith('.log')) ?? ''
    killed.flip(path, markerAt + 70, 0xff)

    const again = await openParts(killed)
    await again.coordinator.load()

    expect(again.orders.log.quarantined).toHaveLength(1)
    expect(again.orders.lastStableOffset).toBe(again.orders.highWatermark)
    expect(again.orders.abortedTransactionsIn(0, 10)).toHaveLength(abortedCount)
    expect(again.coordinator.find('tx')?.status).toBe(status)
  })

  it.each([
    ['of an id that nobody knows', 501, 3],
    ['of an epoch that was fenced since', 500, 6],
  ])('a transaction %s is aborted', async (_, producerId, producerEpoch) => {
    const { log, coordinator, orders } = await openParts(new SimDisk())
    await log.write([NEVER])
    orders.append(...batchIn(producerId, producerEpoch))

    await coordinator.load()

    expect(orders.lastStableOffset).toBe(2)
    expect(orders.abortedTransactionsIn(0, 10)).toHaveLength(1)
    expect(coordinator.find('tx')?.status).toBe('empty')
  })
})

describe('epochs', () => {
  it('that are used up give the id another producer id', async () => {
    const { log, coordinator } = await openParts(new SimDisk())
    await log.write([{ ...NEVER, producerEpoch: 32_765 }])
    await coordinator.load()
    const request = { transactionalId: 'tx', timeoutMs: 1000, expected: null }

    const last = await coordinator.initProducer(request)
    const next = await coordinator.initProducer(request)

    expect(last).toEqual({ errorCode: 0, producerId: 500, producerEpoch: 32_766 })
    expect(next).toMatchObject({ errorCode: 0, producerEpoch: 0 })
    expect(next.producerId).not.toBe(500)
  })

  it('leave one for fencing the last producer, whose transaction is aborted', async () => {
    const { log, coordinator, orders } = await openParts(new SimDisk())
    await log.write([{ ...NEVER, producerEpoch: 32_766, status: 'ongoing', partitions: inOrders() }])
    orders.append(...batchIn(500, 32_766))
    await coordinator.load()

    const next = await coordinator.initProducer({ transactionalId: 'tx', timeoutMs: 1000, expected: null })

    expect(next).toMatchObject({ errorCode: 0, producerEpoch: 0 })
    expect(orders.lastStableOffset).toBe(2)
    expect(orders.append(...batchIn(500, 32_766))).toMatchObject({
      errorCode: KAFKA_ERROR.INVALID_PRODUCER_EPOCH,
    })
  })

  it('that ran out while its holder asked for the next one are told from a stranger', async () => {
    const { log, coordinator } = await openParts(new SimDisk())
    await log.write([{ ...NEVER, producerEpoch: 32_766 }])
    await coordinator.load()
    const expected = { producerId: 500, producerEpoch: 32_766 }
    const request = { transactionalId: 'tx', timeoutMs: 1000, expected }

    const next = await coordinator.initProducer(request)
    const again = await coordinator.initProducer(request)
    const stranger = await coordinator.initProducer({
      ...request,
      expected: { producerId: 500, producerEpoch: 32_765 },
    })

    expect(next.producerEpoch).toBe(0)
    expect(again).toEqual(next)
    expect(stranger.errorCode).toBe(KAFKA_ERROR.PRODUCER_FENCED)
  })
})

describe('a producer that asks for its next epoch while its transaction is open', () => {
  async function beginOne(disk = new SimDisk()) {
    const parts = await openParts(disk)
    const { coordinator, orders } = parts
    await coordinator.load()
    const asked = { transactionalId: 'tx', timeoutMs: 60_000, expected: null }
    const { producerId } = await coordinator.initProducer(asked)
    const expected = { producerId, producerEpoch: 0 }
    await coordinator.addPartitions({ transactionalId: 'tx', ...expected }, [{ topic: 'orders', index: 0 }])
    orders.append(...batchIn(producerId, 0))
    return { ...parts, disk, producerId, asked, again: { ...asked, expected } }
  }

  it('has its transaction aborted, and gets the same answer when it did not hear it', async () => {
    const { coordinator, orders, again } = await beginOne()

    const answers = [await coordinator.initProducer(again), await coordinator.initProducer(again)]

    expect(answers[0]).toMatchObject({ errorCode: 0 })
    expect(answers[0]?.producerEpoch).toBeGreaterThan(0)
    expect(answers[1]).toEqual(answers[0])
    expect(orders.abortedTransactionsIn(0, 10)).toHaveLength(1)
  })

  it('may ask again before the first request is answered', async () => {
    const { coordinator, again } = await beginOne()

    const answers = await Promise.all([coordinator.initProducer(again), coordinator.initProducer(again)])

    expect(answers[0]).toMatchObject({ errorCode: 0 })
    expect(answers[1]).toEqual(answers[0])
  })

  it('may ask again when the abort takes long', async () => {
    const { coordinator, clock, disk, orders, again } = await beginOne()
    await orders.log.flush()
    disk.failAlways(['datasync'], 'EIO', '/orders/')
    const waiting = coordinator.initProducer(again)
    await settle()
    clock.advance(2000)
    clock.runDue()

    const tooEarly = await waiting
    disk.heal()
    const later = coordinator.initProducer(again)
    for (let turn = 0; turn < 40; turn += 1) {
      await settle()
      clock.advance(50)
      clock.runDue()
    }

    expect(tooEarly.errorCode).toBe(KAFKA_ERROR.CONCURRENT_TRANSACTIONS)
    expect(await later).toMatchObject({ errorCode: 0 })
    expect(orders.abortedTransactionsIn(0, 10)).toHaveLength(1)
  })

  it('is fenced once another has the id, and once it has begun anew a late copy of its request is refused', async () => {
    const { coordinator, again, asked } = await beginOne()
    const { errorCode: _, ...mine } = await coordinator.initProducer(again)
    await coordinator.addPartitions({ transactionalId: 'tx', ...mine }, [{ topic: 'orders', index: 0 }])

    const late = await coordinator.initProducer(again)
    const ownStatus = coordinator.find('tx')?.status
    await coordinator.end({ transactionalId: 'tx', ...mine }, false)
    const later = await coordinator.initProducer(again)
    await coordinator.initProducer(asked)
    const fenced = await coordinator.initProducer({ ...asked, expected: mine })

    expect(ownStatus).toBe('ongoing')
    expect([late, later, fenced].map(({ errorCode }) => errorCode)).toEqual(
      Array(3).fill(KAFKA_ERROR.PRODUCER_FENCED),
    )
  })
})

describe('two who ask for the same id at once', () => {
  it('get different epochs, and the later one has it', async () => {
    const { coordinator } = await openParts(new SimDisk())
    await coordinator.load()
    const request = { transactionalId: 'tx', timeoutMs: 1000, expected: null }

    const both = await Promise.all([coordinator.initProducer(request), coordinator.initProducer(request)])

    const epochs = both.filter(({ errorCode }) => errorCode === 0).map(({ producerEpoch }) => producerEpoch)
    expect(new Set(epochs).size).toBe(epochs.length)
    expect(coordinator.find('tx')?.producerEpoch).toBe(Math.max(...epochs))
  })
})

describe('ids without a transaction', () => {
  it('are bounded, also when many new ones come at once', async () => {
    const { coordinator } = await openParts(new SimDisk())
    await coordinator.load()
    const asked = Array.from({ length: 25 }, (_, index) =>
      coordinator.initProducer({ transactionalId: `tx${index}`, timeoutMs: 1000, expected: null }),
    )

    const codes = (await Promise.all(asked)).map(({ errorCode }) => errorCode)

    expect(codes.filter((code) => code === KAFKA_ERROR.NONE)).toHaveLength(10)
    expect(codes.filter((code) => code === KAFKA_ERROR.POLICY_VIOLATION)).toHaveLength(15)
  })

  it('are forgotten after their time, durably; those with one are not', async () => {
    const { clock, log, coordinator } = await openParts(new SimDisk())
    const nowMs = clock.wallMs()
    await log.write([
      { ...NEVER, updatedMs: nowMs },
      {
        ...NEVER,
        transactionalId: 'open',
        producerId: 501,
        status: 'ongoing',
        startedMs: nowMs,
        updatedMs: nowMs,
      },
    ])
    await coordinator.load()

    await coordinator.expire(nowMs + 9_999)
    const before = coordinator.find('tx')?.status
    await coordinator.expire(nowMs + 10_000)

    expect(before).toBe('empty')
    expect(coordinator.find('tx')).toBeUndefined()
    expect([...(await log.load()).keys()]).toEqual(['open'])
  })
})

describe('the topic of transactions', () => {
  it('stays small however many transactions there are, and holds the latest state of each id', async () => {
    const disk = new SimDisk()
    const { log, topics, coordinator } = await openParts(disk, 20_000)
    await coordinator.load()
    const { producerId } = await coordinator.initProducer({
      transactionalId: 'tx',
      timeoutMs: 1000,
      expected: null,
    })
    await coordinator.initProducer({ transactionalId: 'other', timeoutMs: 1000, expected: null })
    const sender = { transactionalId: 'tx', producerId, producerEpoch: 0 }
    for (let count = 0; count < 500; count += 1) {
      expect(await coordinator.addPartitions(sender, [{ topic: 'orders', index: 0 }])).toBe(0)
      expect(await coordinator.end(sender, count % 2 === 0)).toBe(0)
    }
    await coordinator.stop()

    const saved = await log.load()

    expect(saved.get('tx')).toMatchObject({ producerId, producerEpoch: 0, status: 'completeAbort' })
    expect(saved.get('other')).toMatchObject({ status: 'empty' })
    const { logStartOffset, logEndOffset } = topics.partition(TRANSACTIONS_TOPIC, 0)?.log ?? {
      logStartOffset: 0,
      logEndOffset: 0,
    }
    expect(logEndOffset - logStartOffset).toBeLessThan(1000)
  })
})
