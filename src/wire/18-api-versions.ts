/**
 * ApiVersions: which APIs a broker offers, in which versions.
 *
 * v1 throttle time; v3 flexible, the client's software name and version (KIP-511), features (KIP-584); v4 a feature may begin
 * at version 0. The response header is v0 in every version; a request in an unknown version is answered in v0 with
 * UNSUPPORTED_VERSION (see `frame.ts`).
 */

import { defineApi } from './api.ts'
import { array, bool, int16, int32, int64, string } from './fields.ts'

export const apiVersionsApi = defineApi({
  key: 18,
  name: 'ApiVersions',
  versions: [0, 4],
  flexibleFrom: 3,
  request: {
    clientSoftwareName: string({ since: 3 }),
    clientSoftwareVersion: string({ since: 3 }),
  },
  response: {
    errorCode: int16(),
    apiKeys: array({
      apiKey: int16(),
      minVersion: int16(),
      maxVersion: int16(),
    }),
    throttleTimeMs: int32({ since: 1 }),
    supportedFeatures: array(
      {
        name: string(),
        minVersion: int16(),
        maxVersion: int16(),
      },
      { since: 3, tag: 0 },
    ),
    finalizedFeaturesEpoch: int64({ since: 3, tag: 1, default: -1 }),
    finalizedFeatures: array(
      {
        name: string(),
        maxVersionLevel: int16(),
        minVersionLevel: int16(),
      },
      { since: 3, tag: 2 },
    ),
    zkMigrationReady: bool({ since: 3, tag: 3 }),
  },
})
