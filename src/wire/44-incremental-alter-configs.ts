/**
 * IncrementalAlterConfigs: changes single settings (KIP-339).
 *
 * configOperation: 0 set, 1 delete, 2 append, 3 subtract. v1 flexible.
 */

import { defineApi } from './api.ts'
import { array, bool, int8, int16, int32, string } from './fields.ts'

export const incrementalAlterConfigsApi = defineApi({
  key: 44,
  name: 'IncrementalAlterConfigs',
  versions: [0, 1],
  flexibleFrom: 1,
  request: {
    resources: array({
      resourceType: int8(),
      resourceName: string(),
      configs: array({
        name: string(),
        configOperation: int8(),
        value: string({ nullable: true }),
      }),
    }),
    validateOnly: bool(),
  },
  response: {
    throttleTimeMs: int32(),
    responses: array({
      errorCode: int16(),
      errorMessage: string({ nullable: true }),
      resourceType: int8(),
      resourceName: string(),
    }),
  },
})
