/**
 * Which version of each API to speak with one broker: the newest that both sides have (KIP-35).
 *
 * ApiVersions is the one request whose own version cannot be known beforehand. A broker that does not know ours answers
 * in the format of version 0 with error 35 and the range it does know (KIP-511); then we ask once more with that.
 */

import { apiVersionsApi } from '../wire/18-api-versions.ts'
import type { AnyApi, ResponseOf } from '../wire/api.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import { decodeResponse } from '../wire/frame.ts'
import { KafkaUnsupportedError, throwOnKafkaError } from './kafka-errors.ts'

type ApiVersionsAnswer = ResponseOf<typeof apiVersionsApi>

interface VersionRange {
  readonly min: number
  readonly max: number
}

/** What one broker offers, met with what our tables can speak. */
export class ApiVersionTable {
  readonly #ranges: ReadonlyMap<number, VersionRange>
  readonly #server: string
  readonly #features: ReadonlyMap<string, number>

  constructor(
    server: string,
    apiKeys: ApiVersionsAnswer['apiKeys'],
    features: ApiVersionsAnswer['finalizedFeatures'] = [],
  ) {
    this.#server = server
    this.#features = new Map(features.map(({ name, maxVersionLevel }) => [name, maxVersionLevel]))
    this.#ranges = new Map(
      apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, { min: minVersion, max: maxVersion }]),
    )
  }

  /** The newest shared version, at most `versionMax`. Throws GS_KAFKA_UNSUPPORTED when there is none. */
  versionFor(api: AnyApi, versionMax: number = api.versionMax): number {
    const offered = this.#ranges.get(api.key)
    const facts = { server: this.#server, api: api.name }
    if (offered === undefined) {
      throw new KafkaUnsupportedError(`${this.#server} does not offer ${api.name} (API ${api.key})`, facts)
    }
    const version = Math.min(api.versionMax, versionMax, offered.max)
    if (version < Math.max(api.versionMin, offered.min)) {
      throw new KafkaUnsupportedError(
        `${this.#server} offers ${api.name} in versions ${offered.min} to ${offered.max}, ` +
          `and this client speaks ${api.versionMin} to ${Math.min(api.versionMax, versionMax)}`,
        facts,
      )
    }
    return version
  }

  /** The level that the whole cluster has agreed on for a feature (KIP-584); 0 when it has not heard of it. */
  finalizedFeature(name: string): number {
    return this.#features.get(name) ?? 0
  }

  /** True when the broker offers the API in a version we speak. */
  offers(api: AnyApi): boolean {
    const offered = this.#ranges.get(api.key)
    return offered !== undefined && offered.min <= api.versionMax && offered.max >= api.versionMin
  }
}

export interface NegotiationOptions {
  /** The broker's address, for messages. */
  readonly server: string
  readonly exchange: (
    version: number,
    value: { clientSoftwareName: string; clientSoftwareVersion: string },
    decode: (frame: Buffer) => ApiVersionsAnswer,
  ) => Promise<ApiVersionsAnswer>
}

/** Named in ApiVersions from version 3 on; brokers show it in their metrics. */
const CLIENT_SOFTWARE = { clientSoftwareName: 'gophership', clientSoftwareVersion: '0.1.0' }

/** Asks a broker what it offers. Throws GS_KAFKA_UNSUPPORTED or GS_KAFKA_RESPONSE. */
export async function negotiateApiVersions({
  server,
  exchange,
}: NegotiationOptions): Promise<ApiVersionTable> {
  let version = apiVersionsApi.versionMax
  let answer = await exchange(version, CLIENT_SOFTWARE, (frame) => decodeApiVersions(frame, version))
  if (answer.errorCode === KAFKA_ERROR.UNSUPPORTED_VERSION) {
    version = downgradedVersion(server, answer)
    answer = await exchange(version, CLIENT_SOFTWARE, (frame) => decodeApiVersions(frame, version))
  }
  throwOnKafkaError('ApiVersions', answer.errorCode, { server })
  return new ApiVersionTable(server, answer.apiKeys, answer.finalizedFeatures)
}

/** Error 35 stands in the same place in every version, and says that the rest is in version 0. */
function decodeApiVersions(frame: Buffer, version: number): ApiVersionsAnswer {
  const isDowngrade = frame.length >= 6 && frame.readInt16BE(4) === KAFKA_ERROR.UNSUPPORTED_VERSION
  return decodeResponse(apiVersionsApi, isDowngrade ? 0 : version, frame).value
}

function downgradedVersion(server: string, answer: ApiVersionsAnswer): number {
  // Brokers before 2.4 sent no range with the error; version 0 is what all of them have.
  const own = answer.apiKeys.find(({ apiKey }) => apiKey === apiVersionsApi.key)
  return own === undefined ? 0 : new ApiVersionTable(server, [own]).versionFor(apiVersionsApi)
}
