// The compactor against a broker of its own: what it writes, what it settles, and when it does neither.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { writeControl } from '../../src/pressure/control-topic.ts'
import { deleteTopicsApi } from '../../src/wire/20-delete-topics.ts'
import { deleteRecordsApi } from '../../src/wire/21-delete-records.ts'
import { incrementalAlterConfigsApi } from '../../src/wire/44-incremental-alter-configs.ts'
import { shorts } from '../ledger/support.ts'
import { eventually } from '../support/eventually.ts'
import { diskBehind, Gate } from '../support/gate.ts'
import {
  debtOf,
  ENRICHED,
  keepErrors,
  onceEach,
  openWorld,
  type RunningCompactor,
  VAULT,
  type World,
  watchedAmbient,
} from './support.ts'

let world: World

beforeEach(async () => {
  world = await openWorld()
})

afterEach(async () => {
  await world.stop()
})

const GREEN = { tier: 'full', zone: 'green', score: 0, cause: 'planner', driver: 'none' } as const

const untilState = (running: RunningCompactor, state: string, reason?: string) =>
  eventually(`the compactor is ${state} ${reason ?? ''}`, () => {
    const status = running.compactor.status()
    return status.state === state && (reason === undefined || status.reason === reason) && status
  })

/** Time for some turns in which something could be paid that must not be. */
const someTurns = () => new Promise((resolve) => setTimeout(resolve, 150))

const order = (change: { isPaused?: boolean; requestedMs?: number | null }) =>
  writeControl(world.cluster, {
    name: 'compactor',
    to: {
      isPaused: change.isPaused ?? false,
      now: change.requestedMs == null ? null : { requestedMs: change.requestedMs },
      by: 'test',
    },
  })

describe('paying', () => {
  test('each record that is owed gets one full event, and the books say settled', async () => {
    await world.produce(100)
    await world.produce(50, 1)
    await world.owe(debtOf(20, 79), debtOf(0, 49, { partition: 1, tier: 'partial' }))

    const running = await world.startCompactor()
    await world.untilPaid()

    expect(await world.outputs()).toEqual(new Map([...onceEach(20, 79), ...onceEach(0, 49, 1)]))
    expect(shorts(await world.books())).toEqual(['settled passthrough 20-79'])
    expect(shorts(await world.books(1))).toEqual(['settled partial 0-49'])
    expect(await untilState(running, 'idle')).toMatchObject({
      isMember: true,
      partitionCount: 2,
      settledRecordCount: 110,
      open: { recordCount: 0 },
      problems: [],
    })
  })

  test('what overlaps in the ledger is paid once, as the newer entry has it', async () => {
    await world.produce(150)
    await world.owe(debtOf(50, 99), debtOf(0, 79, { tier: 'partial' }), debtOf(120, 129))

    await world.startCompactor()
    await world.untilPaid()

    expect(await world.outputs()).toEqual(new Map([...onceEach(0, 99), ...onceEach(120, 129)]))
    expect(shorts(await world.books())).toEqual([
      'settled partial 0-79',
      'settled passthrough 80-99',
      'settled passthrough 120-129',
    ])
  })

  test('of batches that lie across the ends of a range only the records within are paid', async () => {
    await world.produce(60)
    await world.owe(debtOf(3, 27), debtOf(35, 35), debtOf(41, 52, { tier: 'partial' }))

    await world.startCompactor()
    await world.untilPaid()

    const paid = [...onceEach(3, 27), ...onceEach(35, 35), ...onceEach(41, 52)]
    expect(await world.outputs()).toEqual(new Map(paid))
    expect(shorts(await world.books())).toEqual([
      'settled passthrough 3-27',
      'settled passthrough 35-35',
      'settled partial 41-52',
    ])
  })

  test('a record that no stage can handle becomes a dead letter, and its debt is settled with it', async () => {
    await world.produce(10)
    await world.produceBytes(Buffer.from([0xff, 0xfe, 0xfd]))
    await world.owe(debtOf(0, 10))

    await world.startCompactor()
    await world.untilPaid()

    expect(await world.outputs()).toEqual(new Map([...onceEach(0, 9), ['dead 0:10', 1]]))
  })

  test('debt that is booked while it runs is paid without anyone asking', async () => {
    await world.produce(100)
    await world.startCompactor()
    await world.owe(debtOf(0, 9))
    await world.untilPaid()
    // Its writer extends the entry of which a part is settled.
    await world.owe(debtOf(0, 99))
    await world.untilPaid()

    expect(await world.outputs()).toEqual(new Map(onceEach(0, 99)))
    expect(shorts(await world.books())).toEqual(['settled passthrough 0-99'])
  })

  test('what is nearest to its retention is paid first', async () => {
    await world.produce(40)
    await world.produce(40, 1)
    const hourAgo = Date.now() - 3_600_000
    await world.owe(
      debtOf(0, 39),
      debtOf(0, 39, { partition: 1, timestampMinMs: hourAgo, timestampMaxMs: hourAgo }),
    )
    // A batch at a time: the whole of the older debt has to be paid before the first of the newer.
    await world.startCompactor({ config: { rateRecords: 100 } })
    await world.untilPaid()

    const partitions = await world.repaid()
    expect([...new Set(partitions)]).toEqual([1, 0])
    expect(partitions).toEqual([...partitions].sort((left, right) => right - left))
  })

  test('of debt of a topology that does not run here nothing is paid, and it is said', async () => {
    await world.produce(20)
    await world.owe(debtOf(0, 9, { topology: 'another' }), debtOf(10, 19))
    const running = await world.startCompactor()
    await world.untilPaid()

    expect(await world.outputs()).toEqual(new Map(onceEach(10, 19)))
    expect(running.compactor.status().problems.join()).toMatch(/topologies that do not run here.*another/)
  })
})

describe('when', () => {
  test('nothing is paid under pressure, and it begins within moments when pressure has been green long enough', async () => {
    await world.produce(20)
    world.pressure.publish({ ...GREEN, zone: 'yellow', score: 45, driver: 'lagSeconds' })
    await world.owe(debtOf(0, 19))
    const running = await world.startCompactor({ config: { steadyMs: 300 } })
    expect((await untilState(running, 'waiting', 'pressure')).explanation).toBe(
      'pressure is yellow (lagSeconds)',
    )

    const greenMs = performance.now()
    world.pressure.publish(GREEN)
    await untilState(running, 'waiting', 'steadiness')
    await world.untilPaid()

    expect(performance.now() - greenMs).toBeGreaterThan(290)
  })

  test('when pressure rises the batch under way is the last, and what is done is settled', async () => {
    await world.produce(5_000)
    await world.owe(debtOf(0, 4_999))
    // Red at the thirtieth look at the pressure, which is after some dozens of batches of the first piece.
    let lookCount = 0
    const ambient = watchedAmbient(world.ambientBuffer, () => {
      if (lookCount++ === 30)
        world.pressure.publish({ ...GREEN, zone: 'red', score: 95, driver: 'lagSeconds' })
    })
    const running = await world.startCompactor({ ambient, lookMs: 1_000 })
    await untilState(running, 'waiting', 'pressure')
    const books = await world.books()

    // Settled up to where it stopped: in the middle, at the end of a batch; and every event of it is there once.
    const settled = books[0]
    expect(books).toHaveLength(2)
    expect(settled?.state).toBe('settled')
    const last = settled?.last ?? -1
    expect((last + 1) % 10).toBe(0)
    expect(await world.outputs()).toEqual(new Map(onceEach(0, last)))
    expect(last).toBeLessThan(30 * 10)

    await someTurns()
    expect((await world.books())[0]?.last).toBe(last)
    world.pressure.publish(GREEN)
    await world.untilPaid()
    expect(await world.outputs()).toEqual(new Map(onceEach(0, 4_999)))
  })

  test('the emergency switch stops it, also for what was ordered', async () => {
    await world.produce(20)
    world.pressure.setEmergency(true)
    await world.owe(debtOf(0, 19))
    const running = await world.startCompactor()
    await order({ requestedMs: Date.now() + 1 })
    await untilState(running, 'waiting', 'emergency')
    await someTurns()
    expect((await world.outputs()).size).toBe(0)

    world.pressure.setEmergency(false)
    await world.untilPaid()
  })

  test('outside the idle window nothing is paid until it is ordered', async () => {
    await world.produce(30)
    await world.owe(debtOf(0, 19))
    // A window of one minute that is half a day away.
    const far = new Date(Date.now() + 12 * 3_600_000)
    const window = `${far.getUTCMinutes()} ${far.getUTCHours()} * * * for 1m`
    const running = await world.startCompactor({ config: { idleWindows: [window], timeZone: 'UTC' } })
    const { endsMs } = await untilState(running, 'waiting', 'window')
    expect(endsMs ?? 0).toBeGreaterThan(Date.now() + 11 * 3_600_000)
    await someTurns()
    expect((await world.outputs()).size).toBe(0)

    world.pressure.publish({ ...GREEN, zone: 'red', score: 95, driver: 'lagSeconds' })
    await order({ requestedMs: Date.now() })
    await world.untilPaid()
    expect(await world.outputs()).toEqual(new Map(onceEach(0, 19)))

    // The order is about what was owed then.
    await world.owe(debtOf(20, 29, { tier: 'partial', openedMs: Date.now() + 1 }))
    await untilState(running, 'waiting', 'window')
    await someTurns()
    expect(await world.outputs()).toEqual(new Map(onceEach(0, 19)))
  })

  test('paused, nothing is paid; resumed, it goes on', async () => {
    await world.produce(20)
    await order({ isPaused: true })
    await world.owe(debtOf(0, 19))
    const running = await world.startCompactor()
    await untilState(running, 'paused')
    await someTurns()
    expect((await world.outputs()).size).toBe(0)

    await order({ isPaused: false })
    await world.untilPaid()
  })

  test('what would outlive its retention is paid outside the window and in yellow', async () => {
    await world.produce(20)
    await world.produce(20, 1)
    const weekMs = 7 * 24 * 3_600_000
    const old = Date.now() - weekMs + 3_600_000
    await world.owe(debtOf(0, 19), debtOf(0, 19, { partition: 1, timestampMinMs: old, timestampMaxMs: old }))
    world.pressure.publish({ ...GREEN, zone: 'yellow', score: 45, driver: 'lagSeconds' })
    const running = await world.startCompactor()
    await world.untilPaid([1])
    await untilState(running, 'waiting', 'pressure')
    await someTurns()

    expect(await world.outputs()).toEqual(new Map(onceEach(0, 19, 1)))
  })

  test('the rate budget is kept', async () => {
    await world.produce(3_000)
    await world.owe(debtOf(0, 2_999))
    const running = await world.startCompactor({ config: { rateRecords: 1_000 } })
    await untilState(running, 'paying')
    const startedMs = performance.now()
    await world.untilPaid()

    // A second's worth at once, then a second for each thousand.
    expect(performance.now() - startedMs).toBeGreaterThan(1_700)
    expect(running.compactor.status().settledRecordCount).toBe(3_000)
  })
})

const deleteBefore = async (offset: number) => {
  await world.cluster.request(
    deleteRecordsApi,
    { topics: [{ name: VAULT, partitions: [{ partitionIndex: 0, offset }] }], timeoutMs: 5_000 },
    { topic: VAULT, partition: 0 },
  )
}

describe('what is gone', () => {
  test('debt whose bytes were deleted is lost: in the books, counted and told; the rest is paid', async () => {
    const told: object[] = []
    await world.produce(100)
    await world.owe(debtOf(10, 59))
    await deleteBefore(30)
    const running = await world.startCompactor({ diagnostics: keepErrors(told) })
    await world.untilPaid()

    expect(shorts(await world.books())).toEqual(['lost passthrough 10-29', 'settled passthrough 30-59'])
    expect(await world.outputs()).toEqual(new Map(onceEach(30, 59)))
    expect(told).toContainEqual(
      expect.objectContaining({ topic: VAULT, partition: 0, first: 10, last: 29, recordCount: 20 }),
    )
    const status = await untilState(running, 'idle')
    expect(status.lost).toMatchObject({ entryCount: 1, recordCount: 20 })
    expect(status.problems.join()).toMatch(/20 records of debt are lost/)
    expect(await running.metrics.getSingleMetricAsString('gophership_compactor_lost_records_total')).toMatch(
      /stream="web"\} 20/,
    )
  })

  test('what is settled is forgotten once the vault has nothing of it left', async () => {
    await world.produce(100)
    await world.owe(debtOf(0, 9))
    await world.owe(debtOf(40, 49))
    await world.owe(debtOf(80, 89))
    const running = await world.startCompactor()
    await world.untilPaid()
    await deleteBefore(60)

    await eventually('the old ranges are forgotten', async () => (await world.books()).length === 1)
    expect(shorts(await world.books())).toEqual(['settled passthrough 80-89'])
    expect((await world.outputs()).size).toBe(30)
    expect((await untilState(running, 'idle')).lost.recordCount).toBe(0)
  })
})

describe('what is much', () => {
  test('more lost entries than one batch of the ledger holds are booked in several', async () => {
    const entryCount = 4_000
    await world.produce(2 * entryCount + 10)
    for (let from = 0; from < entryCount; from += 1_000) {
      // Every second offset, so that no two can be joined.
      const firsts = Array.from({ length: 1_000 }, (_, index) => 2 * (from + index))
      await world.owe(...firsts.map((first) => debtOf(first, first)))
    }
    await world.owe(debtOf(2 * entryCount, 2 * entryCount + 9))
    await deleteBefore(2 * entryCount)

    await world.startCompactor()
    await world.untilPaid([0], 30_000)

    const books = await world.books()
    expect(books.filter(({ state }) => state === 'lost')).toHaveLength(entryCount)
    expect(await world.outputs()).toEqual(new Map(onceEach(2 * entryCount, 2 * entryCount + 9)))
  }, 60_000)
})

describe('what fails', () => {
  test('a range that is not in the vault keeps nobody else from being paid, and it is said', async () => {
    await world.produce(20)
    await world.produce(20, 1)
    const hourAgo = Date.now() - 3_600_000
    // Nearest to its retention, and behind the end of the vault.
    await world.owe(
      debtOf(500, 509, { timestampMinMs: hourAgo, timestampMaxMs: hourAgo }),
      debtOf(0, 19, { partition: 1 }),
    )
    const running = await world.startCompactor()
    await world.untilPaid([1])

    const status = await eventually('it is failing', () => {
      const found = running.compactor.status()
      return found.failing.length > 0 && found
    })
    expect(status.failing[0]).toMatchObject({ topic: VAULT, partition: 0 })
    expect(shorts(await world.books())).toEqual(['open passthrough 500-509'])
  })

  test('a partition without a leader keeps nobody else from being paid', async () => {
    await world.produce(20)
    await world.produce(20, 1)
    await world.owe(debtOf(0, 19), debtOf(0, 19, { partition: 1 }))

    await world.startCompactor({ leaderlessPartition: 0, vaultLookMs: 2_000 })

    await world.untilPaid([1], 25_000)
    expect(shorts(await world.books())).toEqual(['open passthrough 0-19'])
  }, 40_000)

  test('an output that cannot be written settles nothing', async () => {
    await world.produce(20)
    await world.owe(debtOf(0, 19))
    await world.cluster.ensureTopic(ENRICHED, {
      partitionCount: 2,
      configs: { 'max.message.bytes': '1024' },
    })
    const running = await world.startCompactor()
    await eventually('it is failing', () => running.compactor.status().failing.length > 0)
    expect(shorts(await world.books())).toEqual(['open passthrough 0-19'])
    expect((await world.outputs()).size).toBe(0)

    await world.cluster.request(
      incrementalAlterConfigsApi,
      {
        resources: [
          {
            resourceType: 2,
            resourceName: ENRICHED,
            configs: [{ name: 'max.message.bytes', configOperation: 0, value: '1000000' }],
          },
        ],
        validateOnly: false,
      },
      'any',
    )
    await world.untilPaid()
    expect(await world.outputs()).toEqual(new Map(onceEach(0, 19)))
  })
})

test('a stop does not wait for an output that is stuck', async () => {
  const syncs = new Gate()
  const stuck = await openWorld({ disk: diskBehind(syncs, ENRICHED) })
  try {
    await stuck.produce(100)
    await stuck.owe(debtOf(0, 99))
    await stuck.cluster.ensureTopic(ENRICHED, { partitionCount: 2 })
    syncs.close()
    const running = await stuck.startCompactor()
    await eventually('output is on its way', () => syncs.heldCount > 0)

    const startedMs = performance.now()
    await running.stop()

    // What its thread is given for it.
    expect(performance.now() - startedMs).toBeLessThan(4_000)
    syncs.release()
    await stuck.startCompactor()
    await stuck.untilPaid()
    expect(await stuck.outputs()).toEqual(new Map(onceEach(0, 99)))
  } finally {
    syncs.release()
    await stuck.stop()
  }
}, 40_000)

test('an output topic that was deleted is made again', async () => {
  await world.produce(100)
  await world.owe(debtOf(0, 49))
  const running = await world.startCompactor()
  await world.untilPaid()

  await world.cluster.request(
    deleteTopicsApi,
    { topicNames: [ENRICHED], topics: [{ name: ENRICHED }], timeoutMs: 5_000 },
    'controller',
  )
  await eventually('it is gone', async () => {
    const { topics } = await world.cluster.refreshMetadata(null)
    return !topics.has(ENRICHED)
  })
  await world.owe(debtOf(50, 99))

  await world.untilPaid([0], 20_000)
  expect(running.compactor.status().failing).toEqual([])
  await eventually('the events can be read', async () => (await world.outputs()).size === 50)
}, 40_000)

describe('when the broker goes away', () => {
  test('in the middle of paying, it goes on when the broker is back: 0 double, 0 missing', async () => {
    await world.produce(3_600)
    await world.owe(
      ...Array.from({ length: 120 }, (_, index) =>
        debtOf(index * 30, index * 30 + 29, { tier: index % 2 === 0 ? 'passthrough' : 'partial' }),
      ),
    )
    const running = await world.startCompactor()
    for (let round = 1; round <= 2; round += 1) {
      await eventually('it pays', () => running.compactor.status().settledRecordCount > round * 600)
      await world.restartBroker()
    }
    await world.untilPaid([0], 30_000)

    expect(await world.outputs()).toEqual(new Map(onceEach(0, 3_599)))
  })
})

describe('two of them', () => {
  test('a successor pays nothing before it has read what was settled before', async () => {
    await world.produce(60)
    await world.owe(debtOf(0, 59))
    const first = await world.startCompactor({ config: { rateRecords: 10 } })
    await eventually('some of it is settled', () => first.compactor.status().settledRecordCount >= 10)
    await first.stop()

    await world.startCompactor({ ledgerDelayMs: 400 })
    await world.untilPaid()

    expect(await world.outputs()).toEqual(new Map(onceEach(0, 59)))
  })

  test('share the partitions, and one takes over what the other leaves', async () => {
    await world.produce(5_000)
    await world.produce(5_000, 1)
    await world.owe(debtOf(0, 4_999), debtOf(0, 4_999, { partition: 1 }))
    const config = { rateRecords: 2_000 }
    const first = await world.startCompactor({ config, groupInstanceId: 'a' })
    await untilState(first, 'paying')
    await world.startCompactor({ config, groupInstanceId: 'b' })
    await eventually('each has one', () => first.compactor.status().partitionCount === 1)
    await world.untilPaid()

    expect(await world.outputs()).toEqual(new Map([...onceEach(0, 4_999), ...onceEach(0, 4_999, 1)]))
  })
})
