import { expect, test } from 'vitest'
import type { DebtReportOptions } from '../../src/compactor/debt-report.ts'
import { reportDebt } from '../../src/compactor/debt-report.ts'
import { debt } from '../ledger/support.ts'

const DAY_MS = 86_400_000
const OPTIONS: DebtReportOptions = {
  nowMs: 10 * DAY_MS,
  retention: new Map([['raw-vault.orders', { retentionMs: 7 * DAY_MS, retentionBytes: -1 }]]),
  endOf: () => null,
  urgentShare: 0.2,
  pace: null,
}
const at = (day: number) => ({
  timestampMinMs: day * DAY_MS,
  timestampMaxMs: day * DAY_MS,
  openedMs: day * DAY_MS,
})

test('what is open comes first, in the order in which it is paid', () => {
  const { rows } = reportDebt(
    [debt(0, 9, { state: 'settled', closedMs: 5 }), debt(10, 19, at(9)), debt(30, 39, at(5))],
    OPTIONS,
  )

  expect(rows.map(({ first }) => first)).toEqual([30, 10, 0])
  expect(rows.map(({ deadlineMs }) => deadlineMs)).toEqual([12 * DAY_MS, 16 * DAY_MS, null])
  expect(rows.map(({ isUrgent }) => isUrgent)).toEqual([false, false, false])
})

test('near its deadline, and past it, a range is urgent', () => {
  const { rows } = reportDebt([debt(0, 9, at(2)), debt(20, 29, at(4))], OPTIONS)

  expect(rows.map(({ isUrgent }) => isUrgent)).toEqual([true, true])
  expect(rows[0]?.deadlineMs).toBeLessThan(OPTIONS.nowMs)
})

test('each range is paid when those before it are, from when paying may begin', () => {
  const pace = { recordsPerSecond: 10, startsMs: OPTIONS.nowMs + 5_000 }
  const { rows } = reportDebt([debt(0, 99, at(5)), debt(200, 249, at(9))], { ...OPTIONS, pace })

  expect(rows.map(({ paidByMs }) => (paidByMs ?? 0) - OPTIONS.nowMs)).toEqual([15_000, 20_000])
})

test('while nothing is paid nobody knows when it will be', () => {
  expect(reportDebt([debt(0, 99)], OPTIONS).rows[0]?.paidByMs).toBeNull()
})

test('the sums are over all states, and the bytes behind a range count where the topic is limited by size', () => {
  const retention = new Map([['raw-vault.orders', { retentionMs: -1, retentionBytes: 1_000 }]])
  const { rows, totals } = reportDebt([debt(0, 9), debt(20, 29, { state: 'lost', closedMs: 1 })], {
    ...OPTIONS,
    retention,
    endOf: () => 90,
  })

  expect(rows[0]).toMatchObject({ isUrgent: true, deadlineMs: null })
  expect(totals).toMatchObject({
    open: { entryCount: 1, recordCount: 10 },
    lost: { entryCount: 1, recordCount: 10 },
    settled: { entryCount: 0 },
  })
})
