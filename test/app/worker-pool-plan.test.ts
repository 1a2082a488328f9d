import { describe, expect, it } from 'vitest'
import { type PoolLook, poolLimits, WorkerPoolPlan } from '../../src/app/worker-pool-plan.ts'
import { loadConfig } from '../../src/config/load-config.ts'

const LIMITS = { countMin: 1, countMax: 4 }
const CALM: Omit<PoolLook, 'nowMs'> = {
  workerCount: 1,
  waitingPartitionCount: 0,
  waitShare: 0,
  isShedding: false,
  busyWorkerCount: 0,
  isStrained: false,
}
const PRESSED = { ...CALM, waitingPartitionCount: 4, waitShare: 0.5, busyWorkerCount: 1 }

/** Looks every second, following what is planned; gives the count after each look. */
function counts(
  seconds: number,
  lookAt: (second: number) => Omit<PoolLook, 'nowMs' | 'workerCount'>,
  from = 1,
) {
  const plan = new WorkerPoolPlan(LIMITS)
  const result: number[] = []
  let workerCount = from
  for (let second = 0; second < seconds; second += 1) {
    workerCount = plan.next({ ...lookAt(second), workerCount, nowMs: second * 1_000 })
    result.push(workerCount)
  }
  return result
}

const changesIn = (list: readonly number[], from = 1) =>
  list.filter((count, index) => count !== (list[index - 1] ?? from)).length

describe('the pool', () => {
  it('grows by one at a time while more would help, and sees what each has done', () => {
    const list = counts(100, () => PRESSED)

    expect(list.slice(0, 3)).toEqual([1, 1, 1])
    expect(list[3]).toBe(2)
    expect(list[22]).toBe(2)
    expect(list.at(-1)).toBe(4)
    expect(changesIn(list)).toBe(3)
  })

  it('does not grow past the partitions that have work, nor for a burst that is over in a moment', () => {
    expect(counts(100, () => ({ ...PRESSED, waitingPartitionCount: 2 })).at(-1)).toBe(2)
    expect(changesIn(counts(100, (second) => (second % 4 < 3 ? PRESSED : CALM)))).toBe(0)
  })

  it('does not grow while memory or the upstream is what is short', () => {
    expect(changesIn(counts(100, () => ({ ...PRESSED, isStrained: true })))).toBe(0)
  })

  it('shrinks after a long calm, one at a time, to the fewest', () => {
    const list = counts(1_000, () => CALM, 3)

    expect(list[299]).toBe(3)
    expect(list[300]).toBe(2)
    expect(list.at(-1)).toBe(1)
    expect(changesIn(list, 3)).toBe(2)
  })

  it('does not shrink while the workers that would stay had no room for the work', () => {
    expect(
      changesIn(
        counts(1_000, () => ({ ...CALM, busyWorkerCount: 1.1 }), 3),
        3,
      ),
    ).toBe(0)
    expect(counts(1_000, () => ({ ...CALM, busyWorkerCount: 0.9 }), 3).at(-1)).toBe(2)
  })

  it('does not flap: bursts that come again within the calm change it once', () => {
    const list = counts(3_600, (second) => (second % 120 < 30 ? PRESSED : CALM))

    expect(list.at(-1)).toBeGreaterThan(1)
    expect(changesIn(list)).toBeLessThanOrEqual(3)
  })
})

describe('the limits', () => {
  const limitsOf = (flags: Record<string, string>, coreCount = 8) =>
    poolLimits(loadConfig({ flags: new Map(Object.entries(flags)) }).config, coreCount)

  it('are one worker at rest and one less than there are cores, unless the configuration says otherwise', () => {
    expect(limitsOf({})).toEqual({ countMin: 1, countMax: 7 })
    expect(limitsOf({}, 1)).toEqual({ countMin: 1, countMax: 1 })
    expect(limitsOf({}, 128)).toEqual({ countMin: 1, countMax: 64 })
    expect(limitsOf({ 'processor.workerCountMin': '3' }, 2)).toEqual({ countMin: 3, countMax: 3 })
    expect(limitsOf({ 'processor.workerCountMax': '2' })).toEqual({ countMin: 1, countMax: 2 })
    expect(limitsOf({ 'processor.workerCount': '5' })).toEqual({ countMin: 5, countMax: 5 })
  })
})
