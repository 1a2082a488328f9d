/**
 * ApiVersions 0–4. A newer version is answered in the form of version 0 with UNSUPPORTED_VERSION and the range served,
 * as Kafka does, and the connection stays open: clients then ask again in a version both know.
 */

import type { ListenerReply, ListenerRequest } from '../../listener/listener-types.ts'
import { apiVersionsApi } from '../../wire/18-api-versions.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { encodeResponseFrame } from '../../wire/frame.ts'
import type { IngressApi } from './handler-types.ts'

/** Kafka's rule for what clients call themselves (KIP-511). */
const SOFTWARE_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/
const SOFTWARE_NAME_CHARS_MAX = 128
/** First version in which clients say what they are. */
const SOFTWARE_NAME_SINCE_VERSION = 3

/** The handler, for the APIs that the ingress serves. */
export function apiVersionsHandler(
  served: () => readonly IngressApi[],
): (request: ListenerRequest) => ListenerReply {
  return ({ header, frame, bodyStart, connection }) => {
    const { apiVersion, correlationId } = header
    if (apiVersion < 0 || apiVersion > apiVersionsApi.versionMax) {
      return encodeResponseFrame(apiVersionsApi, 0, correlationId, {
        errorCode: KAFKA_ERROR.UNSUPPORTED_VERSION,
        apiKeys: [{ apiKey: apiVersionsApi.key, minVersion: 0, maxVersion: apiVersionsApi.versionMax }],
      })
    }
    const value = apiVersionsApi.decodeRequest(frame, bodyStart, apiVersion)
    if (apiVersion >= SOFTWARE_NAME_SINCE_VERSION) {
      const { clientSoftwareName, clientSoftwareVersion } = value
      if (!isSoftwareName(clientSoftwareName) || !isSoftwareName(clientSoftwareVersion)) {
        return encodeResponseFrame(apiVersionsApi, apiVersion, correlationId, {
          errorCode: KAFKA_ERROR.INVALID_REQUEST,
        })
      }
      connection.softwareName = clientSoftwareName
      connection.softwareVersion = clientSoftwareVersion
    }
    return encodeResponseFrame(apiVersionsApi, apiVersion, correlationId, {
      apiKeys: served().map(({ api, announced }) => ({
        apiKey: api.key,
        minVersion: announced[0],
        maxVersion: announced[1],
      })),
    })
  }
}

function isSoftwareName(text: string): boolean {
  return text.length <= SOFTWARE_NAME_CHARS_MAX && SOFTWARE_NAME.test(text)
}
