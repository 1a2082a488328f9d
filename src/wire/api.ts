/**
 * One Kafka API: its number, its versions, and the codecs of its request and response, made from one field table each.
 * The same table serves the server's and the client's side, so that they cannot drift apart.
 */

import { strict as assert } from 'node:assert'
import type { ApiKey } from '../core/brands.ts'
import { asApiKey } from '../core/brands.ts'
import { REQUEST_ELEMENTS_MAX, RESPONSE_ELEMENTS_MAX } from '../core/limits.ts'
import type { TableCodec } from './compile.ts'
import { compileTable } from './compile.ts'
import type { DecodedOf, EncodableOf, FieldTable } from './fields.ts'
import { WireError } from './wire-error.ts'
import { WireReader } from './wire-reader.ts'
import type { WireWriter } from './wire-writer.ts'

/** `flexibleFrom` of an API that never became flexible. */
export const NEVER_FLEXIBLE = 0x7fff

/** A Kafka API as a pair of codecs. Decoded byte fields are views of the message they came from. */
export interface Api<Request, Response, RequestInput, ResponseInput> {
  readonly key: ApiKey
  /** Kafka's own name, as in the protocol guide: `Produce`. */
  readonly name: string
  /** First and last version of the table. What is offered to peers is the server's choice within them. */
  readonly versionMin: number
  readonly versionMax: number
  /** First version with compact types and tagged fields (KIP-482), or `NEVER_FLEXIBLE`. */
  readonly flexibleFrom: number
  /**
   * Decodes a request that fills `body` from index `at` to its end. Throws `GS_WIRE_MALFORMED` when it does not follow the
   * table or leaves bytes over (unless the API ignores those), `GS_WIRE_UNSUPPORTED_VERSION` when the table has no such
   * version.
   */
  decodeRequest(body: Buffer, at: number, version: number): Request
  /** Appends a request to `writer`; throws a `WireError` on a value the version cannot carry. */
  encodeRequest(version: number, value: RequestInput, writer: WireWriter): void
  /** As `decodeRequest`, for the response. */
  decodeResponse(body: Buffer, at: number, version: number): Response
  /** As `encodeRequest`, for the response. */
  encodeResponse(version: number, value: ResponseInput, writer: WireWriter): void
}

/** Any API, when only its number, name and versions matter. */
export type AnyApi = Api<unknown, unknown, never, never>

/** A decoded request: every field present. */
export type RequestOf<A extends AnyApi> = ReturnType<A['decodeRequest']>
/** A decoded response: every field present. */
export type ResponseOf<A extends AnyApi> = ReturnType<A['decodeResponse']>
/** A request to encode: fields left out are sent as their defaults. */
export type RequestInputOf<A extends AnyApi> = Parameters<A['encodeRequest']>[1]
/** A response to encode: fields left out are sent as their defaults. */
export type ResponseInputOf<A extends AnyApi> = Parameters<A['encodeResponse']>[1]

/** An API in one table per direction. */
export interface ApiDeclaration<Request extends FieldTable, Response extends FieldTable> {
  readonly key: number
  readonly name: string
  /** First and last version, inclusive. */
  readonly versions: readonly [number, number]
  /** Left out when the API never became flexible. */
  readonly flexibleFrom?: number
  /** True for an API whose requests come from real clients with bytes behind their last field; never for responses. */
  readonly ignoresRequestTrailer?: boolean
  readonly request: Request
  readonly response: Response
}

/** Makes an API's codecs from its tables. A version is compiled when it is first used, and then kept. */
export function defineApi<const Request extends FieldTable, const Response extends FieldTable>(
  declaration: ApiDeclaration<Request, Response>,
): Api<DecodedOf<Request>, DecodedOf<Response>, EncodableOf<Request>, EncodableOf<Response>> {
  const { key, name, versions, flexibleFrom = NEVER_FLEXIBLE, ignoresRequestTrailer = false } = declaration
  const [versionMin, versionMax] = versions
  assert(versionMin >= 0 && versionMin <= versionMax, `${name} needs versions in order`)
  const requests = versionedCodecs(declaration.request, `${name} request`, versions, flexibleFrom)
  const responses = versionedCodecs(declaration.response, `${name} response`, versions, flexibleFrom)
  return {
    key: asApiKey(key),
    name,
    versionMin,
    versionMax,
    flexibleFrom,
    decodeRequest: (body, at, version) =>
      decodeWith(
        requests(version),
        body,
        at,
        REQUEST_ELEMENTS_MAX,
        ignoresRequestTrailer,
      ) as DecodedOf<Request>,
    encodeRequest: (version, value, writer) => requests(version).encode(writer, value),
    decodeResponse: (body, at, version) =>
      decodeWith(responses(version), body, at, RESPONSE_ELEMENTS_MAX, false) as DecodedOf<Response>,
    encodeResponse: (version, value, writer) => responses(version).encode(writer, value),
  }
}

interface VersionCodec extends TableCodec {
  readonly subject: string
}

function versionedCodecs(
  table: FieldTable,
  subject: string,
  [versionMin, versionMax]: readonly [number, number],
  flexibleFrom: number,
): (version: number) => VersionCodec {
  const compiled: (VersionCodec | undefined)[] = []
  return (version) => {
    const known = compiled[version]
    if (known !== undefined) return known
    if (!(version >= versionMin && version <= versionMax) || !Number.isInteger(version)) {
      throw new WireError(
        'GS_WIRE_UNSUPPORTED_VERSION',
        `${subject} v${version}: expected a version from ${versionMin} to ${versionMax}`,
        { subject, version, versionMin, versionMax },
      )
    }
    const codec = compileTable(table, { version, flexible: version >= flexibleFrom })
    const made = { ...codec, subject: `${subject} v${version}` }
    compiled[version] = made
    return made
  }
}

function decodeWith(
  codec: VersionCodec,
  body: Buffer,
  at: number,
  elementsMax: number,
  ignoresTrailer: boolean,
): object {
  const reader = new WireReader(body, at, codec.subject, elementsMax)
  const value = codec.decode(reader)
  if (!ignoresTrailer) reader.finish()
  return value
}
