import { expect, test } from 'vitest'
import { WorkLog } from '../../src/processor/work-log.ts'
import { type ManualClock, manualClock } from '../support/manual-clock.ts'

function commit(
  clock: ManualClock,
  log: WorkLog,
  { tookMs, batchesMs }: { tookMs: number; batchesMs: number[] },
) {
  log.commitStarted()
  for (const ms of batchesMs) log.add('full', 1, { busyMs: ms, blockedMs: ms })
  clock.advance(tookMs)
  log.commitSucceeded()
}

test('what a commit took is the 99th percentile of late', () => {
  const clock = manualClock()
  const log = new WorkLog({ clock })

  for (let count = 0; count < 3; count++) commit(clock, log, { tookMs: 2_000, batchesMs: [] })

  expect(log.commitMs()).toBeGreaterThanOrEqual(2_000)
  expect(log.commitMs()).toBeLessThanOrEqual(2_000 * 1.2)
})

test('the time in which the worker was too busy to hear the answers is not the upstream’s', () => {
  const clock = manualClock()
  const log = new WorkLog({ clock })

  for (let count = 0; count < 3; count++)
    commit(clock, log, { tookMs: 930, batchesMs: [180, 180, 180, 180, 180] })

  expect(log.commitMs()).toBeLessThanOrEqual(50)
})

test('a slow upstream shows although the worker has something to do meanwhile', () => {
  const clock = manualClock()
  const log = new WorkLog({ clock })

  for (let count = 0; count < 3; count++) commit(clock, log, { tookMs: 10_000, batchesMs: [20, 20, 20] })

  expect(log.commitMs()).toBeGreaterThanOrEqual(9_900)
})

test('one slow commit alone says nothing', () => {
  const clock = manualClock()
  const log = new WorkLog({ clock })

  commit(clock, log, { tookMs: 10, batchesMs: [] })
  commit(clock, log, { tookMs: 4_000, batchesMs: [] })
  commit(clock, log, { tookMs: 10, batchesMs: [] })

  expect(log.commitMs()).toBeLessThanOrEqual(12)
})
