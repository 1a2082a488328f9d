import { expect, test } from 'vitest'
import type { Worker } from '../../src/app/processor-part.ts'
import { sumStreams } from '../../src/app/processor-part.ts'

const NOTHING = { recordCount: 0, busyMs: 0 }

function worker(partitions: { topic: string; lagRecords: number; lagSeconds: number | null }[]): Worker {
  const counts = {
    position: 0,
    highWatermark: -1,
    reachedTimestampMs: -1,
    recordCount: 10,
    eventCount: 9,
    deadLetterCount: 1,
    debtRecordCount: 0,
  }
  return {
    name: 'processor',
    status: {
      isMember: true,
      work: { full: NOTHING, partial: NOTHING, passthrough: NOTHING },
      upstreamAckMs: null,
      tier: 'full',
      partitions: partitions.map((p, partition) => ({ ...counts, ...p, partition })),
    },
  }
}

test('the partitions of all threads are added up for each stream, the one furthest behind first', () => {
  const streams = sumStreams(
    [
      worker([
        { topic: 'raw-vault.web', lagRecords: 1, lagSeconds: null },
        { topic: 'raw-vault', lagRecords: 0, lagSeconds: 0 },
      ]),
      worker([{ topic: 'raw-vault.web', lagRecords: 4, lagSeconds: 2.5 }]),
      { name: 'processor-2', status: null },
    ],
    'raw-vault.{stream}',
  )

  expect(streams).toEqual([
    {
      stream: 'web',
      partitionCount: 2,
      lagRecords: 5,
      lagSeconds: 2.5,
      recordCount: 20,
      eventCount: 18,
      deadLetterCount: 2,
    },
    {
      stream: 'default',
      partitionCount: 1,
      lagRecords: 0,
      lagSeconds: 0,
      recordCount: 10,
      eventCount: 9,
      deadLetterCount: 1,
    },
  ])
})
