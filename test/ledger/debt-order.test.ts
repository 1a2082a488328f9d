import { describe, expect, it } from 'vitest'
import { deadlineOf, orderByDeadline, totalsOf } from '../../src/ledger/debt-order.ts'
import { debt } from './support.ts'

describe('deadlineOf', () => {
  it('counts from the oldest record', () => {
    expect(deadlineOf(debt(0, 9, { timestampMinMs: 100 }), 1_000)).toBe(1_100)
  })

  it('never comes for a vault that keeps everything', () => {
    expect(deadlineOf(debt(0, 9), -1)).toBe(Number.POSITIVE_INFINITY)
  })

  it('counts from the booking where timestamps are not known or lie after it', () => {
    const unknown = debt(0, 9, { timestampMinMs: -1, timestampMaxMs: -1, openedMs: 500 })
    const ahead = debt(0, 9, { timestampMinMs: 9_000, timestampMaxMs: 9_000, openedMs: 500 })

    expect(deadlineOf(unknown, 1_000)).toBe(1_500)
    expect(deadlineOf(ahead, 1_000)).toBe(1_500)
  })
})

describe('orderByDeadline', () => {
  const retentionMs: Record<string, number> = { short: 1_000, long: 100_000, forever: -1 }
  const deadline = (entry: ReturnType<typeof debt>) => deadlineOf(entry, retentionMs[entry.topic] ?? -1)

  it('puts what is nearest to its retention first, and what is kept for ever last, oldest first', () => {
    const entries = [
      debt(0, 9, { topic: 'forever', openedMs: 4_000 }),
      debt(0, 9, { topic: 'forever', openedMs: 3_000 }),
      debt(0, 9, { topic: 'long', timestampMinMs: 0 }),
      debt(0, 9, { topic: 'short', timestampMinMs: 1_500, timestampMaxMs: 1_500 }),
      debt(20, 29, { topic: 'short', timestampMinMs: 1_200, timestampMaxMs: 1_500 }),
    ]

    const due = orderByDeadline(entries, deadline)

    expect(due.map(({ entry, deadlineMs }) => [entry.topic, entry.openedMs, deadlineMs])).toEqual([
      ['short', 5_000, 2_200],
      ['short', 5_000, 2_500],
      ['long', 5_000, 100_000],
      ['forever', 3_000, Number.POSITIVE_INFINITY],
      ['forever', 4_000, Number.POSITIVE_INFINITY],
    ])
  })

  it('leaves out what is not owed', () => {
    const settled = debt(0, 9, { state: 'settled', closedMs: 1 })

    expect(orderByDeadline([settled, debt(10, 19, { state: 'lost', closedMs: 1 })], deadline)).toEqual([])
  })

  it('is the same for the same entries in any order', () => {
    const entries = [debt(0, 9), debt(20, 29), debt(40, 49, { tier: 'partial' }), debt(0, 5, { topic: 'a' })]

    const due = orderByDeadline(entries, () => 7)

    expect(orderByDeadline(entries.toReversed(), () => 7)).toEqual(due)
  })
})

describe('totalsOf', () => {
  it('sums the entries of one state', () => {
    const entries = [
      debt(0, 9, { openedMs: 70 }),
      debt(20, 24, { openedMs: 60 }),
      debt(30, 39, { state: 'lost', closedMs: 1 }),
    ]

    expect(totalsOf(entries, 'open')).toEqual({ entryCount: 2, recordCount: 15, bytes: 150, openedMs: 60 })
    expect(totalsOf([], 'open')).toEqual({ entryCount: 0, recordCount: 0, bytes: 0, openedMs: null })
  })
})
