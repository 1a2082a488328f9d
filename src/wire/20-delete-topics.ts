/**
 * DeleteTopics: removes topics.
 *
 * v1 throttle time; v4 flexible; v5 error messages; v6 `topics`, by name or by id, in place of `topicNames` (KIP-516).
 */

import { defineApi } from './api.ts'
import { array, int16, int32, string, uuid } from './fields.ts'

export const deleteTopicsApi = defineApi({
  key: 20,
  name: 'DeleteTopics',
  versions: [1, 6],
  flexibleFrom: 4,
  request: {
    topics: array(
      {
        name: string({ nullable: true, default: null }),
        topicId: uuid(),
      },
      { since: 6 },
    ),
    topicNames: array(string(), { until: 5 }),
    timeoutMs: int32(),
  },
  response: {
    throttleTimeMs: int32(),
    responses: array({
      name: string({ nullable: 6 }),
      topicId: uuid({ since: 6 }),
      errorCode: int16(),
      errorMessage: string({ since: 5, nullable: true, default: null }),
    }),
  },
})
