/** A vault record as a line of JSON, for files and URLs: `schemas/formats/replay-file.md`. */

import { isUtf8 } from 'node:buffer'
import type { RecordCursor } from '../batch/record-cursor.ts'

/** The line of the record that the cursor stands on, with its ending. Throws GS_BATCH_INVALID on malformed headers. */
export function recordLine(cursor: RecordCursor, topic: string, partition: number): string {
  const headers = cursor.headers().map(({ key, value }) => [key, asJson(value)])
  const { offset, timestamp } = cursor
  const [key, value] = [asJson(cursor.keyBytes()), asJson(cursor.valueBytes())]
  return `${JSON.stringify({ topic, partition, offset, timestampMs: timestamp, key, value, headers })}\n`
}

/** Text where the bytes are UTF-8, else their base64, so that nothing is lost. */
function asJson(bytes: Buffer | null): string | { readonly base64: string } | null {
  if (bytes === null) return null
  return isUtf8(bytes) ? bytes.toString('utf8') : { base64: bytes.toString('base64') }
}
