/** The audit against a broker: what it reads, and that it finds in the topics what the judgement is tested to find. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NO_HEADERS } from '../../src/batch/batch-encoder.ts'
import { ENRICHED, entry, PASSTHROUGH, settled, VAULT, violations, World } from './world.ts'

let world: World

beforeEach(async () => {
  world = await World.open()
})

afterEach(() => world.close())

/** Offsets 0-2 enriched, 3-4 passed through and owed, 5-6 partial and settled, 7 dead-lettered, 8-9 deferred; 10-11 are ahead. */
async function tell(): Promise<void> {
  await world.vault('a', 'b', 'c')
  await world.vault('d', 'e')
  await world.vault('f', 'g')
  await world.vault('\u00ff')
  await world.vault('i', 'j')
  await world.vault('k', 'l')
  await world.events(0, 2)
  await world.copies(['d', 'e'])
  await world.events(5, 6, 'partial')
  await world.deadLetter(7)
  await world.book('owed', entry(3, 4, 'passthrough'), entry(5, 6, 'partial'), entry(8, 9, 'deferred'))
  await world.book('repaid', settled(5, 6, 'partial'))
  await world.events(5, 6)
  await world.commit(10)
}

describe('the audit of a cluster', () => {
  it('finds every record accounted for, quick and deep', async () => {
    await tell()

    for (const isDeep of [false, true]) {
      const report = await world.audit({ isDeep })

      expect(violations(report)).toEqual([])
      expect(report.partitions).toMatchObject([
        {
          stream: 'web',
          topic: VAULT,
          partition: 0,
          first: 0,
          committed: 10,
          counts: {
            enriched: 3,
            owed: 4,
            settled: 2,
            deadLettered: 1,
            lost: 0,
            holes: 0,
            overlaps: 0,
            duplicates: 0,
          },
        },
      ])
    }
  })

  it('names the record that nobody has', async () => {
    await tell()
    await world.commit(12)
    await world.events(10, 10)

    expect(violations(await world.audit({ isDeep: false }))).toEqual([
      `hole in ${VAULT}-0, 1 offset: [11, 11]`,
    ])
  })

  it('names what came twice, and only tells of it under at-least-once', async () => {
    await tell()
    await world.events(1, 2)

    const duplicates = [`duplicate in ${VAULT}-0, 2 offsets: [1, 2] (events of full density)`]
    expect(violations(await world.audit({ isDeep: false }))).toEqual(duplicates)
    expect(violations(await world.audit({ guarantee: 'at-least-once' }))).toEqual([])
  })

  it('is deep only when asked: what was settled without output is then named', async () => {
    await tell()
    await world.book('repaid', settled(3, 4, 'passthrough'), settled(5, 6, 'partial'))

    expect(violations(await world.audit({ isDeep: false }))).toEqual([])
    expect(violations(await world.audit())).toEqual([
      `settled-without-output in ${VAULT}-0, 2 offsets: [3, 4]`,
    ])
  })

  it('holds passed-through batches against the ledger, both ways', async () => {
    await tell()
    await world.copies(['a', 'b', 'c'])
    await world.book('owed', entry(3, 4, 'passthrough'), entry(5, 6, 'partial'), entry(8, 9, 'passthrough'))

    expect(violations(await world.audit())).toEqual([
      `passthrough-missing in ${VAULT}-0, 2 offsets: [8, 9]`,
      `passthrough-without-debt in ${PASSTHROUGH}-0, 1 offset: [2, 2] (first offsets of batches)`,
    ])
  })

  it('names records that GopherShip did not write', async () => {
    await tell()
    await world.send(ENRICHED, (encoder) => encoder.append(1, null, Buffer.from('{"hello":1}'), NO_HEADERS))
    await world.send('dead-letter', (encoder) => encoder.append(1, null, Buffer.from('x'), NO_HEADERS))
    await world.send('gophership.debt', (encoder) => encoder.append(1, Buffer.from('x'), null, NO_HEADERS))

    expect(violations(await world.audit({ isDeep: false }))).toEqual([
      `foreign-output in ${ENRICHED}-0, 1 offset: [7, 7]`,
      'foreign-output in dead-letter-0, 1 offset: [1, 1] (no reason, stage and coordinates)',
      'foreign-output in gophership.debt-0, 1 offset:  (1 records of the ledger cannot be read; the diagnostics name them)',
    ])
  })

  it('takes a letter for a batch as one for each of its records, and a forged header for none', async () => {
    await tell()
    await world.commit(12)
    await world.deadLetter(10, { lastOffset: 11 })

    const report = await world.audit()

    expect(violations(report)).toEqual([])
    expect(report.partitions[0]?.counts.deadLettered).toBe(3)
  })

  it('says of a stream that nobody has begun that nothing is wrong with it', async () => {
    await world.vault('a')

    const report = await world.audit()

    expect(report.partitions).toMatchObject([{ first: 0, committed: 0, findings: [] }])
  })

  it('tells how far it is, up to the end', async () => {
    await tell()
    const seen: string[] = []
    await world.audit({
      onProgress: ({ step, readOffsets, totalOffsets }) =>
        seen.push(`${step} ${readOffsets}/${totalOffsets}`),
    })

    expect(seen.at(0)).toBe('outputs 0/10')
    expect(seen).toContain('outputs 10/10')
    expect(seen.at(-1)).toBe('vault 10/10')
  })

  it('stops when it is told to', async () => {
    await tell()

    await expect(world.audit({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
  })
})
