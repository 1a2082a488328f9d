/** Every maximum of the HTTP listener, with its default. What happens at each is written beside it. */

import { strict as assert } from 'node:assert'
import {
  ADMISSION_BYTES_MAX,
  BATCH_BYTES_MAX,
  HTTP_BODY_BYTES_MAX,
  RECORD_BYTES_MAX,
} from '../../core/limits.ts'

export interface HttpLimits {
  /** Request body, as sent and after decompression: 413. */
  readonly bodyBytesMax: number
  /** One line, or one whole body that is one record: 413 for the whole request. */
  readonly recordBytesMax: number
  /** Largest batch sent upstream; larger bodies become several. */
  readonly batchBytesMax: number
  /** The header block must be complete this long after the connection or the previous request: 408. */
  readonly headersMsMax: number
  /** The body must be complete after this much waiting for the client: 408. Time we chose not to read is not counted. */
  readonly bodyMsMax: number
  /** While others wait for the memory that a body holds, it must bring 64 KiB in this time of waiting for it: 408. */
  readonly blockingBodyMsMax: number
  /** Fewer body bytes a second than this, on average after `bodyRateGraceMs`: 408. */
  readonly bodyBytesPerSecondMin: number
  readonly bodyRateGraceMs: number
  /** How often Node looks for connections past `headersMsMax`. */
  readonly connectionsCheckMs: number
  /** A connection with no request under way is closed after this. */
  readonly keepAliveMsMax: number
  /** A connection on which no byte moves either way is closed after this, even with an answer outstanding. */
  readonly idleMsMax: number
  /** After this many requests the connection is closed, so that long-lived clients spread again. */
  readonly requestsPerConnectionMax: number
  /** Connections at once; one more is closed at once. */
  readonly connectionsMax: number
  /** Requests of one connection waiting for their answers (pipelining): 429 and close. */
  readonly pipelinedRequestsMax: number
  /** The header block: 431. */
  readonly headerBytesMax: number
  /** Header fields: 431. */
  readonly headerCountMax: number
  /** The content type kept with each record is cut to this many characters. */
  readonly contentTypeCharsMax: number
  /** A record key given in the query: 400. */
  readonly keyBytesMax: number
  /** How long an answer waits for the vault before it is 503 (nothing stored) or 504 (perhaps stored). */
  readonly appendMsMax: number
  /** Bytes of one request on their way to the vault at once. */
  readonly bytesInFlightPerRequestMax: number
  /** Bytes of encoded batches on their way to the vault, over all requests: later ones wait. */
  readonly encodedBytesMax: number
  /** What requests under way cost beyond their bodies, 4 KiB each, over all of them: the bodies of later ones are not read. */
  readonly requestOverheadBytesMax: number
  /** How long a refused body is still read and thrown away, so that the client sees the answer and not a reset. */
  readonly lingerMsMax: number
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  bodyBytesMax: HTTP_BODY_BYTES_MAX,
  recordBytesMax: RECORD_BYTES_MAX,
  batchBytesMax: BATCH_BYTES_MAX,
  headersMsMax: 10_000,
  bodyMsMax: 30_000,
  blockingBodyMsMax: 3_000,
  bodyBytesPerSecondMin: 1024,
  bodyRateGraceMs: 5_000,
  connectionsCheckMs: 1_000,
  keepAliveMsMax: 72_000,
  idleMsMax: 180_000,
  requestsPerConnectionMax: 100_000,
  connectionsMax: 1024,
  pipelinedRequestsMax: 16,
  headerBytesMax: 16 * 1024,
  headerCountMax: 100,
  contentTypeCharsMax: 256,
  keyBytesMax: 8 * 1024,
  appendMsMax: 30_000,
  bytesInFlightPerRequestMax: 4 * 1024 * 1024,
  encodedBytesMax: ADMISSION_BYTES_MAX,
  requestOverheadBytesMax: ADMISSION_BYTES_MAX / 2,
  lingerMsMax: 1_000,
}

/** What a record of `recordBytesMax` may add to itself: key, content type, the other header, lengths, batch header. */
const RECORD_OVERHEAD_BYTES = 1024

/** What Node and the framework hold for a request that waits for its answer, measured: far more than a small request has bytes. */
const OPEN_REQUEST_BYTES = 16 * 1024
const OPEN_REQUESTS_BYTES_MAX = 4 * ADMISSION_BYTES_MAX

/** Refuses limits that contradict each other, before anything listens with them. */
export function assertHttpLimits(limits: HttpLimits): void {
  assert(
    limits.recordBytesMax + limits.keyBytesMax + limits.contentTypeCharsMax * 3 + RECORD_OVERHEAD_BYTES <=
      limits.batchBytesMax,
    'the largest record, with its key and headers, must fit a batch',
  )
  assert(
    limits.connectionsMax * limits.pipelinedRequestsMax * OPEN_REQUEST_BYTES <= OPEN_REQUESTS_BYTES_MAX,
    'tiny requests, pipelined on every connection, must not fill the memory',
  )
  assert(limits.batchBytesMax <= limits.encodedBytesMax, 'one batch must fit the budget of encoded bytes')
  assert(limits.appendMsMax < limits.idleMsMax, 'a held answer must not look like an idle connection')
}
