/**
 * The headers of a dead letter: why, at which stage, at which attempt, and where in the vault the record lies. The
 * record's own headers follow them verbatim, so that a redrive can send it back as it was.
 *
 * Ours come first and `gophership-offset` is the last of them, so a header that a producer forged, under whatever name,
 * always lies behind ours and is one of the record's own: it is carried and means nothing.
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
  /** The last offset of a whole batch that could not be decoded; absent for a single record. */
  readonly lastOffset?: number
  /** Why the letter is without its record's key, value and headers, which are only in the vault; absent when it has them. */
  readonly omitted?: string
}

/** A decoded letter's headers. */
export interface DeadLetterHeaders {
  readonly facts: DeadLetterFacts
  /** The record's own, as its producer sent them; their values are the caller's views. */
  readonly own: readonly RecordHeader[]
}

const MESSAGE_CHARS_MAX = 500

/** Header names; `gophership-offset` ends the block. */
const NAMES = {
  reason: 'gophership-reason',
  stage: 'gophership-stage',
  message: 'gophership-message',
  attempt: 'gophership-attempt',
  topic: 'gophership-topic',
  partition: 'gophership-partition',
  lastOffset: 'gophership-last-offset',
  omitted: 'gophership-value-omitted',
  offset: 'gophership-offset',
} as const satisfies Record<keyof DeadLetterFacts, string>

/** Encodes the facts, then the record's own headers. */
export function encodeDeadLetterHeaders(
  facts: DeadLetterFacts,
  own: readonly RecordHeader[],
): EncodedHeaders {
  const text = (key: string, value: string | number | undefined): RecordHeader[] =>
    value === undefined ? [] : [{ key, value: Buffer.from(String(value)) }]
  return encodeHeaders([
    ...text(NAMES.reason, facts.reason),
    ...text(NAMES.stage, facts.stage),
    ...text(NAMES.message, facts.message.slice(0, MESSAGE_CHARS_MAX)),
    ...text(NAMES.attempt, facts.attempt),
    ...text(NAMES.topic, facts.topic),
    ...text(NAMES.partition, facts.partition),
    ...text(NAMES.lastOffset, facts.lastOffset),
    ...text(NAMES.omitted, facts.omitted),
    ...text(NAMES.offset, facts.offset),
    ...own,
  ])
}

/** Splits a letter's headers into our facts and the record's own; null when they are not what we write. */
export function decodeDeadLetterHeaders(headers: readonly RecordHeader[]): DeadLetterHeaders | null {
  const end = headers.findIndex(({ key }) => key === NAMES.offset)
  if (end < 0) return null
  const ours = new Map(headers.slice(0, end + 1).map(({ key, value }) => [key, value?.toString('utf8')]))
  if (ours.size !== end + 1) return null
  const text = (name: keyof DeadLetterFacts) => ours.get(NAMES[name])
  const count = (name: keyof DeadLetterFacts) => {
    const found = text(name)
    return found !== undefined && /^\d{1,16}$/.test(found) ? Number(found) : null
  }
  const [reason, stage, message, topic] = [text('reason'), text('stage'), text('message'), text('topic')]
  const [attempt, partition, offset] = [count('attempt'), count('partition'), count('offset')]
  if (reason === undefined || stage === undefined || message === undefined || topic === undefined) return null
  if (attempt === null || partition === null || offset === null) return null
  const lastOffset = count('lastOffset')
  const omitted = text('omitted')
  if (lastOffset === null ? text('lastOffset') !== undefined : lastOffset < offset) return null
  const facts = {
    reason,
    stage,
    message,
    attempt,
    topic,
    partition,
    offset,
    ...(lastOffset === null ? {} : { lastOffset }),
    ...(omitted === undefined ? {} : { omitted }),
  }
  return { facts, own: headers.slice(end + 1) }
}
