// A compactor that is killed at random, again and again: nothing it wrote is there twice, and nothing is missing.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { seededRandom } from '../../src/core/random.ts'
import { eventually } from '../support/eventually.ts'
import { debtOf, onceEach, openWorld, type World } from './support.ts'

const isLong = process.env['GOPHERSHIP_TEST_LONG'] === '1'
const ROUND_COUNT = isLong ? 500 : 16
const PROCESS_ROUND_COUNT = isLong ? 500 : 3
const SEED = 7
const ENTRY_RECORDS = 30
const PROCESS = fileURLToPath(new URL('compactor-process.ts', import.meta.url))

let world: World
let child: ChildProcess | null = null

afterEach(async () => {
  child?.kill('SIGKILL')
  await world.stop()
})

/** A vault with more debt than the rounds can pay, in ranges that cannot be joined: each is a transaction. */
async function openIndebted(entryCount: number): Promise<void> {
  world = await openWorld()
  await world.produce(ENTRY_RECORDS * entryCount)
  const entries = Array.from({ length: entryCount }, (_, index) =>
    debtOf(index * ENTRY_RECORDS, (index + 1) * ENTRY_RECORDS - 1, {
      tier: index % 2 === 0 ? 'passthrough' : 'partial',
    }),
  )
  // As many in one transaction as fit a batch.
  for (let from = 0; from < entryCount; from += 1_000) await world.owe(...entries.slice(from, from + 1_000))
}

async function payTheRest(entryCount: number): Promise<void> {
  const last = await world.startCompactor()
  const isPaid = () => last.compactor.status().state === 'idle'
  await eventually('all is paid', isPaid, { withinMs: isLong ? 300_000 : 60_000 })
  expect(await world.outputs()).toEqual(new Map(onceEach(0, ENTRY_RECORDS * entryCount - 1)))
}

const someMs = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

test(`${ROUND_COUNT} ends without a chance to clean up: 0 double, 0 missing`, async () => {
  const random = seededRandom(SEED)
  const entryCount = ROUND_COUNT * 9
  await openIndebted(entryCount)
  let [killsWhilePaying, openBefore] = [0, Number.POSITIVE_INFINITY]
  for (let round = 0; round < ROUND_COUNT; round += 1) {
    const running = await world.startCompactor()
    await eventually('it pays', () => running.compactor.status().settledRecordCount > 0, { everyMs: 1 })
    await someMs(random.below(30))
    const { state, open } = running.compactor.status()
    await running.kill()
    // It goes on where the one before it stopped.
    expect(open.recordCount).toBeLessThan(openBefore)
    openBefore = open.recordCount
    if (state === 'paying') killsWhilePaying += 1
  }
  // Kills that hit nothing prove nothing.
  expect(killsWhilePaying).toBeGreaterThan(ROUND_COUNT / 2)

  await payTheRest(entryCount)
}, 900_000)

test(`${PROCESS_ROUND_COUNT} kill -9 of its process: 0 double, 0 missing`, async () => {
  const random = seededRandom(SEED)
  const entryCount = PROCESS_ROUND_COUNT * 12
  await openIndebted(entryCount)
  for (let round = 0; round < PROCESS_ROUND_COUNT; round += 1) {
    const running = spawn(process.execPath, [PROCESS, world.broker.address], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    child = running
    await once(running.stdout, 'data')
    await someMs(random.below(40))
    const ended = once(running, 'exit')
    running.kill('SIGKILL')
    expect(await ended).toEqual([null, 'SIGKILL'])
  }

  await payTheRest(entryCount)
}, 1_800_000)
