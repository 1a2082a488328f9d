import { describe, expect, it } from 'vitest'
import { PartitionTransactions } from '../../../src/broker/topics/partition-transactions.ts'

const begun = (...open: [producerId: number, firstOffset: number][]) => {
  const transactions = new PartitionTransactions()
  for (const [producerId, firstOffset] of open) {
    transactions.begin({ producerId, producerEpoch: 0, firstOffset })
  }
  return transactions
}

describe('PartitionTransactions', () => {
  it('has everything stable when nothing is open', () => {
    expect(begun().lastStableOffset(10)).toBe(10)
  })

  it('is stable up to the first open transaction, whichever ends first', () => {
    const transactions = begun([1, 3], [2, 5])

    const both = transactions.lastStableOffset(10)
    transactions.end({ producerId: 2, isCommit: true, offset: 10 })
    const first = transactions.lastStableOffset(11)
    transactions.end({ producerId: 1, isCommit: true, offset: 11 })

    expect([both, first, transactions.lastStableOffset(12)]).toEqual([3, 3, 12])
  })

  it('counts an end once its marker is below the high watermark', () => {
    const transactions = begun([1, 3])
    transactions.end({ producerId: 1, isCommit: true, offset: 10 })

    expect([transactions.lastStableOffset(10), transactions.lastStableOffset(11)]).toEqual([3, 11])
  })

  it('opens a transaction at its first batch only, and is not moved by a marker without one', () => {
    const transactions = begun([1, 3], [1, 7])
    transactions.end({ producerId: 2, isCommit: false, offset: 9 })

    expect([...transactions.open]).toEqual([{ producerId: 1, producerEpoch: 0, firstOffset: 3 }])
    expect(transactions.aborted).toEqual([])
  })

  it('names the aborted transactions that reach into a range, and forgets those below the log', () => {
    const transactions = begun([1, 0], [2, 1], [3, 2])
    transactions.end({ producerId: 2, isCommit: false, offset: 5 })
    transactions.end({ producerId: 3, isCommit: true, offset: 6 })
    transactions.end({ producerId: 1, isCommit: false, offset: 9 })
    const idsIn = (from: number, to: number) =>
      transactions.abortedIn(from, to).map(({ producerId }) => producerId)

    const found = [idsIn(0, 1), idsIn(0, 2), idsIn(5, 6), idsIn(6, 7), idsIn(10, 20)]
    transactions.forgetBelow(6)

    expect(found).toEqual([[1], [2, 1], [2, 1], [1], []])
    expect(idsIn(0, 100)).toEqual([1])
  })
})
