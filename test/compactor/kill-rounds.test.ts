// A compactor that is killed at random, again and again: nothing it wrote is there twice, and nothing is missing.

import { afterEach, expect, test } from 'vitest'
import { seededRandom } from '../../src/core/random.ts'
import { eventually } from '../support/eventually.ts'
import { debtOf, onceEach, openWorld, type World } from './support.ts'

const isLong = process.env['GOPHERSHIP_TEST_LONG'] === '1'
const ROUND_COUNT = isLong ? 500 : 30
const SEED = 7

let world: World

afterEach(async () => {
  await world.stop()
})

test(`${ROUND_COUNT} kills without a chance to clean up: 0 double, 0 missing`, {
  timeout: isLong ? 900_000 : 60_000,
}, async () => {
  const random = seededRandom(SEED)
  world = await openWorld()
  const entryRecords = 30
  // Enough that it is never done before it is killed.
  const entryCount = ROUND_COUNT * 9
  await world.produce(entryRecords * entryCount)
  await world.owe(
    ...Array.from({ length: entryCount }, (_, index) =>
      debtOf(index * entryRecords, (index + 1) * entryRecords - 1, {
        tier: index % 2 === 0 ? 'passthrough' : 'partial',
      }),
    ),
  )
  let [killsWhilePaying, openBefore] = [0, Number.POSITIVE_INFINITY]
  for (let round = 0; round < ROUND_COUNT; round += 1) {
    const running = await world.startCompactor()
    await eventually('it pays', () => running.compactor.status().settledRecordCount > 0, { everyMs: 1 })
    await new Promise((resolve) => setTimeout(resolve, random.below(30)))
    const { state, open } = running.compactor.status()
    await running.kill()
    // It goes on where the one before it stopped.
    expect(open.recordCount).toBeLessThan(openBefore)
    openBefore = open.recordCount
    if (state === 'paying') killsWhilePaying += 1
  }
  // Kills that hit nothing prove nothing.
  expect(killsWhilePaying).toBeGreaterThan(ROUND_COUNT / 2)

  const last = await world.startCompactor()
  await eventually('all is paid', () => last.compactor.status().state === 'idle', { withinMs: 60_000 })

  expect(await world.outputs()).toEqual(new Map(onceEach(0, entryRecords * entryCount - 1)))
})
