import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asOffset } from '../../src/core/brands.ts'
import { OutputTracker } from '../../src/processor/output-tracker.ts'

describe('OutputTracker', () => {
  it('commits nothing while the first output is not durable', () => {
    const tracker = new OutputTracker(asOffset(10))
    tracker.begin(asOffset(20))
    const second = tracker.begin(asOffset(30))

    tracker.complete(second)

    expect(tracker.committable).toBe(10)
  })

  it('jumps over every finished piece once the first is durable', () => {
    const tracker = new OutputTracker(asOffset(10))
    const first = tracker.begin(asOffset(20))
    const second = tracker.begin(asOffset(30))
    tracker.complete(second)

    tracker.complete(first)

    expect(tracker.committable).toBe(30)
    expect(tracker.pendingCount).toBe(0)
  })

  it('refuses pieces out of offset order', () => {
    const tracker = new OutputTracker(asOffset(0))
    tracker.begin(asOffset(20))

    expect(() => tracker.begin(asOffset(10))).toThrow(/offset order/)
  })

  it('never passes a piece that is not durable, whatever the order of acknowledgements', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 30 }),
        fc.infiniteStream(fc.nat()),
        (sizes, picks) => {
          const tracker = new OutputTracker(asOffset(0))
          let end = 0
          const open = sizes.map((size) => {
            end += size
            return tracker.begin(asOffset(end))
          })
          while (open.length > 0) {
            const pick = picks.next().value % open.length
            const [ticket] = open.splice(pick, 1)
            if (ticket !== undefined) tracker.complete(ticket)
            const firstOpen = Math.min(...open.map((piece) => piece.nextOffset), Number.POSITIVE_INFINITY)
            expect(tracker.committable).toBeLessThan(firstOpen)
          }
          expect(tracker.committable).toBe(end)
        },
      ),
    )
  })
})
