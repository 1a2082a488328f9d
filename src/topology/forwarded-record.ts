/**
 * Events as Fluent Bit prints them ("stdout" output, and JSON of its forward protocol): the time as seconds since the
 * epoch, from version 2 on with a map of metadata beside it, and the record.
 *
 *     [1577876400.123456789, {"log":"message"}]
 *     [[1577876400.123456789, {}], {"log":"message"}]
 *     [0] tail.0: [[1577876400.123456789, {}], {"log"=>"message"}]
 *
 * A record in JSON is read on as such. One in the notation of the last line stays the body as it is, with its time.
 */

import { parseJson } from './bounded-json.ts'
import type { EventDraft } from './event-draft.ts'
import { FoundTime } from './time/found-time.ts'
import { NO_TIME, scanEpoch } from './time/scan-time.ts'

const NUMBER_AND_TAG = /^\[\d{1,6}\] \S{1,128}: (?=\[)/
/** What stands between the time and the record, when that is JSON and there is no metadata to lose. */
const BEFORE_RECORD = /, ?(?=\{)/y
const BEFORE_RECORD_NESTED = /, ?\{ ?\}\], ?(?=\{)/y

/** Reads the draft's rest when it is such an event; false leaves the draft as it was. */
export function readForwarded(draft: EventDraft): boolean {
  const text = draft.rest
  const at = NUMBER_AND_TAG.exec(text.slice(0, 160))?.[0].length ?? 0
  const isNested = text.startsWith('[[', at)
  const time = new FoundTime()
  const timeEnd = scanEpoch(text, at + (isNested ? 2 : 1), time)
  const next = text.charCodeAt(timeEnd + (text.charCodeAt(timeEnd + 1) === 0x20 ? 2 : 1))
  if (timeEnd === NO_TIME || text.charAt(timeEnd) !== ',' || next !== 0x7b) return false
  if (at > 0) {
    draft.keepTime(time)
    draft.body = text
    return true
  }
  if (!text.endsWith('}]') || parseJson(text) === undefined) return false
  draft.keepTime(time)
  const before = isNested ? BEFORE_RECORD_NESTED : BEFORE_RECORD
  before.lastIndex = timeEnd
  if (before.test(text)) {
    draft.rest = text.slice(before.lastIndex, -1)
    draft.body = draft.rest
  }
  draft.format = 'json'
  return true
}
