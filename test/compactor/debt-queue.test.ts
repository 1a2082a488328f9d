import { describe, expect, test } from 'vitest'
import type { VaultRetention } from '../../src/compactor/debt-deadline.ts'
import { deadlineFor, GrowthMeter, KEEP_EVERYTHING } from '../../src/compactor/debt-deadline.ts'
import { FailingPartitions, pickDebt, queueDebt } from '../../src/compactor/debt-queue.ts'
import { NowOrder } from '../../src/compactor/now-order.ts'
import type { PayPermit } from '../../src/compactor/pay-permit.ts'
import { asPartitionId } from '../../src/core/brands.ts'
import type { DebtEntry } from '../../src/ledger/debt-entry.ts'
import { debt } from '../ledger/support.ts'
import { manualClock } from '../support/manual-clock.ts'

const HOUR_MS = 3_600_000
const ALL: PayPermit = {
  all: true,
  ordered: true,
  urgent: true,
  reason: 'none',
  explanation: '',
  endsMs: null,
}
const SOME: PayPermit = { ...ALL, all: false, ordered: false, urgent: false, reason: 'window' }
const NO_ORDER = new NowOrder()

const at = (partition: number, timestampMinMs: number, changes: Partial<DebtEntry> = {}) =>
  debt(0, 9, {
    partition: asPartitionId(partition),
    timestampMinMs,
    timestampMaxMs: timestampMinMs,
    openedMs: timestampMinMs,
    ...changes,
  })

function queued(
  entries: readonly DebtEntry[],
  {
    retention = { retentionMs: 10 * HOUR_MS, retentionBytes: -1 },
    nowMs = 0,
    order = NO_ORDER,
  }: { retention?: VaultRetention; nowMs?: number; order?: NowOrder } = {},
) {
  const facts = { retention, growth: null, urgentShare: 0.2, nowMs }
  return queueDebt([entries], (entry) => deadlineFor(entry, facts), order)
}

describe('the queue', () => {
  test('what is nearest to its retention comes first, and only what is open', () => {
    const queue = queued([at(0, 30), at(1, 10), at(2, 20, { state: 'settled', closedMs: 99 }), at(3, 5)])

    expect(queue.map(({ entry }) => entry.partition)).toEqual([3, 1, 0])
  })

  test('it is urgent with less than the share of its retention left', () => {
    const entry = at(0, 0)

    expect(queued([entry], { nowMs: 8 * HOUR_MS - 1 })[0]?.isUrgent).toBe(false)
    expect(queued([entry], { nowMs: 8 * HOUR_MS })[0]?.isUrgent).toBe(true)
    expect(queued([entry], { nowMs: 20 * HOUR_MS })[0]?.isUrgent).toBe(true)
    expect(queued([entry], { nowMs: 20 * HOUR_MS, retention: KEEP_EVERYTHING })[0]).toMatchObject({
      isUrgent: false,
      deadlineMs: Number.POSITIVE_INFINITY,
    })
  })

  test('the permit says which of them may be paid', () => {
    const order = new NowOrder()
    order.take(50)
    const [soon, ordered] = [at(0, 0, { openedMs: 60 }), at(1, 7 * HOUR_MS, { openedMs: 40 })]
    order.look(ordered, [ordered])
    const queue = queued([soon, ordered], { nowMs: 9 * HOUR_MS, order })
    const failing = new FailingPartitions(manualClock())

    expect(pickDebt(queue, SOME, failing)).toBeNull()
    expect(pickDebt(queue, { ...SOME, urgent: true }, failing)?.entry).toBe(soon)
    expect(pickDebt(queue, { ...SOME, ordered: true }, failing)?.entry).toBe(ordered)
    expect(pickDebt(queue, ALL, failing)?.entry).toBe(soon)
  })

  test('a partition that fails rests, longer each time, and the others go on', () => {
    const clock = manualClock()
    const failing = new FailingPartitions(clock)
    const [bad, good] = [at(0, 0), at(1, 10)]
    const queue = queued([bad, good])

    expect(failing.add(bad, new Error('unreadable'))).toBe(1_000)
    expect(pickDebt(queue, ALL, failing)?.entry).toBe(good)
    clock.advance(1_000)
    expect(pickDebt(queue, ALL, failing)?.entry).toBe(bad)
    expect(failing.add(bad, new Error('unreadable'))).toBe(2_000)
    for (let round = 0; round < 30; round += 1) failing.add(bad, new Error('unreadable'))
    expect(failing.add(bad, new Error('unreadable'))).toBe(60_000)
    expect(failing.list()).toMatchObject([{ partition: 0, failureCount: 33, message: 'unreadable' }])
    failing.clear(bad)
    expect(pickDebt(queue, ALL, failing)?.entry).toBe(bad)
    expect(failing.list()).toEqual([])
  })
})

describe('retention by size', () => {
  // Ten bytes a record: see `debt`.
  const facts = (endOffset: number, recordsPerSecond: number) => ({
    retention: { retentionMs: -1, retentionBytes: 10_000 },
    growth: { endOffset, recordsPerSecond },
    urgentShare: 0.2,
    nowMs: 0,
  })

  test('the deadline is when the partition has grown by what is left', () => {
    expect(deadlineFor(debt(100, 109), facts(600, 10))).toEqual({ deadlineMs: 50_000, isUrgent: false })
  })

  test('it is urgent when less than the share is left, also while nothing arrives', () => {
    expect(deadlineFor(debt(100, 109), facts(900, 0))).toEqual({
      deadlineMs: Number.POSITIVE_INFINITY,
      isUrgent: true,
    })
    expect(deadlineFor(debt(100, 109), facts(2_000, 10))).toEqual({ deadlineMs: 0, isUrgent: true })
  })

  test('the growth is averaged over a minute or so', () => {
    const meter = new GrowthMeter()
    expect(meter.growth()).toBeNull()
    for (let second = 0; second <= 600; second += 2) meter.observe(second * 100, second * 1_000)

    expect(meter.growth()?.endOffset).toBe(60_000)
    expect(meter.growth()?.recordsPerSecond).toBeCloseTo(100, 0)
  })
})

describe('an order to pay now', () => {
  test('covers what was open when it was given, and nothing booked later', () => {
    const order = new NowOrder()
    const books = [debt(0, 9, { openedMs: 100 }), debt(20, 29, { openedMs: 200, tier: 'partial' })]
    order.take(150)
    for (const entry of books) order.look(entry, books)

    expect(books.map((entry) => order.covers(entry))).toEqual([true, false])
  })

  test('an entry that grows is covered up to where it had got', () => {
    const order = new NowOrder()
    order.take(150)
    order.look(debt(0, 9), [debt(0, 9, { openedMs: 100 })])

    expect(order.covers(debt(5, 500, { openedMs: 100 }))).toBe(true)
    expect(order.lastOf(debt(0, 9))).toBe(9)
    expect(order.covers(debt(10, 500, { openedMs: 100 }))).toBe(false)
  })

  test('the same order again changes nothing, a new one begins anew, and none covers nothing', () => {
    const order = new NowOrder()
    order.take(150)
    order.look(debt(0, 9), [debt(0, 9, { openedMs: 100 })])
    order.take(150)
    order.look(debt(0, 9), [debt(0, 99, { openedMs: 100 })])
    expect(order.lastOf(debt(0, 9))).toBe(9)

    order.take(160)
    order.look(debt(0, 9), [debt(0, 99, { openedMs: 100 })])
    expect(order.lastOf(debt(0, 9))).toBe(99)

    order.take(null)
    expect(order.covers(debt(0, 99, { openedMs: 100 }))).toBe(false)
  })
})
