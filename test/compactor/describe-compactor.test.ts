import { expect, test } from 'vitest'
import { type CompactorFacts, describeCompactor } from '../../src/compactor/describe-compactor.ts'
import { asPartitionId } from '../../src/core/brands.ts'
import { debt, PARTITION } from '../ledger/support.ts'

const ENTRY = debt(10, 19)
const FACTS: CompactorFacts = {
  isMember: true,
  isAssigned: true,
  isPaused: false,
  books: [[debt(0, 9, { state: 'settled', closedMs: 1 }), ENTRY]],
  queue: [{ entry: ENTRY, deadlineMs: 99_000, isUrgent: false, isOrdered: false }],
  permit: { all: true, ordered: true, urgent: true, reason: 'none', explanation: '', endsMs: null },
  current: { entry: ENTRY, position: 14 },
  recordsPerSecond: 5,
  settledRecordCount: 10,
  failing: [],
  foreignTopologies: [],
  unreadableCount: 0,
}
const held = { ...FACTS.permit, all: false, ordered: false, urgent: false }
const status = (changes: Partial<CompactorFacts>) => describeCompactor({ ...FACTS, ...changes })

test('while it pays: what, how fast, and until when', () => {
  expect(status({})).toMatchObject({
    state: 'paying',
    reason: 'none',
    open: { entryCount: 1, recordCount: 10 },
    oldest: [{ topic: 'raw-vault.orders', partition: 3, first: 10 }],
    current: { first: 10, last: 19, position: 14 },
    remainingMs: 2_000,
    deadlineMs: 99_000,
    problems: [],
  })
})

test('a position of the range before is not shown as one of this', () => {
  expect(status({ current: { entry: ENTRY, position: 500 } }).current?.position).toBe(20)
  expect(status({ current: { entry: ENTRY, position: 3 } }).current?.position).toBe(10)
})

test('each state says why', () => {
  const permit = {
    ...held,
    reason: 'window',
    explanation: 'it is outside the idle windows',
    endsMs: 5,
  } as const

  expect(status({ isAssigned: false })).toMatchObject({ state: 'starting', reason: 'none' })
  expect(status({ books: [], queue: [] })).toMatchObject({ state: 'idle', reason: 'none' })
  expect(status({ isPaused: true })).toMatchObject({ state: 'paused' })
  expect(status({ current: null, permit })).toMatchObject({ state: 'waiting', reason: 'window', endsMs: 5 })
  expect(status({ current: null })).toMatchObject({ state: 'waiting', reason: 'failing' })
})

test('a person is told of what is lost, what is urgent and held, what fails again and again, and what nobody here pays', () => {
  const failing = (partition: number, failureCount: number) => ({
    ...PARTITION,
    partition: asPartitionId(partition),
    failureCount,
    message: 'unreadable',
    sinceMs: 0,
  })
  const { problems } = status({
    books: [[debt(0, 9, { state: 'lost', closedMs: 1 }), ENTRY]],
    queue: [{ entry: ENTRY, deadlineMs: 0, isUrgent: true, isOrdered: false }],
    permit: { ...held, reason: 'paused' },
    failing: [failing(0, 2), ...[1, 2, 3, 4, 5, 6].map((partition) => failing(partition, 3))],
    foreignTopologies: ['another'],
    unreadableCount: 2,
  })

  expect(problems).toEqual([
    expect.stringMatching(/^10 records of debt are lost/),
    '10 records of debt are near their retention and cannot be paid: paused',
    ...[1, 2, 3, 4, 5].map((id) => `the debt of raw-vault.orders-${id} cannot be paid: unreadable`),
    'and the debt of 1 more partitions',
    expect.stringMatching(/another$/),
    '2 records of the ledger cannot be read',
  ])
})
