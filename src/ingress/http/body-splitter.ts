/**
 * Cuts a body into records and writes them straight into batches: one record per line, or the whole body as one.
 * Nothing is made per line; the bytes go from the body into the batch by range.
 *
 * A line ends at LF. The LF is no part of the record; every other byte is, a CR before it too. Lines of no bytes are
 * no records, and neither is a body of none. A last line without LF counts.
 */

import type { BatchEncoder, EncodedHeaders } from '../../batch/batch-encoder.ts'
import { HttpRefusal } from './http-refusal.ts'

const LF = 10

export type BodyFraming = 'lines' | 'whole'

export interface BodySplitterOptions {
  readonly framing: BodyFraming
  /** The key of every record; null for none. */
  readonly key: Buffer | null
  readonly headers: EncodedHeaders
  readonly timestampMs: number
  readonly recordBytesMax: number
}

export class BodySplitter {
  readonly #body: Buffer
  readonly #options: BodySplitterOptions
  #position = 0

  /** Checks the whole body first: throws `record_too_large` when any record is over its limit. */
  constructor(body: Buffer, options: BodySplitterOptions) {
    this.#body = body
    this.#options = options
    if (options.framing === 'lines') assertLines(body, options.recordBytesMax)
    else if (body.length > options.recordBytesMax) throw recordTooLarge(options.recordBytesMax, null)
    this.#skipEmpty()
  }

  /** True when no record is left. */
  get done(): boolean {
    return this.#position >= this.#body.length
  }

  /** Appends as many of the remaining records as fit to a started batch. Returns how many: at least one unless done. */
  fill(encoder: BatchEncoder): number {
    const body = this.#body
    const { framing, key, headers, timestampMs } = this.#options
    const sharedBytes = (key?.length ?? 0) + headers.length
    const bodyBytes = body.length
    const whole = framing === 'whole'
    let position = this.#position
    let recordCount = 0
    while (position < bodyBytes) {
      const lineFeed = whole ? -1 : body.indexOf(LF, position)
      const end = lineFeed < 0 ? bodyBytes : lineFeed
      if (end > position) {
        if (recordCount > 0 && !encoder.fits(end - position + sharedBytes)) break
        if (key === null) encoder.appendRange(timestampMs, body, -1, -1, position, end, headers)
        else appendKeyed(encoder, timestampMs, key, body, position, end, headers)
        recordCount += 1
      }
      position = end + 1
    }
    this.#position = position
    if (!whole) this.#skipEmpty()
    return recordCount
  }

  /** Moves past lines of no bytes, so that `done` tells whether a record is left. */
  #skipEmpty(): void {
    if (this.#options.framing === 'whole') return
    while (this.#body[this.#position] === LF) this.#position += 1
  }
}

/** The key lies elsewhere than the value, so the value is copied into the place the encoder keeps for it. */
function appendKeyed(
  encoder: BatchEncoder,
  timestampMs: number,
  key: Buffer,
  body: Buffer,
  valueStart: number,
  valueEnd: number,
  headers: EncodedHeaders,
): void {
  const valueBytes = valueEnd - valueStart
  const at = encoder.beginRecord(timestampMs, key, 0, key.length, { valueBytesMax: valueBytes, headers })
  body.copy(encoder.buffer, at, valueStart, valueEnd)
  encoder.endRecord(valueBytes)
}

/**
 * Looks for a line over the limit in strides of the limit: within any `limit + 1` bytes from a line's start there
 * must be an LF, and searching it from the back finds it at once in any body of short lines.
 */
function assertLines(body: Buffer, recordBytesMax: number): void {
  let lineStart = 0
  while (body.length - lineStart > recordBytesMax) {
    const lineFeed = body.lastIndexOf(LF, lineStart + recordBytesMax)
    if (lineFeed < lineStart) throw recordTooLarge(recordBytesMax, lineStart)
    lineStart = lineFeed + 1
  }
}

function recordTooLarge(recordBytesMax: number, lineStart: number | null): HttpRefusal {
  const what =
    lineStart === null ? 'this body, which is one record,' : `the line that starts at byte ${lineStart}`
  return new HttpRefusal(
    'record_too_large',
    `a record may hold at most ${recordBytesMax} bytes; ${what} is longer. Nothing of the body was stored`,
    { facts: { limitBytes: recordBytesMax, ...(lineStart === null ? {} : { atByte: lineStart }) } },
  )
}
