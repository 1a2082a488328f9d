/** DescribeProducers, version 0: the idempotent producers that a partition remembers, and where their open transactions begin. */

import { describeProducersApi } from '../../wire/61-describe-producers.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import type { Partition } from '../topics/partition.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const describeProducersRoute = route(describeProducersApi, { from: 0, to: 0 }, handle)

type Request = RequestOf<typeof describeProducersApi>

function handle(request: Request, { broker }: Call): ResponseInputOf<typeof describeProducersApi> {
  return {
    topics: request.topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => {
        const partition = broker.topics.partition(name, partitionIndex)
        return partition === undefined
          ? { partitionIndex, errorCode: KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION }
          : { partitionIndex, errorCode: KAFKA_ERROR.NONE, activeProducers: activeProducers(partition) }
      }),
    })),
  }
}

function activeProducers(partition: Partition) {
  const firstOffsets = new Map<number, number>()
  for (const { producerId, firstOffset } of partition.openTransactions)
    firstOffsets.set(producerId, firstOffset)
  return Array.from(partition.producers, ([producerId, { epoch, lastSeenMs, batches }]) => ({
    producerId,
    producerEpoch: epoch,
    lastSequence: batches.at(-1)?.lastSequence ?? -1,
    lastTimestamp: lastSeenMs,
    coordinatorEpoch: firstOffsets.has(producerId) ? 0 : -1,
    currentTxnStartOffset: firstOffsets.get(producerId) ?? -1,
  }))
}
