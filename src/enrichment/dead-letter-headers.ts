/**
 * The headers of a dead letter: why, at which stage, at which attempt, and where in the vault the record lies. The
 * record's own headers follow them verbatim, so that a redrive can send it back as it was. A header of ours that the producer
 * forged therefore comes after ours; readers take the first of a name.
 */

import type { EncodedHeaders, RecordHeader } from '../batch/record-headers.ts'
import { encodeHeaders } from '../batch/record-headers.ts'

export interface DeadLetterFacts {
  /** A stable word, such as `invalid-utf8`. */
  readonly reason: string
  /** The stage that could not handle the record. */
  readonly stage: string
  /** A sentence for people. */
  readonly message: string
  /** 1 for the first time the record was tried. */
  readonly attempt: number
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

const MESSAGE_CHARS_MAX = 500

/** Encodes the facts, then the record's own headers. */
export function encodeDeadLetterHeaders(
  facts: DeadLetterFacts,
  own: readonly RecordHeader[],
): EncodedHeaders {
  const text = (key: string, value: string | number): RecordHeader => ({
    key,
    value: Buffer.from(String(value)),
  })
  return encodeHeaders([
    text('gophership-reason', facts.reason),
    text('gophership-stage', facts.stage),
    text('gophership-message', facts.message.slice(0, MESSAGE_CHARS_MAX)),
    text('gophership-attempt', facts.attempt),
    text('gophership-topic', facts.topic),
    text('gophership-partition', facts.partition),
    text('gophership-offset', facts.offset),
    ...own,
  ])
}
