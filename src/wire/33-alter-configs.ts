/**
 * AlterConfigs: replaces all settings of a resource (the old way; kafkajs knows no other).
 *
 * v2 flexible. A setting left out returns to its default.
 */

import { defineApi } from './api.ts'
import { array, bool, int8, int16, int32, string } from './fields.ts'

export const alterConfigsApi = defineApi({
  key: 33,
  name: 'AlterConfigs',
  versions: [0, 2],
  flexibleFrom: 2,
  request: {
    resources: array({
      resourceType: int8(),
      resourceName: string(),
      configs: array({
        name: string(),
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
