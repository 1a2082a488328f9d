/**
 * Requests and responses as whole frames: the four-byte size, the header, then the message.
 *
 * Headers (KIP-482): request v1 is key, version, correlation id and client id; v2, used from an API's first flexible
 * version, adds tagged fields, yet keeps the client id in its classic form. Response v0 is the correlation id, v1 adds
 * tagged fields. An ApiVersions response always has v0, because its reader does not know yet what the server speaks.
 */

import type { ApiKey } from '../core/brands.ts'
import { asApiKey } from '../core/brands.ts'
import { apiVersionsApi } from './18-api-versions.ts'
import type { AnyApi, RequestInputOf, ResponseInputOf, ResponseOf } from './api.ts'
import { findApi } from './apis.ts'
import { WireError } from './wire-error.ts'
import { WireReader } from './wire-reader.ts'
import { WireWriter } from './wire-writer.ts'

/** Bytes of the size that stands before every frame. */
export const FRAME_SIZE_BYTES = 4

/** A request's header, and where its message begins. */
export interface RequestHeader {
  readonly apiKey: ApiKey
  readonly apiVersion: number
  /** The sender's own number for this request, any int32; the response carries it back. */
  readonly correlationId: number
  readonly clientId: string | null
  /** Index in the frame of the message's first byte. */
  readonly bodyStart: number
}

/**
 * Decodes the header of a frame (without its size). Throws `GS_WIRE_MALFORMED` when it is cut short, and
 * `GS_WIRE_UNSUPPORTED_VERSION` for an API without a table, whose header version cannot be known. The version itself is
 * not judged here: the caller compares it with what it offers.
 *
 * An ApiVersions request in a version newer than the table is only a question for what is spoken here: its header is
 * read as far as it goes, and `bodyStart` is the frame's end.
 */
export function decodeRequestHeader(frame: Buffer): RequestHeader {
  const reader = new WireReader(frame, 0, 'request header')
  const apiKey = asApiKey(reader.int16())
  const apiVersion = reader.int16()
  const correlationId = reader.int32()
  const api = findApi(apiKey)
  if (api === undefined) {
    throw new WireError(
      'GS_WIRE_UNSUPPORTED_VERSION',
      `request header: there is no API with key ${apiKey} here`,
      {
        apiKey,
        apiVersion,
        correlationId,
      },
    )
  }
  if (apiKey === apiVersionsApi.key && apiVersion > apiVersionsApi.versionMax) {
    return { apiKey, apiVersion, correlationId, clientId: null, bodyStart: frame.length }
  }
  const length = reader.length16()
  const clientId = length < 0 ? null : reader.string(length)
  if (apiVersion >= api.flexibleFrom) reader.skipTags()
  return { apiKey, apiVersion, correlationId, clientId, bodyStart: reader.position }
}

/** A request as buffers for `writev`, its size first. Throws a `WireError` on a value the version cannot carry. */
export function encodeRequestFrame<A extends AnyApi>(
  api: A,
  version: number,
  { correlationId, clientId }: { readonly correlationId: number; readonly clientId: string | null },
  value: RequestInputOf<A>,
): Buffer[] {
  const writer = new WireWriter()
  writer.int32(0)
  writer.int16(api.key)
  writer.int16(version)
  writer.int32(correlationId)
  writer.string(clientId, false)
  if (version >= api.flexibleFrom) writer.uvarint(0)
  api.encodeRequest(version, value as never, writer)
  return sized(writer)
}

/** A response as buffers for `writev`, its size first. Throws a `WireError` on a value the version cannot carry. */
export function encodeResponseFrame<A extends AnyApi>(
  api: A,
  version: number,
  correlationId: number,
  value: ResponseInputOf<A>,
): Buffer[] {
  const writer = new WireWriter()
  writer.int32(0)
  writer.int32(correlationId)
  if (responseHeaderVersion(api, version) === 1) writer.uvarint(0)
  api.encodeResponse(version, value as never, writer)
  return sized(writer)
}

/** Decodes a response frame (without its size) that answers a request of this API and version. */
export function decodeResponse<A extends AnyApi>(
  api: A,
  version: number,
  frame: Buffer,
): { readonly correlationId: number; readonly value: ResponseOf<A> } {
  const reader = new WireReader(frame, 0, `${api.name} response header`)
  const correlationId = reader.int32()
  if (responseHeaderVersion(api, version) === 1) reader.skipTags()
  const value = api.decodeResponse(frame, reader.position, version) as ResponseOf<A>
  return { correlationId, value }
}

/** The correlation id alone, to find out which request a response frame answers. */
export function correlationIdOf(frame: Buffer): number {
  return new WireReader(frame, 0, 'response header').int32()
}

function responseHeaderVersion(api: AnyApi, version: number): 0 | 1 {
  return version >= api.flexibleFrom && api.key !== apiVersionsApi.key ? 1 : 0
}

/** Fills in the size kept free at the start; the first part is always our own buffer. */
function sized(writer: WireWriter): Buffer[] {
  const parts = writer.finish()
  const first = parts[0] as Buffer // the size itself was written, so there is one
  first.writeInt32BE(writer.byteLength - FRAME_SIZE_BYTES, 0)
  return parts
}
