// Which chunks a partition may be worked on with, after it has gone back or is being given up.

import { expect, it } from 'vitest'
import { asOffset, asPartitionId } from '../../src/core/brands.ts'
import type { PartitionEnricher } from '../../src/enrichment/partition-enricher.ts'
import { AssignedPartition, NOTHING_COUNTED } from '../../src/processor/assigned-partition.ts'
import { DebtTail } from '../../src/processor/debt-tail.ts'

function assignedAt(offset: number): AssignedPartition {
  return new AssignedPartition({
    topic: 'raw-vault.web',
    partition: asPartitionId(0),
    stream: 'web',
    enricher: { discard() {} } as PartitionEnricher,
    debt: new DebtTail({ topology: 't', topic: 'raw-vault.web', partition: asPartitionId(0) }),
    start: asOffset(offset),
    counts: NOTHING_COUNTED,
  })
}

it('a chunk that was handed out before the partition went back is not worked on, however late its turn comes', () => {
  const assigned = assignedAt(10)
  const claim = assigned.claim()
  expect(claim.isCurrent()).toBe(true)

  assigned.rewind()
  assigned.isRewinding = true
  expect(claim.isCurrent()).toBe(false)
  assigned.isRewinding = false
  expect(claim.isCurrent()).toBe(false)
})

it('a chunk that arrives while the partition goes back is not worked on, also after it is through', () => {
  const assigned = assignedAt(10)
  assigned.rewind()
  assigned.isRewinding = true

  const claim = assigned.claim()
  assigned.isRewinding = false

  expect(claim.isCurrent()).toBe(false)
  expect(assigned.claim().isCurrent()).toBe(true)
})

it('a chunk of a partition that is being given up is not worked on', () => {
  const assigned = assignedAt(10)
  const claim = assigned.claim()

  assigned.isLeaving = true

  expect(claim.isCurrent()).toBe(false)
})

it('lag is what is not enriched yet, and its age is told only when it is known', () => {
  const assigned = assignedAt(10)
  expect(assigned.progress(10, 5_000)).toMatchObject({ position: 10, lagRecords: 0, lagSeconds: 0 })
  expect(assigned.progress(12, 5_000)).toMatchObject({ lagRecords: 2, lagSeconds: null })

  assigned.count({ recordCount: 2, eventCount: 1, deadLetterCount: 1, debtRecordCount: 0 }, 3_000)

  expect(assigned.progress(12, 5_000)).toMatchObject({ lagRecords: 2, lagSeconds: 2, recordCount: 2 })
})
