import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { describeFinding } from '../../src/audit/finding.ts'
import { OffsetSet } from '../../src/audit/offset-set.ts'
import { judge, suspectsOf } from '../../src/audit/verdict.ts'
import { type ClaimedRange, checkCoverage } from '../../src/ledger/coverage.ts'
import { formatRange, rangeOf } from '../../src/ledger/offset-range.ts'
import { debt, PARTITION } from '../ledger/support.ts'
import { checkProperty } from '../support/seeded-property.ts'
import { History, isPaid, run, stretches, violations } from './support.ts'

const FILE = 'test/audit/verdict.test.ts'

/** full 0-9, partial 10-19 settled, passthrough 20-29 open, full 30-39. */
const example = () =>
  new History([
    run('full', 10),
    run('partial', 10, { debt: 'settled' }),
    run('passthrough', 10),
    run('full', 10),
  ])

const settled = (first: number, last: number) =>
  debt(first, last, { tier: 'partial', state: 'settled', closedMs: 9_000 })

describe('the judgement of a partition', () => {
  it('finds nothing in a history in which every record was accounted for, and counts it', () => {
    const verdict = example().judge()

    expect(violations(verdict)).toEqual([])
    expect(verdict.counts).toEqual({
      enriched: 20,
      owed: 10,
      settled: 10,
      deadLettered: 0,
      lost: 0,
      holes: 0,
      overlaps: 0,
      duplicates: 0,
    })
  })

  it('finds nothing in any such history, and its counts are those of the history', () => {
    checkProperty(
      FILE,
      400,
      fc.property(stretches, fc.nat(5_000), (list, first) => {
        const history = new History(list, first)
        const verdict = history.judge()
        const records = history.cells.filter(({ fate }) => fate !== 'marker')
        const owed = records.filter(({ stretch }) => stretch.tier !== 'full' && stretch.debt === 'open')

        expect(violations(verdict)).toEqual([])
        expect(verdict.counts.deadLettered).toBe(history.letters.length)
        expect(verdict.counts.owed).toBe(owed.length)
        const { enriched, settled: paid, deadLettered, owed: open } = verdict.counts
        const lost = records.filter(
          ({ stretch }) => stretch.tier !== 'full' && stretch.debt === 'lost',
        ).length
        expect(enriched + paid + deadLettered + open + lost).toBe(records.length)
      }),
    )
  })

  it('agrees with the coverage check of the ledger on holes and overlaps, whatever was dropped and added', () => {
    const changes = fc.array(fc.tuple(fc.boolean(), fc.nat(60)), { maxLength: 6 })
    checkProperty(
      FILE,
      300,
      fc.property(stretches, changes, (list, dropsAndAdds) => {
        const history = new History(
          list.map((stretch) => ({ ...stretch, debt: stretch.debt === 'settling' ? 'open' : stretch.debt })),
        )
        const end = history.cells.length
        for (const [isDrop, place] of dropsAndAdds) {
          const at = history.full.indexOf(place % end)
          if (isDrop && at >= 0) history.full.splice(at, 1)
          else if (!isDrop && at < 0 && history.present.includes(place % end)) history.full.push(place % end)
        }
        const verdict = history.judge()
        const isMarker = new Set(
          history.cells.filter(({ fate }) => fate === 'marker').map(({ offset }) => offset),
        )
        const inState = (state: string) => [
          ...history.owedAfter.filter(
            ({ first }) => state === 'open' && !history.repaidAfter.some((entry) => entry.first === first),
          ),
          ...history.repaidAfter.filter((entry) => entry.state === state),
        ]
        const cell = (kind: string, offset: number): ClaimedRange => ({ kind, ...rangeOf(offset, offset) })
        const paid = inState('settled')
        const isIn = (entries: typeof paid, offset: number) =>
          entries.some(({ first, last }) => first <= offset && offset <= last)
        const spread = (kind: string, entries: typeof paid) =>
          history.cells
            .filter(({ offset }) => isIn(entries, offset) && !isMarker.has(offset))
            .map(({ offset }) => cell(kind, offset))
        const report = checkCoverage({ first: 0, end }, [
          ...history.full.filter((offset) => !isIn(paid, offset)).map((offset) => cell('enriched', offset)),
          ...history.letters.map((offset) => cell('dead-lettered', offset)),
          ...spread('open', inState('open')),
          ...spread('settled', paid).filter(({ first }) => !history.letters.includes(first)),
          // A letter in a settled range that is an event as well is seen on the letter's side.
          ...history.full
            .filter((offset) => isIn(paid, offset) && history.letters.includes(offset))
            .map((offset) => cell('enriched', offset)),
          ...spread('lost', inState('lost')),
          ...[...isMarker].map((offset) => cell('marker', offset)),
        ])
        const named = (kind: string) =>
          verdict.findings
            .filter((found) => found.kind === kind)
            .flatMap(({ ranges }) =>
              ranges.flatMap(({ first, last }) =>
                Array.from({ length: last - first + 1 }, (_, index) => first + index),
              ),
            )
        const offsets = (ranges: readonly { first: number; last: number }[]) =>
          ranges.flatMap(({ first, last }) =>
            Array.from({ length: last - first + 1 }, (_, index) => first + index),
          )

        expect(named('hole')).toEqual(offsets(report.holes))
        expect([...new Set(named('overlap'))].sort((a, b) => a - b)).toEqual(offsets(report.overlaps))
      }),
    )
  })
})

describe('a history that was tampered with', () => {
  it('names the event that is missing', () => {
    checkProperty(
      FILE,
      200,
      fc.property(stretches, fc.nat(), (list, pick) => {
        const history = new History(list)
        const candidates = history.cells.filter(
          ({ stretch, fate }) =>
            (fate === 'enriched' && isPaid(stretch) && stretch.debt !== 'settling') ||
            (fate === 'enriched' && stretch.tier === 'full'),
        )
        const chosen = candidates[pick % Math.max(1, candidates.length)]
        fc.pre(chosen !== undefined)
        history.full.splice(history.full.indexOf(chosen.offset), 1)
        const kind = chosen.stretch.tier === 'full' ? 'hole' : 'settled-without-output'

        expect(violations(history.judge())).toEqual([`${kind} [${chosen.offset}, ${chosen.offset}]`])
      }),
    )
  })

  it('names the event that is there twice', () => {
    checkProperty(
      FILE,
      200,
      fc.property(stretches, fc.nat(), (list, pick) => {
        const history = new History(list)
        const chosen = history.full[pick % Math.max(1, history.full.length)]
        fc.pre(chosen !== undefined)
        history.full.push(chosen)

        expect(violations(history.judge())).toEqual([
          `duplicate [${chosen}, ${chosen}] (events of full density)`,
        ])
      }),
    )
  })

  it('names both ends of a settled range that lies beside what was paid', () => {
    const history = example()
    history.owedBefore = history.owedAfter = [debt(10, 29, { tier: 'partial' })]
    history.partial.push(...Array.from({ length: 10 }, (_, index) => 20 + index))
    history.repaidBefore = history.repaidAfter = [settled(13, 22)]

    expect(violations(history.judge())).toEqual([
      'overlap [10, 12] (enriched and open)',
      'settled-without-output [20, 22]',
    ])
  })

  it('names a range that was settled though it was never owed', () => {
    const history = example()
    history.repaidBefore = history.repaidAfter = [...history.repaidAfter, settled(30, 34)]

    expect(violations(history.judge())).toEqual(['repaid-without-debt [30, 34]'])
  })

  it('names the gap that a switch of tiers left', () => {
    const history = example()
    history.owedBefore = history.owedAfter = history.owedAfter.map((entry) =>
      entry.first === 20 ? { ...entry, ...rangeOf(22, 29), recordCount: 8 } : entry,
    )

    expect(violations(history.judge())).toEqual(['hole [20, 21]'])
  })

  it('names what was enriched although it is owed', () => {
    const history = example()
    history.full.push(25, 26)

    expect(violations(history.judge())).toEqual(['overlap [25, 26] (enriched and open)'])
  })

  it('names what was enriched and dead-lettered, inside and outside of what was settled', () => {
    const history = example()
    history.letters.push(3, 12)

    expect(violations(history.judge())).toEqual(['overlap [3, 3] [12, 12] (enriched and dead-lettered)'])
  })

  it('names an event of an offset at which there is no record, and one beyond the end', () => {
    const history = example()
    history.present.splice(history.present.indexOf(5), 1)
    history.full.push(40)

    expect(violations(history.judge())).toEqual(['output-without-record [5, 5] [40, 40]'])
  })

  it('names a partial event where no such debt is booked', () => {
    const history = example()
    history.partial.push(2, 21)

    expect(violations(history.judge())).toEqual(['partial-without-debt [2, 2] [21, 21]'])
  })

  it('names a dead letter that came twice', () => {
    const history = new History([run('full', 3, { fates: ['enriched', 'letter', 'enriched'] })])
    history.letters.push(1)

    expect(violations(history.judge())).toEqual(['duplicate [1, 1] (dead letters)'])
  })

  it('names what is owed below the first offset of the vault, and what went unread', () => {
    const history = example()

    expect(violations(history.judge({ startBefore: 24, startAfter: 24 }))).toEqual(['owed-but-gone [20, 23]'])
    expect(violations(history.judge({ committed: 30, startBefore: 35, startAfter: 35 }))).toEqual([
      'gone-unread [30, 34]',
      'owed-but-gone [20, 29]',
    ])
  })

  it('says it in a line that names the place', () => {
    const history = example()
    history.full.splice(history.full.indexOf(4), 1)

    expect(history.judge().findings.map(describeFinding)).toEqual([
      `hole in ${PARTITION.topic}-3, 1 offset: [4, 4]`,
    ])
  })
})

describe('what is no fault', () => {
  it('is a marker, an aborted record or a cleaned offset, as soon as the vault says so', () => {
    const history = new History([
      run('full', 5, { fates: ['enriched', 'marker', 'enriched', 'marker', 'marker'] }),
    ])

    expect([...suspectsOf(history.partitionCase()).ranges()].map(formatRange)).toEqual(['[1, 1]', '[3, 4]'])
    expect(violations(history.judge())).toEqual([])
  })

  it('is what was enriched ahead of the committed offset, and booked there', () => {
    const history = example()
    history.full.push(45)

    expect(violations(history.judge({ committed: 33, end: 50 }))).toEqual([])
    expect(history.judge({ committed: 33, end: 50 }).counts).toMatchObject({
      enriched: 13,
      owed: 10,
      settled: 10,
    })
  })

  it('is what lies below the first offset of the vault', () => {
    const history = example()
    history.full.splice(0, 5)

    expect(violations(history.judge({ startBefore: 3, startAfter: 12 }))).toEqual([])
    expect(history.judge({ startAfter: 12 }).counts.enriched).toBe(10)
  })

  it('is a debt that is settled while the outputs are read, seen or not', () => {
    for (const isSeen of [true, false]) {
      const history = new History([run('passthrough', 4, { debt: 'settling', isSeen })])

      expect(violations(history.judge())).toEqual([])
      expect(history.judge().counts).toMatchObject({ settled: 4, owed: 0, enriched: 0 })
    }
  })

  it('is an output that came twice, where at-least-once was asked for; a hole still is', () => {
    const history = example()
    history.full.push(4, 25)
    history.full.splice(history.full.indexOf(7), 1)

    const verdict = history.judge({ guarantee: 'at-least-once' })

    expect(violations(verdict)).toEqual(['hole [7, 7]'])
    expect(verdict.counts).toMatchObject({ duplicates: 1, overlaps: 1 })
    expect(verdict.findings.filter(({ isViolation }) => !isViolation).map(({ kind }) => kind)).toEqual([
      'overlap',
      'duplicate',
    ])
  })

  it('is what retention has taken from an output topic; it is told apart', () => {
    const history = example()
    history.full.splice(history.full.indexOf(2), 1)
    history.full.splice(history.full.indexOf(12), 1)

    const verdict = history.judge({ eventsExpiredBelow: 15 })

    expect(violations(verdict)).toEqual([])
    expect(verdict.findings.map(describeFinding)).toEqual([
      `expired in ${PARTITION.topic}-3, 1 offset: [2, 2]`,
    ])
  })

  it('is debt that was written off: it is told, and counted', () => {
    const history = new History([run('full', 2), run('deferred', 3, { debt: 'lost' })])

    expect(violations(history.judge())).toEqual([])
    expect(history.judge().findings.map(({ kind, offsetCount }) => [kind, offsetCount])).toEqual([
      ['lost', 3],
    ])
  })
})

describe('what is written off', () => {
  it('and is in the vault all the same is named', () => {
    const history = new History([run('full', 2), run('deferred', 6, { debt: 'lost' }), run('full', 2)])
    history.present.push(4, 5)

    expect(violations(history.judge())).toEqual(['lost-but-there [4, 5]'])
  })

  it('is looked up where the vault should still have it, also without the rest of it', () => {
    const history = new History([run('full', 2), run('deferred', 6, { debt: 'lost' }), run('full', 2)])
    const partition = history.partitionCase({ startAfter: 4, startBefore: 4 })

    expect([...suspectsOf(partition).ranges()].map(formatRange)).toEqual(['[4, 7]'])
    expect(violations(judge(partition, { present: OffsetSet.of(6, 8), isWhole: false }))).toEqual([
      'lost-but-there [6, 7]',
    ])
  })
})

describe('without the whole vault', () => {
  it('holes are found with the suspects alone', () => {
    const history = new History([
      run('full', 6, { fates: ['enriched', 'enriched', 'marker', 'enriched', 'enriched', 'enriched'] }),
    ])
    history.full.splice(history.full.indexOf(4), 1)
    const partition = history.partitionCase()
    const present = new OffsetSet()
    for (const { first, last } of suspectsOf(partition).ranges()) {
      for (let offset: number = first; offset <= last; offset += 1)
        if (history.present.includes(offset)) present.add(offset)
    }

    expect(violations(judge(partition, { present, isWhole: false }))).toEqual(['hole [4, 4]'])
  })

  it('a ledger that speaks of offsets far beyond the vault costs nothing', () => {
    const history = example()
    history.owedAfter.push(debt(100, 200, { ...rangeOf(100, 2 ** 52), recordCount: 1 }))

    expect(violations(history.judge())).toEqual([])
  })
})
