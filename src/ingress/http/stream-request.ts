/**
 * What a `POST /v1/streams/{stream}` asks for, read from its head alone: the stream, the framing, the key, the
 * partition, the encoding and the size. Everything that can be refused before the body is read is refused here.
 */

import type { FastifyRequest } from 'fastify'
import type { StreamTopicTemplates } from '../../vault/stream-topics.ts'
import { streamNameCharsMax, streamNameProblem } from '../../vault/stream-topics.ts'
import type { BodyFraming } from './body-splitter.ts'
import type { ContentEncoding } from './content-decoding.ts'
import { assertTransferEncoding, parseContentEncoding } from './content-decoding.ts'
import type { HttpLimits } from './http-limits.ts'
import { HttpRefusal } from './http-refusal.ts'
import { contentTypeOf } from './http-server.ts'
import { bodyTooLarge } from './read-body.ts'

export interface StreamRequest {
  readonly stream: string
  readonly framing: BodyFraming
  /** As sent, cut to its cap; null when there was none. Stored with each record, never interpreted beyond its type. */
  readonly contentType: string | null
  readonly key: Buffer | null
  readonly partition: number | null
  readonly encoding: ContentEncoding | null
  /** Null for a chunked body. */
  readonly contentLength: number | null
}

/** Types whose bodies are lines: one record each. Every other type is one record per request. */
const LINE_TYPES: ReadonlySet<string> = new Set([
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonlines',
  'application/x-jsonlines',
  'application/jsonl',
  'application/x-jsonl',
])

/** Throws HttpRefusal. */
export function parseStreamRequest(
  request: FastifyRequest,
  { limits, templates }: { readonly limits: HttpLimits; readonly templates: StreamTopicTemplates },
): StreamRequest {
  const { stream } = request.params as { readonly stream: string }
  assertStream(stream, templates)
  const query = parseQuery(request.query as Readonly<Record<string, unknown>>, limits)
  assertTransferEncoding(request.headers['transfer-encoding'])
  const encoding = parseContentEncoding(request.headers['content-encoding'])
  const contentLength = contentLengthOf(request)
  if (contentLength !== null && contentLength > limits.bodyBytesMax) throw bodyTooLarge(limits)
  const contentType = contentTypeOf(request.raw)
  return {
    stream,
    framing: framingOf(contentType),
    contentType: contentType === undefined ? null : contentType.slice(0, limits.contentTypeCharsMax),
    encoding,
    contentLength,
    ...query,
  }
}

/**
 * Lines for NDJSON and text, whole for everything else: `application/json`, no type at all, a malformed one, or curl's
 * own default (`application/x-www-form-urlencoded`) say nothing certain about line ends, so the bytes stay together.
 */
export function framingOf(contentType: string | undefined): BodyFraming {
  if (contentType === undefined) return 'whole'
  const parametersAt = contentType.indexOf(';')
  const mediaType = (parametersAt < 0 ? contentType : contentType.slice(0, parametersAt)).trim().toLowerCase()
  return LINE_TYPES.has(mediaType) || mediaType.startsWith('text/') ? 'lines' : 'whole'
}

function assertStream(stream: string, templates: StreamTopicTemplates): void {
  const problem = streamNameProblem(stream, templates)
  if (problem === null) return
  if (problem === 'reserved') {
    throw new HttpRefusal(
      'reserved_stream',
      'this stream name belongs to GopherShip or to Kafka itself; choose another',
    )
  }
  const charsMax = streamNameCharsMax(templates)
  throw new HttpRefusal(
    'invalid_stream',
    `a stream name is 1 to ${charsMax} of the characters a-z, A-Z, 0-9, '.', '_' and '-', and neither '.' nor '..'`,
    { facts: { limitChars: charsMax } },
  )
}

function parseQuery(
  query: Readonly<Record<string, unknown>>,
  limits: HttpLimits,
): { readonly key: Buffer | null; readonly partition: number | null } {
  let key: Buffer | null = null
  let partition: number | null = null
  for (const [name, value] of Object.entries(query)) {
    if (typeof value !== 'string') throw invalidQuery('each query parameter may be given once')
    if (name === 'key') {
      key = Buffer.from(value)
      if (key.length > limits.keyBytesMax) throw invalidQuery(`key may hold ${limits.keyBytesMax} bytes`)
    } else if (name === 'partition') {
      if (!/^\d{1,10}$/.test(value)) throw invalidQuery('partition must be a whole number from 0')
      partition = Number(value)
    } else {
      throw invalidQuery('the query parameters are key and partition; there are no others')
    }
  }
  return { key, partition }
}

function invalidQuery(message: string): HttpRefusal {
  return new HttpRefusal('invalid_query', message, { facts: { accepted: 'key, partition' } })
}

/** Node's parser has refused anything but digits, and a length beside chunks. A request with neither has no body. */
function contentLengthOf(request: FastifyRequest): number | null {
  if (request.headers['transfer-encoding'] !== undefined) return null
  return Number(request.headers['content-length'] ?? 0)
}
