// A processor whose partitions are taken back and handed out again while it commits.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { GUARANTEES } from '../../src/processor/delivery.ts'
import type { Processor } from '../../src/processor/processor.ts'
import { leaveGroupApi } from '../../src/wire/13-leave-group.ts'
import { syncGroupApi } from '../../src/wire/14-sync-group.ts'
import { endTxnApi } from '../../src/wire/26-end-txn.ts'
import { eventually } from '../support/eventually.ts'
import { ENRICHED, GROUP_ID, numbered, ProcessorWorld, VAULT } from './support.ts'

let world: ProcessorWorld

beforeEach(async () => {
  world = await ProcessorWorld.start()
})

afterEach(() => world.stop())

/** A new stream is a new assignment, for which all partitions are taken back first. */
const rebalance = () => world.cluster.ensureTopic('raw-vault.other', { partitionCount: 1 })

/** The group goes on without the member, which hears of it with its next heartbeat. */
const expel = (groupInstanceId: string) =>
  world.cluster.request(
    leaveGroupApi,
    { groupId: GROUP_ID, members: [{ memberId: '', groupInstanceId }] },
    { coordinator: GROUP_ID },
  )

const positionOf = (processor: Processor) =>
  processor.status().partitions.find(({ partition }) => partition === 0)?.position

describe.each(GUARANTEES)('a rebalance, %s', (guarantee) => {
  it('goes on with the next assignment when the commit before it fails', async () => {
    world.guarantee = guarantee
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await world.cluster.ensureTopic(ENRICHED, { partitionCount: 2, configs: { 'max.message.bytes': '1024' } })
    // Long enough for the rebalance to come before the interval's own commit.
    const { processor } = await world.startProcessor({ commitIntervalMs: 4_000 })
    await eventually('it has its partitions', () => processor.status().partitions.length === 2)
    await world.produce(VAULT, numbered(20))
    await eventually('the records were read', () => positionOf(processor) === 20)

    await rebalance()
    await eventually('it has the next assignment', () => processor.status().partitions.length === 3)
    await world.setMessageBytesMax(ENRICHED, 1_000_000)

    await eventually('all are committed', async () => (await world.committed()) === 20, { withinMs: 20_000 })
    await eventually('every event can be read', async () => new Set(await world.bodies()).size === 20)
  }, 40_000)
})

describe('a rebalance, at least once', () => {
  it('commits no work in a later membership than the one in which it was done', async () => {
    world.guarantee = 'at-least-once'
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await world.cluster.ensureTopic(ENRICHED, { partitionCount: 2 })
    const { processor, hold } = await world.startProcessor()
    await eventually('it has its partitions', () => processor.status().partitions.length === 2)
    const entries = hold(syncGroupApi)
    world.syncs.close()
    await world.produce(VAULT, numbered(20))
    await eventually('a commit waits for its output', () => world.syncs.heldCount > 0)

    await rebalance()
    await eventually('it has joined again', () => entries.heldCount === 1)
    entries.release()
    await eventually('it is in the next membership', () => processor.status().isMember)
    world.syncs.release()

    await eventually('all are committed', async () => (await world.committed()) === 20, { withinMs: 20_000 })
    // Another member may have had the partition meanwhile, and have come further: so the work is done again.
    expect(await world.bodies()).toHaveLength(40)
  }, 40_000)
})

describe('a rebalance, exactly once', () => {
  it('writes nothing twice when a commit outlasts the rebalance that it was in the middle of', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    const { processor, hold } = await world.startProcessor()
    await eventually('it has its partitions', () => processor.status().partitions.length === 2)
    const ends = hold(endTxnApi)
    await world.produce(VAULT, numbered(100))
    await eventually('a commit is under way', () => ends.heldCount === 1)
    await world.produce(VAULT, numbered(5_000, 100)) // Whole output batches, handed over before the next commit.
    await eventually('work goes on meanwhile', () => positionOf(processor) === 5_100)

    await rebalance()
    await eventually('the partitions were given up', () => processor.status().partitions.length === 0)
    ends.release()

    await eventually('all are committed', async () => (await world.committed()) === 5_100, {
      withinMs: 20_000,
    })
    await eventually('every event can be read', async () => (await world.bodies()).length >= 5_100)
    await world.produce(VAULT, numbered(1, 5_100))
    await eventually('what came behind is committed', async () => (await world.committed()) === 5_101)
    const found = await world.bodies()
    expect(found).toHaveLength(5_101)
    expect(new Set(found)).toEqual(new Set(numbered(5_101)))
  }, 40_000)

  it('leaves nothing out when it has partitions again before the work on the lost ones is given up', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    const { processor, hold } = await world.startProcessor({ groupInstanceId: 'a', commitIntervalMs: 5_000 })
    await eventually('it has its partitions', () => processor.status().partitions.length === 2)
    await world.produce(VAULT, numbered(5_000))
    await eventually('the records were read', () => positionOf(processor) === 5_000)
    const ends = hold(endTxnApi)

    await expel('a')
    await eventually('the work is being given up', () => ends.heldCount === 1)
    await eventually('it is a member again', () => processor.status().isMember)
    await new Promise((resolve) => setTimeout(resolve, 500))
    ends.release()

    await eventually('all are committed', async () => (await world.committed()) === 5_000)
    await eventually('every event can be read', async () => (await world.bodies()).length >= 5_000)
    expect(await world.ledgerBooks()).toEqual([])
    expect(new Set(await world.bodies())).toEqual(new Set(numbered(5_000)))
  }, 40_000)
})
