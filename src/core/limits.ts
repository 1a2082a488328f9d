/**
 * Every maximum in one place. What happens at a limit is written where it is hit; the relations that must hold
 * between limits are asserted at the end of this file.
 */

import { strict as assert } from 'node:assert'

const KIB = 1024
const MIB = 1024 * KIB

/** Largest Kafka request or response frame we accept from a peer, without its own length field. */
export const FRAME_BYTES_MAX = 16 * MIB
/** Largest frame we accept as an answer to a request of our own (a fetch may carry whole partitions). */
export const RESPONSE_FRAME_BYTES_MAX = 64 * MIB
/**
 * Most array elements in one request, over all its arrays together. An element can take one byte on the wire and a hundred
 * once decoded, so the frame limit alone does not bound memory.
 */
export const REQUEST_ELEMENTS_MAX = 200_000
/** The same for a response, whose sender we chose: a large cluster's metadata lists every replica of every partition. */
export const RESPONSE_ELEMENTS_MAX = 4_000_000
/** Largest record batch, as stored (compressed). Kafka's own default for `max.message.bytes`. */
export const BATCH_BYTES_MAX = 1_048_588
/** Largest size a compressed batch may inflate to. */
export const BATCH_INFLATED_BYTES_MAX = 32 * MIB
/** Most records one batch may hold. */
export const BATCH_RECORDS_MAX = 500_000
/** Largest HTTP request body, before and after decompression. */
export const HTTP_BODY_BYTES_MAX = 16 * MIB
/** Largest single line or record taken over HTTP: it must fit a batch with its overhead. */
export const RECORD_BYTES_MAX = 1_000_000
/** Bytes of producers' data held in memory between socket and vault, over all listeners. */
export const ADMISSION_BYTES_MAX = 64 * MIB
/** Longest topic name (Kafka's own limit, which leaves room for file names). */
export const TOPIC_NAME_CHARS_MAX = 249
/**
 * Largest batch in the topics made from the vault (enriched events, dead letters), whose `max.message.bytes` this is. An
 * event is larger than its record: JSON escapes bytes, and attributes repeat them.
 */
export const DERIVED_BATCH_BYTES_MAX = 4 * MIB
/** Largest enriched event, as JSON text: it must fit a batch of its topic with the largest key and the overhead. */
export const EVENT_BYTES_MAX = DERIVED_BATCH_BYTES_MAX - BATCH_BYTES_MAX - 64 * KIB
/** Bytes asked for in one fetch of our own, over all its partitions; the first batch comes whole even when it is larger. */
export const FETCH_BYTES_MAX = 8 * MIB
/** Bytes fetched ahead of whoever polls, over all partitions of a fetcher. */
export const FETCH_AHEAD_BYTES_MAX = 32 * MIB
/** Bytes of batches after which a produce request of our own takes no further one. */
export const PRODUCE_REQUEST_BYTES_MAX = MIB
/** Bytes of batches that one producer of ours holds, unless it is told otherwise. */
export const PRODUCE_BYTES_IN_FLIGHT_MAX = 64 * MIB
/** Longest key or value of a record of the debt ledger; two longest names, escaped, fit with room. */
export const LEDGER_RECORD_BYTES_MAX = 16 * KIB

assert(BATCH_BYTES_MAX < FRAME_BYTES_MAX, 'a full batch must fit a frame')
assert(RECORD_BYTES_MAX < BATCH_BYTES_MAX, 'the largest record must fit a batch')
assert(FRAME_BYTES_MAX <= ADMISSION_BYTES_MAX, 'one full frame must be admissible')
assert(HTTP_BODY_BYTES_MAX <= ADMISSION_BYTES_MAX, 'one full HTTP body must be admissible')
assert(
  FETCH_BYTES_MAX + DERIVED_BATCH_BYTES_MAX < RESPONSE_FRAME_BYTES_MAX,
  'an answer to a fetch must fit a frame',
)
assert(
  PRODUCE_REQUEST_BYTES_MAX + DERIVED_BATCH_BYTES_MAX < FRAME_BYTES_MAX,
  'our own broker must take our requests',
)
