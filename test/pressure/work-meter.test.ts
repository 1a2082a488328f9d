import { expect, test } from 'vitest'
import type { PartitionPosition, WorkerLook } from '../../src/pressure/work-meter.ts'
import { WorkMeter } from '../../src/pressure/work-meter.ts'
import { manualClock } from '../support/manual-clock.ts'

const NOTHING = { recordCount: 0, busyMs: 0 }

function worker(
  name: string,
  partitions: readonly (Pick<PartitionPosition, 'position' | 'highWatermark'> & { partition?: number })[],
  full: { recordCount: number; busyMs: number } = NOTHING,
): WorkerLook {
  return {
    name,
    work: { full, partial: NOTHING, passthrough: NOTHING },
    partitions: partitions.map((one, partition) => ({
      topic: 'raw-vault',
      partition,
      reachedTimestampMs: -1,
      ...one,
    })),
  }
}

test('differences are taken: a look that was missed is made up for', () => {
  const clock = manualClock()
  const meter = new WorkMeter({ clock })
  meter.take([worker('a', [{ position: 0, highWatermark: 100 }], { recordCount: 10, busyMs: 1 })])
  clock.advance(1_000)
  meter.take([])
  clock.advance(1_000)

  const { work, backlogRecordCount } = meter.take([
    worker('a', [{ position: 50, highWatermark: 300 }], { recordCount: 60, busyMs: 6 }),
  ])

  expect(work).toMatchObject({ elapsedMs: 1_000, arrivedRecordCount: 200 })
  expect(work.done[0]).toEqual({ tier: 'full', recordCount: 50, busyMs: 5 })
  expect(backlogRecordCount).toBe(250)
})

test('a thread that began anew counts from nothing', () => {
  const meter = new WorkMeter({ clock: manualClock() })
  meter.take([worker('a', [], { recordCount: 1_000, busyMs: 100 })])

  const { work } = meter.take([worker('a', [], { recordCount: 7, busyMs: 2 })])

  expect(work.done[0]).toEqual({ tier: 'full', recordCount: 7, busyMs: 2 })
})

test('what a partition held when it was first seen has not arrived since', () => {
  const meter = new WorkMeter({ clock: manualClock() })

  const { work, backlogRecordCount } = meter.take([worker('a', [{ position: 0, highWatermark: 5_000 }])])

  expect(work.arrivedRecordCount).toBe(0)
  expect(backlogRecordCount).toBe(5_000)
})

test('an end asked for elsewhere counts for a worker that has not heard of it', () => {
  const meter = new WorkMeter({ clock: manualClock() })
  meter.take([worker('a', [{ position: 0, highWatermark: 100 }])])

  const asked = meter.take(
    [worker('a', [{ position: 0, highWatermark: 100 }])],
    new Map([['raw-vault/0', 400]]),
  )
  const after = meter.take([worker('a', [{ position: 0, highWatermark: 150 }])])

  expect([asked.work.arrivedRecordCount, asked.backlogRecordCount]).toEqual([300, 400])
  expect([after.work.arrivedRecordCount, after.backlogRecordCount]).toEqual([0, 400])
})

test('a partition that begins anew does not stay behind for ever', () => {
  const meter = new WorkMeter({ clock: manualClock() })
  meter.take([worker('a', [{ position: 900, highWatermark: 1_000 }])])

  const { backlogRecordCount, work } = meter.take(
    [worker('a', [{ position: 0, highWatermark: 3 }])],
    new Map([['raw-vault/0', 3]]),
  )

  expect([backlogRecordCount, work.arrivedRecordCount]).toEqual([3, 0])
})

test('workers count as far as they share what waits', () => {
  const even = (position: number) => [{ position, highWatermark: 100 }]
  const shared = new WorkMeter({ clock: manualClock() }).take([
    { ...worker('a', even(0)), name: 'a' },
    worker('b', [{ position: 0, highWatermark: 100, partition: 1 }]),
  ])
  const alone = new WorkMeter({ clock: manualClock() }).take([
    worker('a', even(0)),
    worker('b', [{ position: 100, highWatermark: 100, partition: 1 }]),
  ])
  const idle = new WorkMeter({ clock: manualClock() }).take([worker('a', even(100)), worker('b', [])])

  expect([shared.workerCount, alone.workerCount, idle.workerCount]).toEqual([2, 1, 1])
})

test('a partition that nobody reports is behind for a while longer, then it is somebody else’s', () => {
  const clock = manualClock()
  const meter = new WorkMeter({ clock })
  meter.take([worker('a', [{ position: 0, highWatermark: 100 }])])

  clock.advance(5_000)
  const soon = meter.take([])
  clock.advance(1)
  const late = meter.take([])

  expect(soon).toMatchObject({ backlogRecordCount: 100, lag: { lagRecords: 100 } })
  expect(soon.lag.lagSeconds).toBeGreaterThanOrEqual(5)
  expect(late).toMatchObject({ backlogRecordCount: 0, lag: { lagRecords: 0, lagSeconds: 0 } })
})

test('a partition that has no end yet is left out', () => {
  const { backlogRecordCount } = new WorkMeter({ clock: manualClock() }).take([
    worker('a', [{ position: 10, highWatermark: -1 }]),
  ])

  expect(backlogRecordCount).toBe(0)
})
