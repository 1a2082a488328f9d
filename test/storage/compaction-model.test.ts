/**
 * Random histories against a naive model of what compaction may and must remove. The model knows every record that was ever
 * appended and shares no code with the cleaner. A failure prints the seed; `GOPHERSHIP_STORAGE_SEED=<seed>` repeats it.
 */

import { describe, expect, test } from 'vitest'
import type { Compression } from '../../src/batch/record-batch.ts'
import { baseOffsetAt, lastOffsetAt, readBatchHeader } from '../../src/batch/record-batch.ts'
import { asOffset } from '../../src/core/brands.ts'
import type { Random } from '../../src/core/random.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { SimDisk } from '../support/sim-disk.ts'
import type { KeyedRecord, ReadRecord } from './compaction-support.ts'
import { cleanOf, foldOf, keyedBatch, marker, readRecords, recordsOf } from './compaction-support.ts'
import { ManualClock, openLog, readAll } from './support.ts'

const LONG = process.env['GOPHERSHIP_TEST_LONG'] === '1'
const ONE_SEED = process.env['GOPHERSHIP_STORAGE_SEED']
const RUNS = LONG ? 3_000 : 60
const DELETE_RETENTION_MS = 5_000

interface OpenTransaction {
  readonly firstOffset: number
  readonly offsets: number[]
}

/** Everything that happened, and what follows from it. */
class Model {
  readonly records = new Map<number, ReadRecord>()
  readonly aborted = new Set<number>()
  /** Offsets of markers, with the records that their transaction wrote. */
  readonly markers = new Map<number, readonly number[]>()
  readonly open = new Map<number, OpenTransaction>()
  /** When a compaction covered a tombstone for the first time. */
  readonly coveredAtMs = new Map<number, number>()
  /** Base and last offset, and base sequence, of each producer's last batch. */
  readonly lastBatch = new Map<number, { base: number; last: number; sequence: number }>()

  get stableOffset(): number {
    return Math.min(
      Number.POSITIVE_INFINITY,
      ...[...this.open.values()].map(({ firstOffset }) => firstOffset),
    )
  }

  /** The state that a read_committed reader below `end` ends up with. */
  foldBelow(end: number): Map<string, string> {
    const committed = [...this.records.values()].filter(
      ({ offset }) => offset < end && !this.aborted.has(offset),
    )
    return foldOf(committed)
  }
}

interface World {
  readonly random: Random
  readonly model: Model
  readonly clock: ManualClock
  log: PartitionLog
  sequence: Map<number, number>
}

function randomRecords(random: Random, now: number): KeyedRecord[] {
  return Array.from({ length: 1 + random.below(5) }, () => ({
    key: `k${random.below(12)}`,
    value: random.below(5) === 0 ? null : `v${random.below(1_000_000)}${'x'.repeat(random.below(80))}`,
    timestamp: now - random.below(500),
  }))
}

async function appendBatch(world: World, producerId: number, isTransactional: boolean): Promise<void> {
  const { random, model, log, clock, sequence } = world
  const records = randomRecords(random, clock.wall)
  const baseSequence = producerId < 0 ? -1 : (sequence.get(producerId) ?? 0)
  const batch = keyedBatch(records, {
    compression: random.below(5) as Compression,
    producerId,
    producerEpoch: producerId < 0 ? -1 : 0,
    baseSequence,
    isTransactional,
  })
  const { durable } = log.append(batch)
  const read = recordsOf([batch])
  await durable
  if (producerId >= 0) {
    sequence.set(producerId, baseSequence + records.length)
    model.lastBatch.set(producerId, {
      base: baseOffsetAt(batch, 0),
      last: lastOffsetAt(batch, 0),
      sequence: baseSequence,
    })
  }
  for (const record of read) model.records.set(record.offset, record)
  if (!isTransactional) return
  const transaction = model.open.get(producerId) ?? { firstOffset: baseOffsetAt(batch, 0), offsets: [] }
  transaction.offsets.push(...read.map(({ offset }) => offset))
  model.open.set(producerId, transaction)
}

async function endTransaction(world: World): Promise<void> {
  const { random, model, log, clock } = world
  const producers = [...model.open.keys()]
  const producerId = producers[random.below(Math.max(producers.length, 1))]
  const transaction = producerId === undefined ? undefined : model.open.get(producerId)
  if (producerId === undefined || transaction === undefined) return
  const isCommit = random.below(2) === 0
  const { baseOffset, durable } = log.append(marker(isCommit ? 'commit' : 'abort', producerId, clock.wall))
  await durable
  model.open.delete(producerId)
  model.markers.set(baseOffset, transaction.offsets)
  if (!isCommit) for (const offset of transaction.offsets) model.aborted.add(offset)
}

async function clean(world: World): Promise<string[]> {
  const { random, model, log, clock } = world
  const stableOffset = Math.min(model.stableOffset, log.durableEndOffset)
  const { endOffset } = log.cleanliness({ nowMs: clock.wall, stableOffset, minLagMs: 0 })
  const before = new Map((await readRecords(log)).map((record) => [record.offset, record]))
  const report = await cleanOf(log, {
    nowMs: clock.wall,
    stableOffset,
    deleteRetentionMs: DELETE_RETENTION_MS,
    // The smallest map there is holds half of the keys.
    keyBytesMax: random.below(2) === 0 ? 24 * 8 : 24 * 1024,
    lastOfProducer: (producerId) => {
      const last = model.lastBatch.get(producerId)
      return last === undefined ? undefined : { baseOffset: last.base, epoch: 0 }
    },
  })
  const problems: string[] = []
  const after = await readAll(log, 1 + random.below(3_000))
  const found = new Map(recordsOf(after).map((record) => [record.offset, record]))

  for (const record of found.values()) {
    const original = before.get(record.offset)
    if (JSON.stringify(original) !== JSON.stringify(record)) problems.push(`offset ${record.offset} changed`)
  }
  // What is below `covered` must be compacted; what hides it may lie above, where a transaction is not decided yet.
  const covered = report.cleanedOffset
  // Nor must a record go for one that went itself: whatever hid that one lies above too. 1. v is written in a transaction. 2. A
  // tombstone, and another value far behind it. 3. A pass drops the tombstone for that value; v waits for its transaction. 4. It
  // is committed, and the next pass, whose map is small, does not reach the value.
  const latest = latestBelow(model, covered, (offset) => before.has(offset))
  const latestAnywhere = latestBelow(model, endOffset)
  for (const [offset, record] of before) {
    if (record.isControl) continue
    const isThere = found.has(offset)
    if (offset >= endOffset && !isThere) problems.push(`offset ${offset} is gone from above the bound`)
    if (offset >= covered) continue
    const isLatest = latestAnywhere.get(record.key ?? '') === offset
    const isHidden = latest.get(record.key ?? '') !== offset
    if (model.aborted.has(offset)) {
      if (isThere) problems.push(`aborted offset ${offset} is still there`)
    } else if (isHidden && isThere) problems.push(`offset ${offset} is hidden and still there`)
    else if (isLatest && record.value !== null && !isThere)
      problems.push(`the latest of ${record.key} is gone`)
    else if (isLatest && record.value === null) {
      const since = model.coveredAtMs.get(offset) ?? clock.wall
      model.coveredAtMs.set(offset, since)
      if (!isThere && clock.wall < since + DELETE_RETENTION_MS)
        problems.push(`tombstone ${offset} went early`)
    }
  }
  for (const [offset, ofTransaction] of model.markers) {
    if (before.has(offset) && !found.has(offset) && ofTransaction.some((each) => before.has(each)))
      problems.push(`marker ${offset} went before the records of its transaction`)
  }
  problems.push(...stateProblems(model, found, stableOffset), ...producerProblems(model, after))
  return problems
}

/** The offset of each key's latest committed record below `end`, of those that count. */
function latestBelow(
  model: Model,
  end: number,
  counts: (offset: number) => boolean = () => true,
): Map<string, number> {
  const latest = new Map<string, number>()
  for (const { offset, key } of model.records.values()) {
    if (offset >= end || model.aborted.has(offset) || isOpenAt(model, offset) || !counts(offset)) continue
    latest.set(key ?? '', Math.max(latest.get(key ?? '') ?? -1, offset))
  }
  return latest
}

function isOpenAt(model: Model, offset: number): boolean {
  return [...model.open.values()].some(({ offsets }) => offsets.includes(offset))
}

function stateProblems(model: Model, found: Map<number, ReadRecord>, stableOffset: number): string[] {
  const committed = [...found.values()].filter(
    ({ offset }) => offset < stableOffset && !model.aborted.has(offset),
  )
  const wanted = JSON.stringify([...model.foldBelow(stableOffset)].sort())
  const got = JSON.stringify([...foldOf(committed)].sort())
  return wanted === got ? [] : [`readers end up with ${got}, not with ${wanted}`]
}

function producerProblems(model: Model, batches: readonly Buffer[]): string[] {
  const headers = batches.map((batch) => readBatchHeader(batch, 0))
  return [...model.lastBatch].flatMap(([producerId, { base, last, sequence }]) => {
    const header = headers.find((each) => each.baseOffset === base)
    const isSame =
      header !== undefined &&
      header.producerId === producerId &&
      header.baseSequence === sequence &&
      header.baseOffset + header.lastOffsetDelta === last
    return isSame ? [] : [`producer ${producerId}'s last batch at ${base} is not known any more`]
  })
}

/** Each offset leads to the batch that holds it, or the next one; each time to the first record that late. */
async function seekProblems({ log, random }: World): Promise<string[]> {
  const batches = await readAll(log)
  const problems: string[] = []
  for (let round = 0; round < 20 && log.logEndOffset > 0; round += 1) {
    const from = random.below(log.logEndOffset)
    const wanted = batches.find((batch) => lastOffsetAt(batch, 0) >= from)
    const got = await log.read(asOffset(from), { bytesMax: 1 + random.below(300) })
    const base = got.length === 0 ? -1 : baseOffsetAt(got, 0)
    if (base !== (wanted === undefined ? -1 : baseOffsetAt(wanted, 0)))
      problems.push(`a read from ${from} begins at ${base}`)
  }
  const records = recordsOf(batches)
  for (const { timestamp } of records.slice(0, 10)) {
    const first = records.find((record) => record.timestamp >= timestamp)
    const got = await log.offsetForTimestamp(timestamp)
    if (got?.offset !== first?.offset)
      problems.push(`time ${timestamp} leads to ${got?.offset}, not ${first?.offset}`)
  }
  return problems
}

async function runSeed(seed: number): Promise<string[]> {
  const random = seededRandom(seed)
  const clock = new ManualClock()
  const disk = new SimDisk()
  const options = {
    clock,
    segmentBytesMax: [400, 1_500, 6_000][random.below(3)] ?? 1_500,
    indexIntervalBytes: [0, 200, 4096][random.below(3)] ?? 200,
  }
  const world: World = {
    random,
    clock,
    model: new Model(),
    log: await openLog(disk, options),
    sequence: new Map(),
  }
  for (let action = 0; action < 90; action += 1) {
    const kind = random.below(20)
    if (kind < 8) await appendBatch(world, random.below(2) === 0 ? -1 : 100 + random.below(3), false)
    else if (kind < 12) await appendBatch(world, random.below(3), true)
    else if (kind < 15) await endTransaction(world)
    else if (kind < 16) clock.advance(random.below(DELETE_RETENTION_MS))
    else if (kind < 17) {
      await world.log.close()
      world.log = await openLog(disk, options)
    } else {
      const problems = [...(await clean(world)), ...(await seekProblems(world))]
      if (world.log.quarantined.length > 0) problems.push('damage is told of where there is none')
      if (problems.length > 0) return problems.map((problem) => `action ${action}: ${problem}`)
    }
  }
  return []
}

describe('random histories', () => {
  test('keep the latest committed record of each key and every offset, whatever is removed and when', async () => {
    const seeds =
      ONE_SEED === undefined ? Array.from({ length: RUNS }, (_, index) => index + 1) : [Number(ONE_SEED)]
    for (const seed of seeds) {
      const repeat = `GOPHERSHIP_STORAGE_SEED=${seed} vitest run --config test/vitest.config.ts test/storage/compaction-model.test.ts`
      expect(await runSeed(seed), repeat).toEqual([])
    }
  }, 600_000)
})
