/** D8 in compacted logs: each bit of each batch's header, gaps included. What is whole stays readable, and damage is told. */

import { describe, expect, test } from 'vitest'
import { asOffset } from '../../src/core/brands.ts'
import { SimDisk, simPath } from '../support/sim-disk.ts'
import { cleanOf, foldOf, keyedBatch, rawBatches, readRecords } from './compaction-support.ts'
import { ManualClock, openLog } from './support.ts'

const LOG = simPath('topic-0', '00000000000000000000.log')
const HEADER_BYTES = 61
/** The leader epoch: outside the CRC, and 0 in every batch, so that a reader just gets 0. */
const isHarmless = (byte: number) => byte >= 12 && byte < 16
const options = () => ({ clock: new ManualClock(), indexIntervalBytes: 0 })

/** One compacted segment: kept, gap, kept, gap, kept; and the one that is written to. */
async function compacted(): Promise<SimDisk> {
  const disk = new SimDisk()
  const clock = new ManualClock()
  const log = await openLog(disk, { clock, indexIntervalBytes: 0, segmentAgeMsMax: 1_000 })
  for (const key of ['a', 'x', 'x', 'b', 'x', 'c']) {
    await log.append(keyedBatch([{ key, value: 'value' }])).durable
  }
  clock.advance(1_001)
  await log.append(keyedBatch([{ key: 'x', value: 'last' }])).durable
  clock.advance(1_001)
  await log.append(keyedBatch([{ key: 'end', value: 'end' }])).durable
  await cleanOf(log)
  await log.close()
  return disk
}

describe('bit flips in a compacted segment', () => {
  test('of any header: only what they hit is lost, it is told, and the next start knows', async () => {
    const disk = await compacted()
    const raw = rawBatches(disk.bytesOf(LOG))
    expect(raw.map(({ base, count }) => [base, count])).toEqual([
      [0, 1],
      [1, 0],
      [3, 1],
      [4, 0],
      [5, 1],
      [6, 1],
    ])
    const whole = await readRecords(await openLog(disk.fork(), options()))
    let position = 0
    for (const [index, { base, last, count }] of raw.entries()) {
      for (let bit = 0; bit < HEADER_BYTES * 8; bit += 1) {
        const damaged = disk.fork()
        damaged.flip(LOG, position + (bit >>> 3), 1 << (bit & 7))
        const log = await openLog(damaged, options())
        const at = `batch ${index}, bit ${bit}`
        const read = await readRecords(log)
        const isHit = !isHarmless(bit >>> 3)
        const wanted = whole.filter(({ offset }) => !isHit || offset < base || offset > last)
        expect(read, at).toEqual(wanted)
        const isTold = log.quarantined.some(
          ({ fromOffset, toOffset }) => fromOffset <= base && toOffset > last,
        )
        expect(isTold, `${at}: told`).toBe(isHit)
        expect(log.quarantined.length, at).toBe(isHit ? 1 : 0)
        if (isHit && bit % 16 === 0) {
          // Compacting around the damage neither hides it nor loses what is whole.
          await log.append(keyedBatch([{ key: 'fresh', value: 'fresh' }])).durable
          await cleanOf(log)
          expect([...foldOf(await readRecords(log)).keys()], at).toEqual([...foldOf(wanted).keys(), 'fresh'])
          await log.close()
          expect((await openLog(damaged, options())).quarantined.length, at).toBe(1)
        }
      }
      const bytes = disk.bytesOf(LOG)
      position += bytes.readInt32BE(position + 8) + 12
      expect(count === 0 ? last >= base : last === base).toBe(true)
    }
  })

  test('and a compacted log without its checkpoint and its indexes is read whole', async () => {
    const disk = await compacted()
    const before = await readRecords(await openLog(disk.fork(), options()))
    for (const path of disk.files()) if (!path.endsWith('.log')) disk.remove(path)
    const log = await openLog(disk, options())
    expect(await readRecords(log)).toEqual(before)
    expect(log.quarantined).toEqual([])
    expect(await log.offsetForTimestamp(0)).toMatchObject({ offset: 0 })
    expect(log.cleanedOffset).toBe(asOffset(0))
    await cleanOf(log)
    expect(await readRecords(log)).toEqual(before)
  })
})
