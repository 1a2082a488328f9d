/**
 * ApiVersions, versions 0–4; any later version is answered in the format of version 0 with UNSUPPORTED_VERSION and the
 * range that is served, and the connection stays open (KIP-511). No features are listed: none of Kafka's is implemented.
 */

import { apiVersionsApi } from '../../wire/18-api-versions.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { encodeResponseFrame } from '../../wire/frame.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

const VERSION_MAX = 4
const SOFTWARE_SINCE_VERSION = 3
/** Kafka's own rule for software names and versions; they end up in metrics and diagnostics. */
const SOFTWARE = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/
const SOFTWARE_CHARS_MAX = 128

export const apiVersionsRoute = route(apiVersionsApi, { from: 0, to: VERSION_MAX }, handle)

function handle(
  request: RequestOf<typeof apiVersionsApi>,
  call: Call,
): ResponseInputOf<typeof apiVersionsApi> {
  if (call.header.apiVersion >= SOFTWARE_SINCE_VERSION) {
    const { clientSoftwareName, clientSoftwareVersion } = request
    if (!isSoftwareText(clientSoftwareName) || !isSoftwareText(clientSoftwareVersion)) {
      return { errorCode: KAFKA_ERROR.INVALID_REQUEST, apiKeys: [] }
    }
    call.connection.softwareName = clientSoftwareName
    call.connection.softwareVersion = clientSoftwareVersion
  }
  return { errorCode: KAFKA_ERROR.NONE, apiKeys: call.broker.offeredApis }
}

/** The answer to a version that is not served. */
export function unsupportedApiVersions(correlationId: number): Buffer[] {
  return encodeResponseFrame(apiVersionsApi, 0, correlationId, {
    errorCode: KAFKA_ERROR.UNSUPPORTED_VERSION,
    apiKeys: [{ apiKey: apiVersionsApi.key, minVersion: 0, maxVersion: VERSION_MAX }],
  })
}

function isSoftwareText(text: string): boolean {
  return text.length <= SOFTWARE_CHARS_MAX && SOFTWARE.test(text)
}
