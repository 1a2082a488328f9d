/** DeleteRecords, versions 0–2: everything below an offset, or below the high watermark (-1), is no longer readable. */

import { asOffset } from '../../core/brands.ts'
import { isFailure } from '../../core/errors.ts'
import { deleteRecordsApi } from '../../wire/21-delete-records.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const deleteRecordsRoute = route(deleteRecordsApi, { from: 0, to: 2 }, handle)

type Request = RequestOf<typeof deleteRecordsApi>

const HIGH_WATERMARK = -1

async function handle(request: Request, call: Call): Promise<ResponseInputOf<typeof deleteRecordsApi>> {
  const topics = []
  for (const topic of request.topics) {
    const partitions = []
    for (const { partitionIndex, offset } of topic.partitions) {
      partitions.push({ partitionIndex, ...(await deleteBelow(topic.name, partitionIndex, offset, call)) })
    }
    topics.push({ name: topic.name, partitions })
  }
  return { topics }
}

async function deleteBelow(topicName: string, index: number, asked: number, call: Call) {
  const partition = call.broker.topics.partition(topicName, index)
  if (partition === undefined) return { lowWatermark: -1, errorCode: KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION }
  if (call.broker.topics.byName(topicName)?.isInternal) {
    return { lowWatermark: -1, errorCode: KAFKA_ERROR.INVALID_TOPIC_EXCEPTION }
  }
  const offset = asked === HIGH_WATERMARK ? partition.highWatermark : asked
  if (offset < 0 || offset > partition.highWatermark) {
    return { lowWatermark: -1, errorCode: KAFKA_ERROR.OFFSET_OUT_OF_RANGE }
  }
  try {
    await partition.log.deleteRecordsBefore(asOffset(offset))
    return { lowWatermark: partition.log.logStartOffset, errorCode: KAFKA_ERROR.NONE }
  } catch (error) {
    if (!isFailure(error)) throw error
    return { lowWatermark: -1, errorCode: KAFKA_ERROR.KAFKA_STORAGE_ERROR }
  }
}
