/**
 * Power cuts and kills at every point, against a small model that knows only what was appended, acknowledged and seen.
 * The model shares no code with the log. A failure prints the seed; `GOPHERSHIP_STORAGE_SEED=<seed>` repeats it alone.
 */

import { describe, expect, test } from 'vitest'
import { baseOffsetAt, lastOffsetAt } from '../../src/batch/record-batch.ts'
import { asOffset } from '../../src/core/brands.ts'
import type { Random } from '../../src/core/random.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { PartitionLog, SyncPolicy } from '../../src/storage/partition-log.ts'
import { SimDisk } from '../support/sim-disk.ts'
import type { OpenOptions } from './support.ts'
import { asRead, batchOf, ManualClock, openLog, readAll, settle } from './support.ts'

const LONG = process.env['GOPHERSHIP_TEST_LONG'] === '1'
const ONE_SEED = process.env['GOPHERSHIP_STORAGE_SEED']
const RUNS = LONG ? 5_000 : 700
/** Crash states looked at for each run; each is recovered, checked, and crashed again. */
const STATES_PER_RUN = LONG ? 20 : 10

/** What must, and what may, be in the log. */
class Model {
  /** Every batch that was ever given to the log, by its base offset, since the offset was last known to be free. */
  readonly given = new Map<number, Buffer[]>()
  /** Base offsets of batches that were acknowledged or seen: these are fixed for ever. */
  readonly fixed = new Map<number, Buffer>()
  /** Acknowledged start of the log, and the highest start that was asked for. */
  startAcknowledged = 0
  startAsked = 0

  give(batch: Buffer): void {
    const base = baseOffsetAt(batch, 0)
    this.given.set(base, [...(this.given.get(base) ?? []), batch])
  }

  acknowledge(batch: Buffer): void {
    this.fixed.set(baseOffsetAt(batch, 0), batch)
  }

  copy(): Model {
    const copy = new Model()
    for (const [base, batches] of this.given) copy.given.set(base, batches)
    for (const [base, batch] of this.fixed) copy.fixed.set(base, batch)
    copy.startAcknowledged = this.startAcknowledged
    copy.startAsked = this.startAsked
    return copy
  }

  /** What is wrong with a log that was opened after a crash; what is right is fixed from now on. */
  async problemsOf(log: PartitionLog): Promise<string[]> {
    const problems: string[] = []
    const start: number = log.logStartOffset
    if (log.failure !== null) problems.push(`failed on opening: ${log.failure.message}`)
    if (start < this.startAcknowledged)
      problems.push(`start ${start} went back below ${this.startAcknowledged}`)
    if (start > this.startAsked) problems.push(`start ${start} is above what was asked, ${this.startAsked}`)
    const found = new Map<number, Buffer>()
    let endBefore = 0
    for (const batch of await readAll(log, 700)) {
      const base = baseOffsetAt(batch, 0)
      if (base < endBefore) problems.push(`offset ${base} comes after ${endBefore}`)
      endBefore = lastOffsetAt(batch, 0) + 1
      if (!(this.given.get(base) ?? []).some((given) => given.equals(batch))) {
        problems.push(`offset ${base} holds what was never appended there`)
      }
      found.set(base, batch)
    }
    for (const [base, batch] of this.fixed) {
      if (lastOffsetAt(batch, 0) < start) continue
      const read = found.get(base)
      if (read === undefined) problems.push(`lost the acknowledged batch at ${base}`)
      else if (!read.equals(batch)) problems.push(`changed the acknowledged batch at ${base}`)
      if (log.logEndOffset <= lastOffsetAt(batch, 0)) problems.push(`offset ${base} would be given out again`)
    }
    for (const [base, batch] of found) this.fixed.set(base, batch)
    this.startAcknowledged = start
    this.startAsked = Math.max(this.startAsked, start)
    return problems
  }
}

interface Driver {
  readonly random: Random
  readonly disk: SimDisk
  readonly model: Model
  readonly options: OpenOptions
  readonly clock: ManualClock
  readonly tag: string
}

/** Random actions until the disk dies or the actions are done. */
async function act(driver: Driver, log: PartitionLog, actionCount: number): Promise<PartitionLog> {
  const { random, model } = driver
  let current = log
  const waiting: Promise<unknown>[] = []
  for (let action = 0; action < actionCount; action += 1) {
    const kind = random.below(20)
    if (kind < 14) {
      const batch = batchOf(`${driver.tag}.${action}`, shapeOf(random))
      const appended = current.append(batch)
      const copy = asRead(batch)
      model.give(copy)
      const durable = appended.durable.then(() => model.acknowledge(copy))
      waiting.push(durable)
      if (random.below(3) === 0) await durable
    } else if (kind < 16) {
      driver.clock.advance(random.below(2_000))
    } else if (kind < 17) {
      const visible = current.durableEndOffset
      const offset = asOffset(Math.min(visible, current.logStartOffset + random.below(4)))
      model.startAsked = Math.max(model.startAsked, offset)
      await current.deleteRecordsBefore(offset)
      model.startAcknowledged = Math.max(model.startAcknowledged, offset)
    } else if (kind < 18) {
      // Retention moves the start on its own; the model lets it go up to the present end.
      model.startAsked = Math.max(model.startAsked, current.logEndOffset)
      await current.applyRetention(driver.clock.wallMs())
      model.startAcknowledged = Math.max(model.startAcknowledged, current.logStartOffset)
    } else if (kind < 19) {
      // What a reader was shown is as good as acknowledged.
      for (const batch of await readAll(current, 1_000)) model.acknowledge(Buffer.from(batch))
    } else {
      await Promise.all(waiting)
      await current.close()
      current = await openLog(driver.disk, driver.options)
    }
  }
  await Promise.all(waiting)
  return current
}

function shapeOf(random: Random): { recordCount: number; valueBytes: number; value?: Buffer } {
  const recordCount = 1 + random.below(3)
  const valueBytes = [1, 30, 300, 700, 2_500][random.below(5)] ?? 30
  // Some records hold a batch themselves: recovery must not mistake the inner one for a record of the log.
  if (random.below(8) === 0) return { recordCount: 1, valueBytes, value: batchOf('inner', { valueBytes }) }
  return { recordCount, valueBytes }
}

async function runSeed(seed: number, sync: SyncPolicy): Promise<{ problems: string[]; states: number }> {
  const random = seededRandom(seed)
  const clock = new ManualClock()
  const options: OpenOptions = {
    clock,
    sync,
    segmentBytesMax: [900, 4_000, 20_000][random.below(3)] ?? 4_000,
    indexIntervalBytes: [0, 300, 4096][random.below(3)] ?? 300,
    retentionBytes: random.below(2) === 0 ? -1 : 6_000,
  }
  const disk = new SimDisk()
  disk.delayCalls(random, random.below(6))
  const model = new Model()
  const died = disk.dieAfter(1 + random.below(120)).then(() => settle())
  const driver = { random, disk, model, options, clock, tag: 'a' }
  await Promise.race([died, openLog(disk, options).then((log) => act(driver, log, 40))])
  await settle()
  const problems: string[] = []
  let states = 0
  // Under the weaker policies a power cut may take what was acknowledged, so only kills are looked at.
  const crashes = sync.policy === 'every-ack' ? STATES_PER_RUN : 0
  for (let state = 0; state < crashes && problems.length === 0; state += 1) {
    problems.push(...(await crashTwice({ ...driver, tag: `b${state}` }, state)))
    states += 2
  }
  if (problems.length === 0) problems.push(...(await killThenCrash(driver)))
  return { problems, states: states + 2 }
}

/** Kills the process but not the machine, recovers, checks, and only then cuts the power. */
async function killThenCrash(driver: Driver): Promise<string[]> {
  const model = driver.model.copy()
  driver.disk.revive()
  const problems = (await model.problemsOf(await openLog(driver.disk, driver.options))).map(
    (text) => `killed: ${text}`,
  )
  // What readers were shown after the kill must survive the power cut as well.
  const log = await openLog(driver.disk.crash(driver.random), driver.options)
  problems.push(...(await model.problemsOf(log)).map((text) => `killed, then power cut: ${text}`))
  return problems
}

/** Crashes the disk, recovers, checks, goes on, and does it all once more. */
async function crashTwice(driver: Driver, state: number): Promise<string[]> {
  const { random, options } = driver
  const model = driver.model.copy()
  const first = driver.disk.crash(random)
  const log = await openLog(first, options)
  const problems = (await model.problemsOf(log)).map((problem) => `state ${state}: ${problem}`)
  if (problems.length > 0) return problems
  const died = first.dieAfter(1 + random.below(40)).then(() => settle())
  await Promise.race([died, act({ ...driver, disk: first, model }, log, 10)])
  await settle()
  const second = first.crash(random)
  const again = await openLog(second, options)
  problems.push(
    ...(await model.problemsOf(again)).map((problem) => `state ${state}, second crash: ${problem}`),
  )
  // Fresh work goes on after every recovery.
  const batch = batchOf('fresh')
  await again.append(batch).durable
  model.give(asRead(batch))
  model.acknowledge(asRead(batch))
  problems.push(
    ...(await model.problemsOf(again)).map((problem) => `state ${state}, fresh append: ${problem}`),
  )
  return problems
}

async function runAll(sync: SyncPolicy, runs: number): Promise<number> {
  const seeds =
    ONE_SEED === undefined ? Array.from({ length: runs }, (_, index) => index + 1) : [Number(ONE_SEED)]
  let states = 0
  for (const seed of seeds) {
    const result = await runSeed(seed, sync)
    const repeat = `GOPHERSHIP_STORAGE_SEED=${seed} vitest run --config test/vitest.config.ts test/storage/crash.test.ts`
    expect(result.problems, repeat).toEqual([])
    states += result.states
  }
  return states
}

describe('D1, D2, D3, D6, D7, D9: kills and power cuts at any point', () => {
  test('every acknowledged batch survives byte for byte, nothing is invented, and no offset is reused', async () => {
    const states = await runAll({ policy: 'every-ack' }, RUNS)
    expect(states).toBeGreaterThanOrEqual(ONE_SEED === undefined ? 15_000 : 1)
  }, 600_000)

  for (const sync of [{ policy: 'interval', intervalMs: 700 }, { policy: 'never' }] as const) {
    test(`${sync.policy}: every acknowledged batch survives a kill, and what was shown after it survives a power cut`, async () => {
      expect(await runAll(sync, 200)).toBeGreaterThan(0)
    })
  }
})
