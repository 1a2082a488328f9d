/**
 * FindCoordinator: which broker leads a group or a transactional id.
 *
 * v1 keyType (0 group, 1 transaction, 2 share group in v6); v3 flexible; v4 many keys in one request, in `coordinatorKeys` and
 * `coordinators` in place of the fields for one (KIP-699); v5 TRANSACTION_ABORTABLE may be answered.
 */

import { defineApi } from './api.ts'
import { array, int8, int16, int32, string } from './fields.ts'

export const findCoordinatorApi = defineApi({
  key: 10,
  name: 'FindCoordinator',
  versions: [0, 6],
  flexibleFrom: 3,
  request: {
    key: string({ until: 3 }),
    keyType: int8({ since: 1, essential: true }),
    coordinatorKeys: array(string(), { since: 4 }),
  },
  response: {
    throttleTimeMs: int32({ since: 1 }),
    errorCode: int16({ until: 3 }),
    errorMessage: string({ since: 1, until: 3, nullable: true }),
    nodeId: int32({ until: 3 }),
    host: string({ until: 3 }),
    port: int32({ until: 3 }),
    coordinators: array(
      {
        key: string(),
        nodeId: int32(),
        host: string(),
        port: int32(),
        errorCode: int16(),
        errorMessage: string({ nullable: true }),
      },
      { since: 4 },
    ),
  },
})
