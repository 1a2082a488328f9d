import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Lease } from '../../src/listener/admission.ts'
import {
  Admission,
  ARRIVAL_FREE_BYTES,
  ARRIVAL_STEP_BYTES,
  LARGE_BODY_BYTES,
} from '../../src/listener/admission.ts'

/** Whether a promise has settled, asked without waiting for anything but what is already due. */
async function settled(promise: Promise<unknown> | true): Promise<boolean> {
  if (promise === true) return true
  const later = Symbol('later')
  return (await Promise.race([promise, new Promise((resolve) => setImmediate(resolve, later))])) !== later
}

describe('reservations', () => {
  test('that are withdrawn wait no more and are not granted; those behind them are', async () => {
    const admission = new Admission({ bytesMax: 100 })
    admission.reserve(80)
    const first = admission.reserve(50) as Promise<void>
    const second = admission.reserve(20)
    expect(admission.waitingCount).toBe(2)
    admission.withdraw(first, 50)
    expect(await settled(first)).toBe(false)
    expect(await settled(second)).toBe(true)
    expect(admission.waitingCount).toBe(0)
    expect(admission.bytesHeld).toBe(100)
  })

  test('that are withdrawn after they were granted are given back', async () => {
    const admission = new Admission({ bytesMax: 100 })
    admission.reserve(80)
    const granted = admission.reserve(50) as Promise<void>
    admission.release(80)
    await granted
    admission.withdraw(granted, 50)
    expect(admission.bytesHeld).toBe(0)
  })

  test('are granted at once while the budget lasts, then in order of asking', async () => {
    const admission = new Admission({ bytesMax: 100 })
    expect(admission.reserve(60)).toBe(true)
    const second = admission.reserve(60)
    const third = admission.reserve(10)
    expect(await settled(second)).toBe(false)
    expect(await settled(third)).toBe(false) // it would fit, but it must not overtake
    admission.release(60)
    expect(await settled(second)).toBe(true)
    expect(await settled(third)).toBe(true)
    expect(admission.bytesHeld).toBe(70)
  })

  test('larger than the whole budget are granted when nothing else is held, so nobody waits for ever', async () => {
    const admission = new Admission({ bytesMax: 100 })
    expect(admission.reserve(1)).toBe(true)
    const large = admission.reserve(500)
    expect(await settled(large)).toBe(false)
    admission.release(1)
    expect(await settled(large)).toBe(true)
  })

  test('cannot be given back twice', () => {
    const admission = new Admission({ bytesMax: 100 })
    admission.reserve(10)
    admission.release(10)
    expect(() => admission.release(10)).toThrow(/released 10 of 0/)
  })
})

describe('leases', () => {
  test('two unfinished bodies that hold the whole budget do not wait for each other for ever', async () => {
    const admission = new Admission({ bytesMax: 400 })
    const older = admission.lease(1000)
    const younger = admission.lease(1000)
    expect(older.grow(50)).toBe(true)
    expect(younger.grow(50)).toBe(true)
    const youngerGrowth = younger.grow(20)
    const olderGrowth = older.grow(20)
    // The younger asked first and took the one overdraft there is; the older waits until it is done.
    expect(await settled(youngerGrowth)).toBe(true)
    expect(await settled(olderGrowth)).toBe(false)
    expect(younger.blocksOthers).toBe(true)
    younger.close()
    expect(await settled(olderGrowth)).toBe(true)
    expect(older.blocksOthers).toBe(false)
  })

  test('the oldest of those waiting gets the overdraft next', async () => {
    const admission = new Admission({ bytesMax: 400 })
    const leases = [admission.lease(1000), admission.lease(1000), admission.lease(1000)] as const
    expect(leases[0].grow(40)).toBe(true)
    expect(leases[1].grow(40)).toBe(true)
    expect(leases[2].grow(20)).toBe(true)
    expect(await settled(leases[2].grow(30))).toBe(true) // the overdraft
    const middle = leases[1].grow(80)
    const oldest = leases[0].grow(80)
    leases[2].close()
    expect(await settled(oldest)).toBe(true)
    expect(await settled(middle)).toBe(false)
    leases[0].close()
    expect(await settled(middle)).toBe(true)
  })

  test('a growth that waits is let go when its lease is closed, and holds nothing', async () => {
    const admission = new Admission({ bytesMax: 40 })
    const holder = admission.lease(1000)
    holder.grow(10)
    expect(await settled(holder.grow(5))).toBe(true)
    const waiting = admission.lease(1000)
    const growth = waiting.grow(5)
    expect(await settled(growth)).toBe(false)
    waiting.close()
    expect(await settled(growth)).toBe(true)
    expect(admission.bytesHeld).toBe(15)
    expect(admission.waitingCount).toBe(0)
    expect(() => waiting.grow(1)).toThrow(/closed/)
  })

  test('come before new reservations when they wait for what reservations hold, or those would take it for ever', async () => {
    const admission = new Admission({ bytesMax: 400 })
    expect(admission.reserve(350)).toBe(true)
    const first = admission.lease(1000)
    expect(first.grow(50)).toBe(true)
    const growth = admission.lease(1000).grow(50)
    const reservation = admission.reserve(10)
    expect(await settled(growth)).toBe(false)
    expect(first.blocksOthers).toBe(false) // nobody unfinished is in the way
    admission.release(50)
    expect(await settled(growth)).toBe(true)
    expect(await settled(reservation)).toBe(false)
    admission.release(300)
    expect(await settled(reservation)).toBe(true)
  })

  test('hold half of the budget at most, so that whole requests pass whatever clients leave unfinished', async () => {
    const admission = new Admission({ bytesMax: 400 })
    const unfinished = Array.from({ length: 50 }, () => admission.lease(1000))
    for (const lease of unfinished) void lease.grow(10)
    for (let count = 0; count < 100; count += 1) {
      expect(admission.reserve(80)).toBe(true)
      admission.release(80)
    }
  })

  test('of bodies that can become large do not stop those of ordinary size', () => {
    const admission = new Admission({ bytesMax: 64 * 1024 * 1024 })
    const large = Array.from({ length: 64 }, () => admission.lease(16 * 1024 * 1024))
    for (const lease of large) void lease.grow(1024 * 1024)
    const ordinary = Array.from({ length: 16 }, () => admission.lease(1024 * 1024))
    expect(ordinary.map((lease) => lease.grow(1024 * 1024))).toEqual(Array(16).fill(true))
    expect(admission.bytesHeld).toBeLessThanOrEqual(33 * 1024 * 1024)
  })

  test('cover what has arrived beyond what is free, a step ahead, and never more than can come', () => {
    const admission = new Admission({ bytesMax: 10_000_000 })
    const lease = admission.lease(1000)
    expect(lease.cover(ARRIVAL_FREE_BYTES, 1_000_000)).toBe(true)
    const free = lease.bytes
    expect(lease.cover(ARRIVAL_FREE_BYTES + 1, 1_000_000)).toBe(true)
    const stepped = lease.bytes
    expect(lease.cover(stepped, 1_000_000)).toBe(true)
    const still = lease.bytes
    expect(lease.cover(stepped + 1, stepped + 100)).toBe(true)
    expect({ free, ahead: stepped - ARRIVAL_FREE_BYTES - 1, still, last: lease.bytes }).toEqual({
      free: 0,
      ahead: ARRIVAL_STEP_BYTES,
      still: stepped,
      last: stepped + 100,
    })
  })

  test('do not go over the limit one after the other while nothing is worked off', async () => {
    const admission = new Admission({ bytesMax: 400 })
    const stalled = admission.lease(1000)
    expect(stalled.grow(100)).toBe(true)
    for (let count = 0; count < 20; count += 1) {
      const lease = admission.lease(1000)
      if (await settled(lease.grow(60))) lease.settle(60)
    }
    expect(admission.bytesHeld).toBeLessThanOrEqual(400 + 60)
    expect(admission.waitingCount).toBeGreaterThan(0)
  })

  test('that are settled are reservations: closing leaves them alone, releasing gives them back', () => {
    const admission = new Admission({ bytesMax: 400 })
    const lease = admission.lease(1000)
    lease.grow(30)
    lease.settle(40)
    lease.close()
    expect(admission.bytesHeld).toBe(40)
    admission.release(40)
    expect(admission.bytesHeld).toBe(0)
    expect(() => lease.settle(1)).toThrow(/closed/)
  })
})

test('small reservations pass a full budget and a queue when told so', async () => {
  const admission = new Admission({ bytesMax: 10_000, smallBytesMax: 512 })
  expect(admission.reserve(10_000)).toBe(true)
  expect(await settled(admission.reserve(513))).toBe(false)
  expect(admission.reserve(512)).toBe(true)
})

/**
 * A model of the listeners: whole requests (reserve, work, release) and bodies that grow step by step, are settled, worked
 * on and released, or given up in the middle. Whatever the sizes and the order in which they move, every one of them must
 * finish, and the bytes held stay in bounds; and when some bodies never move again, whole requests still all finish.
 */
test('any mix of bodies finishes, never holds more than the budget and one body of each lane, and stalled ones stop no whole request', async () => {
  const bodyBytesMax = 64
  const body = fc.record({
    kind: fc.constantFrom('whole', 'growing', 'stalled'),
    steps: fc.array(fc.integer({ min: 0, max: bodyBytesMax / 4 }), { minLength: 1, maxLength: 4 }),
    abandonAfter: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined, freq: 1 }),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 4 * bodyBytesMax, max: 8 * bodyBytesMax }),
      fc.boolean(),
      fc.array(body, { minLength: 1, maxLength: 60 }),
      fc.infiniteStream(fc.nat()),
      async (bytesMax, withStalled, bodies, choices) => {
        const admission = new Admission({ bytesMax })
        const stalled: Lease[] = []
        const turns: (() => void)[] = []
        const myTurn = () => new Promise<void>((resolve) => turns.push(resolve))
        let heldMax = 0
        const look = () => {
          heldMax = Math.max(heldMax, admission.bytesHeld)
        }
        const runWhole = async (bytes: number) => {
          await admission.reserve(bytes)
          look()
          await myTurn()
          admission.release(bytes)
        }
        const runGrowing = async ({ kind, steps, abandonAfter }: (typeof bodies)[number], index: number) => {
          const lease = admission.lease(index % 2 === 0 ? 1 : LARGE_BODY_BYTES + 1)
          if (kind === 'stalled') stalled.push(lease)
          for (const [stepIndex, step] of steps.entries()) {
            const growth = lease.grow(step)
            if (kind !== 'stalled' && stepIndex === abandonAfter) break // closes below, perhaps while the growth waits
            await growth
            look()
            await myTurn()
            if (lease.closed) return
          }
          if (kind === 'stalled') return
          const { bytes } = lease
          if (abandonAfter !== undefined) return lease.close()
          lease.settle(bytes)
          look()
          await myTurn()
          admission.release(bytes)
        }
        const whole: Promise<void>[] = []
        const growing: Promise<void>[] = []
        for (const [index, one] of bodies.entries()) {
          if (one.kind === 'whole') whole.push(runWhole(one.steps.reduce((sum, step) => sum + step, 0)))
          else growing.push(runGrowing(withStalled ? one : { ...one, kind: 'growing' }, index))
        }
        const finish = async (work: Promise<unknown>) => {
          let outcome = 'stuck'
          const done = work.then(() => 'done')
          for (let idle = 0; idle < 3 && outcome !== 'done'; ) {
            outcome = await Promise.race([
              done,
              new Promise<string>((resolve) => setImmediate(resolve, 'stuck')),
            ])
            const [turn] = turns.splice((choices.next().value as number) % (turns.length || 1), 1)
            idle = turn === undefined ? idle + 1 : 0
            turn?.()
          }
          return outcome
        }
        expect(await finish(Promise.all(whole))).toBe('done')
        // What the listeners do once `blocksOthers` says so; without stalled bodies nothing needs it.
        for (const lease of stalled) lease.close()
        expect(await finish(Promise.all(growing))).toBe('done')
        expect(heldMax).toBeLessThanOrEqual(bytesMax + 2 * bodyBytesMax)
        expect(admission.bytesHeld).toBe(0)
        expect(admission.waitingCount).toBe(0)
      },
    ),
    { numRuns: 300 },
  )
})
