/**
 * Power cuts, kills and refusing disks at every call that a compaction makes. Whatever is found afterwards: each key has its
 * latest value, no value comes back that was hidden when a reader could see so, what is left is unchanged at its offset,
 * nothing counts as damage, and the next compaction goes on.
 */

import { describe, expect, test } from 'vitest'
import { asOffset } from '../../src/core/brands.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import type { CrashMode } from '../support/sim-disk.ts'
import { SimDisk } from '../support/sim-disk.ts'
import type { ReadRecord } from './compaction-support.ts'
import { cleanOf, foldOf, keyedBatch, marker, readRecords } from './compaction-support.ts'
import { LOG_DIRECTORY, ManualClock, openLog, settle } from './support.ts'

/** Small segments to begin with; a compaction then makes one of several. */
const FIRST_SEGMENT_BYTES = 400
const SEGMENT_BYTES = 1_500
const NOW = 1_700_000_000_000
/** More calls than any compaction of this log makes. */
const CALLS_MAX = 400

const options = (segmentBytesMax = SEGMENT_BYTES) => ({
  clock: new ManualClock(),
  segmentBytesMax,
  indexIntervalBytes: 0,
})
const clean = (log: PartitionLog) => cleanOf(log, { nowMs: NOW, deleteRetentionMs: 0 })

/** A log of many small segments with values, tombstones that are due, an aborted transaction, and a live end. */
async function history(): Promise<{ disk: SimDisk; original: Map<number, ReadRecord>; wanted: string }> {
  const disk = new SimDisk()
  const log = await openLog(disk, options(FIRST_SEGMENT_BYTES))
  const aborted = { producerId: 1, producerEpoch: 0, baseSequence: 0, isTransactional: true }
  const random = seededRandom(5)
  for (let round = 0; round < 24; round += 1) {
    const records = Array.from({ length: 1 + random.below(3) }, () => ({
      key: `k${random.below(6)}`,
      value: random.below(4) === 0 ? null : `${round}${'.'.repeat(random.below(150))}`,
    }))
    await log.append(keyedBatch(records)).durable
    if (round === 7) await log.append(keyedBatch([{ key: 'k0', value: 'aborted' }], aborted)).durable
    if (round === 9) await log.append(marker('abort', 1)).durable
    // The tombstones of the first half have their time set, and it has come, when the test begins.
    if (round === 12) await clean(log)
  }
  const original = new Map((await readRecords(log)).map((record) => [record.offset, record]))
  const wanted = stateOf([...original.values()])
  await log.close()
  return { disk, original, wanted }
}

function stateOf(records: readonly ReadRecord[]): string {
  return JSON.stringify([...foldOf(records.filter(({ value }) => value !== 'aborted'))].sort())
}

interface Expected {
  readonly original: Map<number, ReadRecord>
  readonly wanted: string
  readonly endOffset: number
}

async function problemsOf(log: PartitionLog, expected: Expected): Promise<string[]> {
  const problems: string[] = []
  if (log.failure !== null) problems.push(`failed: ${log.failure.message}`)
  if (log.quarantined.length > 0) problems.push(`damage is told of: ${JSON.stringify(log.quarantined)}`)
  if (log.logEndOffset !== expected.endOffset) problems.push(`the log ends at ${log.logEndOffset}`)
  const records = await readRecords(log, 300)
  if (stateOf(records) !== expected.wanted)
    problems.push(`readers end up with ${stateOf(records)}, not ${expected.wanted}`)
  for (const record of records) {
    if (JSON.stringify(expected.original.get(record.offset)) !== JSON.stringify(record))
      problems.push(`offset ${record.offset} changed`)
  }
  const offsets = records.map(({ offset }) => offset)
  if (offsets.some((offset, index) => index > 0 && offset <= (offsets[index - 1] ?? -1)))
    problems.push('offsets do not rise')
  return problems
}

/** Opens, checks, compacts to the end, checks, opens again, checks; and leaves nothing half done behind. */
async function problemsAfter(disk: SimDisk, expected: Expected): Promise<string[]> {
  const log = await openLog(disk, options())
  const problems = await problemsOf(log, expected)
  await clean(log)
  problems.push(...(await problemsOf(log, expected)).map((problem) => `compacted again: ${problem}`))
  await log.close()
  const again = await openLog(disk, options())
  problems.push(...(await problemsOf(again, expected)).map((problem) => `opened again: ${problem}`))
  const leftOver = disk.files().filter((path) => /\.(cleaned|swap|tmp)$|quarantine/.test(path))
  if (leftOver.length > 0) problems.push(`left behind: ${leftOver.join(', ')}`)
  await again.close()
  return problems
}

const MODES: readonly CrashMode[] = ['none', 'all', 'mixed']

describe('D1, D6, D9: a compaction that dies at any call', () => {
  test('by a power cut or a kill leaves every key its latest value', async () => {
    const { disk: base, original, wanted } = await history()
    const opened = await openLog(base.fork(), options())
    const expected = { original, wanted, endOffset: opened.logEndOffset }
    let states = 0
    let isFinished = false
    for (let call = 1; call < CALLS_MAX && !isFinished; call += 1) {
      const disk = base.fork()
      const log = await openLog(disk, options())
      const died = disk.dieAfter(call).then(() => 'died')
      isFinished = (await Promise.race([died, clean(log).then(() => 'done')])) === 'done'
      await settle()
      for (const [index, mode] of MODES.entries()) {
        const crashed = disk.crash(seededRandom(call * 10 + index), mode)
        expect(await problemsAfter(crashed, expected), `power cut at call ${call}, ${mode}`).toEqual([])
        states += 1
      }
      disk.revive()
      const killed = disk.fork()
      expect(await problemsAfter(killed, expected), `kill at call ${call}`).toEqual([])
    }
    expect(isFinished).toBe(true)
    expect(states).toBeGreaterThan(200)
  }, 120_000)

  test('and again while the start that follows puts it right', async () => {
    const { disk: base, original, wanted } = await history()
    const opened = await openLog(base.fork(), options())
    const expected = { original, wanted, endOffset: opened.logEndOffset }
    const random = seededRandom(11)
    for (let round = 0; round < 120; round += 1) {
      const first = base.fork()
      const log = await openLog(first, options())
      const died = first.dieAfter(1 + random.below(200))
      await Promise.race([died, clean(log)])
      await settle()
      const second = first.crash(random)
      const diedAgain = second.dieAfter(1 + random.below(200))
      await Promise.race([diedAgain, openLog(second, options()).then((again) => clean(again))])
      await settle()
      expect(await problemsAfter(second.crash(random), expected), `round ${round}`).toEqual([])
    }
  }, 120_000)

  test('is put right without the checkpoint, too: until the new file has its name, the old ones are all there', async () => {
    const { disk: base, wanted } = await history()
    let isFinished = false
    for (let call = 1; call < CALLS_MAX && !isFinished; call += 1) {
      const disk = base.fork()
      const log = await openLog(disk, options())
      const died = disk.dieAfter(call).then(() => 'died')
      isFinished = (await Promise.race([died, clean(log).then(() => 'done')])) === 'done'
      await settle()
      const killed = disk.fork()
      killed.flip(`${LOG_DIRECTORY}/checkpoint`, 40, 1)
      const again = await openLog(killed, options())
      expect(stateOf(await readRecords(again)), `kill at call ${call}`).toBe(wanted)
    }
    expect(isFinished).toBe(true)
  }, 120_000)

  test('never finishes a swap with the file of a later one that was not decided', async () => {
    // Producer 1 holds up what counts as compacted, so that nothing is written down between the two compactions.
    const disk = new SimDisk()
    const log = await openLog(disk, options(FIRST_SEGMENT_BYTES))
    const open = { producerId: 1, producerEpoch: 0, baseSequence: 0, isTransactional: true }
    await log.append(keyedBatch([{ key: 'txn', value: 'late' }], open)).durable
    const append = async (count: number) => {
      for (let index = 0; index < count; index += 1)
        await log.append(keyedBatch([{ key: `k${index % 3}`, value: '.'.repeat(150) + index }])).durable
    }
    // The first one makes one segment of three, the second one a segment of the same name of that and others.
    await append(5)
    const first = log.logEndOffset
    await append(5)
    const second = log.logEndOffset
    await log.append(marker('commit', 1)).durable
    await append(6)
    const wanted = stateOf(await readRecords(log))
    const original = new Map((await readRecords(log)).map((record) => [record.offset, record]))
    const expected = { original, wanted, endOffset: log.logEndOffset }
    await log.close()
    let isFinished = false
    for (let call = 1; call < CALLS_MAX && !isFinished; call += 1) {
      const forked = disk.fork()
      const again = await openLog(forked, options())
      await cleanOf(again, { stableOffset: first })
      const died = forked.dieAfter(call).then(() => 'died')
      const cleaned = cleanOf(again, { stableOffset: second }).then(() => 'done')
      isFinished = (await Promise.race([died, cleaned])) === 'done'
      await settle()
      expect(await problemsAfter(forked.fork(), expected), `kill at call ${call}`).toEqual([])
      const crashed = forked.crash(seededRandom(call), 'mixed')
      expect(await problemsAfter(crashed, expected), `power cut at call ${call}`).toEqual([])
    }
    expect(isFinished).toBe(true)
  }, 120_000)
})

describe('D4: a disk that refuses any call of a compaction', () => {
  for (const code of ['EIO', 'ENOSPC']) {
    test(`${code}: what was there stays readable, and all is well once it does not`, async () => {
      const { disk: base, original, wanted } = await history()
      const opened = await openLog(base.fork(), options())
      const expected = { original, wanted, endOffset: opened.logEndOffset }
      let hasFailed = true
      for (let call = 1; call < CALLS_MAX && hasFailed; call += 1) {
        const disk = base.fork()
        const log = await openLog(disk, options())
        disk.failAfter(call, code)
        const outcome = await clean(log).then(
          () => 'resolved',
          () => 'rejected',
        )
        hasFailed = disk.hasFailed
        disk.heal()
        const at = `call ${call}, ${outcome}`
        expect(stateOf(await readRecords(log)), at).toBe(wanted)
        if (log.failure === null) {
          await log.append(keyedBatch([{ key: 'fresh', value: null }])).durable
          await clean(log)
          expect(stateOf(await readRecords(log)), at).toBe(wanted)
        }
        await log.close().catch(() => {})
        const again = await openLog(disk, options())
        const problems = await problemsOf(again, {
          ...expected,
          endOffset: again.logEndOffset,
          original: new Map([...original, ...(await freshOf(again, expected.endOffset))]),
        })
        expect(problems, at).toEqual([])
      }
      expect(hasFailed).toBe(false)
    }, 120_000)
  }
})

async function freshOf(log: PartitionLog, from: number): Promise<[number, ReadRecord][]> {
  return (await readRecords(log))
    .filter(({ offset }) => offset >= asOffset(from))
    .map((record) => [record.offset, record])
}
