/**
 * The content type that ingress put on a record, read without decoding the record's headers each time: the records of a
 * request carry the very same header bytes, so the last answer is remembered by them.
 */

import type { RecordCursor } from '../batch/record-cursor.ts'

/** The record header in which ingress keeps the content type a body was sent with. */
export const CONTENT_TYPE_HEADER = 'content-type'

export class ContentTypeReader {
  #headers: Buffer = Buffer.alloc(0)
  #contentType: string | null = null

  /** The content type of the record that the cursor stands on; null when it has none. Throws GS_BATCH_INVALID on malformed headers. */
  read(cursor: RecordCursor): string | null {
    if (cursor.headerCount === 0) return null
    const { bytes, headersStart, headersEnd } = cursor
    const known = this.#headers
    if (known.length === headersEnd - headersStart && known.compare(bytes, headersStart, headersEnd) === 0) {
      return this.#contentType
    }
    const value = cursor.findHeader(CONTENT_TYPE_HEADER)
    this.#contentType = value === undefined || value === null ? null : value.toString('utf8')
    this.#headers = Buffer.from(bytes.subarray(headersStart, headersEnd))
    return this.#contentType
  }
}
