import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ScoredSensor } from '../../src/pressure/sensors.ts'
import { ZONES, type Zone } from '../../src/pressure/tiers.ts'
import { advanceZone, calmerInMs, calmZone } from '../../src/pressure/zone.ts'
import { checkProperty } from '../support/seeded-property.ts'

const OPTIONS = { exitScores: { yellow: 30, red: 60 }, dwellMs: 1_000 }
const scored = (score: number): ScoredSensor => ({ name: 'lagSeconds', value: score, score })

/** The zone after each of the looks: a score at a time. */
function zonesAfter(looks: readonly (readonly [atMs: number, score: number])[]): Zone[] {
  let state = calmZone(0)
  return looks.map(([atMs, score]) => {
    state = advanceZone(state, scored(score), atMs, OPTIONS)
    return state.zone
  })
}

describe('a zone', () => {
  it('gets worse at the first look that asks for it, by as many steps as it asks for', () => {
    expect(
      zonesAfter([
        [0, 39.9],
        [1, 40],
        [2, 79.9],
        [3, 80],
      ]),
    ).toEqual(['green', 'yellow', 'yellow', 'red'])
    expect(zonesAfter([[0, 100]])).toEqual(['red'])
  })

  it('gets better one zone at a time, each after a dwell of calm', () => {
    const looks = [
      [0, 90],
      [500, 10],
      [1_499, 10],
      [1_500, 10],
      [2_499, 10],
      [2_500, 10],
      [3_500, 10],
    ] as const

    expect(zonesAfter(looks)).toEqual(['red', 'red', 'red', 'yellow', 'yellow', 'green', 'green'])
  })

  it('is held while the score lies between its exit and its entry', () => {
    expect(
      zonesAfter([
        [0, 40],
        [5_000, 31],
        [9_000, 30],
      ]),
    ).toEqual(['yellow', 'yellow', 'yellow'])
  })

  it('starts its dwell anew when calm is interrupted', () => {
    expect(
      zonesAfter([
        [0, 40],
        [100, 10],
        [900, 35],
        [1_000, 10],
        [1_999, 10],
        [2_000, 10],
      ]),
    ).toEqual(['yellow', 'yellow', 'yellow', 'yellow', 'yellow', 'green'])
  })

  it('knows how long it will be held at least', () => {
    const red = advanceZone(calmZone(0), scored(90), 0, OPTIONS)
    const calming = advanceZone(red, scored(10), 400, OPTIONS)

    expect(calmerInMs(red, 300, 1_000)).toBeNull()
    expect(calmerInMs(calming, 600, 1_000)).toBe(800)
  })

  it('keeps the reading that last asked for it', () => {
    const red = advanceZone(calmZone(0), scored(90), 0, OPTIONS)
    const worse = advanceZone(red, scored(95), 10, OPTIONS)
    const calming = advanceZone(worse, scored(10), 20, OPTIONS)

    expect(calming.cause).toEqual(scored(95))
  })

  it('gets better at most once in any dwell, whatever the scores do', () => {
    const anyLooks = fc.array(fc.tuple(fc.integer({ min: 1, max: 400 }), fc.nat({ max: 100 })), {
      maxLength: 100,
      size: 'max',
    })
    checkProperty(
      'test/pressure/zone.test.ts',
      300,
      fc.property(anyLooks, (looks) => {
        let nowMs = 0
        let state = calmZone(0)
        let betterMs = Number.NEGATIVE_INFINITY
        for (const [elapsedMs, score] of looks) {
          nowMs += elapsedMs
          const next = advanceZone(state, scored(score), nowMs, OPTIONS)
          if (score >= 80) assert.equal(next.zone, 'red')
          if (ZONES.indexOf(next.zone) < ZONES.indexOf(state.zone)) {
            assert.ok(nowMs - betterMs >= OPTIONS.dwellMs)
            betterMs = nowMs
          }
          state = next
        }
      }),
    )
  })
})
