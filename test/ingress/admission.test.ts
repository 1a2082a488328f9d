import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Lease } from '../../src/ingress/admission.ts'
import { Admission } from '../../src/ingress/admission.ts'

/** Whether a promise has settled, asked without waiting for anything but what is already due. */
async function settled(promise: Promise<unknown> | true): Promise<boolean> {
  if (promise === true) return true
  const later = Symbol('later')
  return (await Promise.race([promise, new Promise((resolve) => setImmediate(resolve, later))])) !== later
}

describe('reservations', () => {
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
    const admission = new Admission({ bytesMax: 100 })
    const older = admission.lease()
    const younger = admission.lease()
    expect(older.grow(50)).toBe(true)
    expect(younger.grow(50)).toBe(true)
    const youngerGrowth = younger.grow(20)
    const olderGrowth = older.grow(20)
    // The younger asked first and took the one overdraft there is; the older waits until it is done.
    expect(await settled(youngerGrowth)).toBe(true)
    expect(await settled(olderGrowth)).toBe(false)
    younger.close()
    expect(await settled(olderGrowth)).toBe(true)
  })

  test('the oldest of those waiting gets the overdraft next', async () => {
    const admission = new Admission({ bytesMax: 100 })
    const leases = [admission.lease(), admission.lease(), admission.lease()] as const
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
    const admission = new Admission({ bytesMax: 10 })
    const holder = admission.lease()
    holder.grow(10)
    expect(await settled(holder.grow(5))).toBe(true)
    const waiting = admission.lease()
    const growth = waiting.grow(5)
    expect(await settled(growth)).toBe(false)
    waiting.close()
    expect(await settled(growth)).toBe(true)
    expect(admission.bytesHeld).toBe(15)
    expect(admission.waitingCount).toBe(0)
    expect(() => waiting.grow(1)).toThrow(/closed/)
  })

  test('come before new reservations, because only they can free what they hold', async () => {
    const admission = new Admission({ bytesMax: 100 })
    expect(admission.reserve(50)).toBe(true)
    const first = admission.lease()
    first.grow(50)
    expect(await settled(first.grow(1))).toBe(true)
    const second = admission.lease()
    const reservation = admission.reserve(10)
    const growth = second.grow(10)
    expect(await settled(growth)).toBe(false)
    admission.release(50)
    expect(await settled(growth)).toBe(true)
    expect(await settled(reservation)).toBe(true)
  })
})

/**
 * A model of the listeners: bodies of known size (reserve, work, release) and bodies that grow step by step. Whatever
 * the sizes and the order in which they move, every one of them must finish, and the bytes held stay in bounds.
 */
test('any mix of bodies finishes, and never holds more than the budget and one body', async () => {
  const bodyBytesMax = 64
  const body = fc.record({
    known: fc.boolean(),
    steps: fc.array(fc.integer({ min: 0, max: bodyBytesMax / 4 }), { minLength: 1, maxLength: 4 }),
    abandonAfter: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined, freq: 1 }),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: bodyBytesMax, max: 3 * bodyBytesMax }),
      fc.array(body, { minLength: 1, maxLength: 40 }),
      fc.infiniteStream(fc.nat()),
      async (bytesMax, bodies, choices) => {
        const admission = new Admission({ bytesMax })
        const turns: (() => void)[] = []
        const myTurn = () => new Promise<void>((resolve) => turns.push(resolve))
        let heldMax = 0
        const look = () => {
          heldMax = Math.max(heldMax, admission.bytesHeld)
        }
        const runKnown = async (bytes: number) => {
          await admission.reserve(bytes)
          look()
          await myTurn()
          admission.release(bytes)
        }
        const runGrowing = async (
          lease: Lease,
          steps: readonly number[],
          abandonAfter: number | undefined,
        ) => {
          for (const [index, step] of steps.entries()) {
            const growth = lease.grow(step)
            if (index === abandonAfter) break // closes below, perhaps while the growth still waits
            await growth
            look()
            await myTurn()
          }
          lease.close()
        }
        const done = Promise.all(
          bodies.map(({ known, steps, abandonAfter }) =>
            known
              ? runKnown(steps.reduce((sum, step) => sum + step, 0))
              : runGrowing(admission.lease(), steps, abandonAfter),
          ),
        ).then(() => 'done')
        let outcome = 'stuck'
        for (let idle = 0; idle < 3 && outcome !== 'done'; ) {
          outcome = await Promise.race([
            done,
            new Promise<string>((resolve) => setImmediate(resolve, 'stuck')),
          ])
          const [turn] = turns.splice((choices.next().value as number) % (turns.length || 1), 1)
          idle = turn === undefined ? idle + 1 : 0
          turn?.()
        }
        expect(outcome).toBe('done')
        expect(heldMax).toBeLessThanOrEqual(bytesMax + bodyBytesMax)
        expect(admission.bytesHeld).toBe(0)
        expect(admission.waitingCount).toBe(0)
      },
    ),
    { numRuns: 300 },
  )
})
