/**
 * The text stage: reads the head that programs print before a message (time, level, process, thread, logger, place in
 * the source) and leaves the message as the body. Fixed layouts are tried first, by the line's first character; then
 * the general head. Text in which nothing is recognised stays the body, whole.
 *
 * Colours of a terminal are no part of what is read.
 *
 * A line inside a container's wrapping has its time already; its body then stays whole, so that no text is lost.
 */

import { z } from 'zod'
import { readS3 } from '../cloud-text.ts'
import type { EventDraft } from '../event-draft.ts'
import { readFixed } from '../fixed-layouts.ts'
import { defineStage } from '../stage.ts'
import { withoutColours } from '../terminal-colours.ts'
import { TextHead } from '../text-head.ts'
import { FoundTime } from '../time/found-time.ts'
import { scanZoneName } from '../time/named-zone.ts'
import { NO_TIME, scanAnyDate, scanClf, scanEpoch, scanYearFirst } from '../time/scan-time.ts'
import { placeRequestAndStatus } from './access-log.ts'

const OPEN = 0x5b
const CLOSE = 0x5d
const SPACE = 0x20
const DOT = 0x2e
const QUOTE = 0x22
const DAY_SECONDS = 86400

export const textStage = defineStage({
  name: 'text',
  summary: 'Reads the head of text lines: time, level, process, thread, logger; the message is the body.',
  options: z.strictObject({}),
  create: () => {
    const head = new TextHead()
    const time = new FoundTime()
    return (draft) => {
      if (draft.format !== 'text') return
      const hadTime = draft.hasTime()
      draft.rest = withoutColours(draft.rest)
      if (!readFixed(draft) && !readHead(draft, head, time)) return
      if (draft.format !== 'text') return
      if (hadTime) {
        draft.body = draft.rest
        draft.format = 'message'
      } else if (typeof draft.body === 'string') leaveMessage(draft, draft.body)
    }
  },
})

/** A message of nothing but pairs (`2023-01-02 12:00:00 level=info msg=x`) is for the logfmt stage. */
function leaveMessage(draft: EventDraft, message: string): void {
  draft.rest = message
  draft.format = draft.severityText === null && /^[A-Za-z_][\w.-]{0,63}=/.test(message) ? 'logfmt' : 'message'
}

function readHead(draft: EventDraft, head: TextHead, time: FoundTime): boolean {
  const text = draft.rest
  const start = text.charCodeAt(0) === OPEN ? 1 : 0
  let timeEnd = scanLineTime(draft, text, start, time)
  if (start === 1 && timeEnd !== NO_TIME && text.charCodeAt(timeEnd) === SPACE) {
    const zoneEnd = scanZoneName(text, timeEnd, time)
    if (zoneEnd !== NO_TIME) timeEnd = zoneEnd
  }
  if (timeEnd !== NO_TIME) return takeHead(draft, head, time, { timeEnd, isOpen: start === 1 })
  return readPrefixed(draft, head, time) || readLevelFirst(draft, head, time)
}

function takeHead(
  draft: EventDraft,
  head: TextHead,
  time: FoundTime,
  place: { readonly timeEnd: number; readonly isOpen: boolean },
): boolean {
  const messageAt = head.read(draft, place.timeEnd, { isOpen: place.isOpen })
  // The bracket around the time never closed: then it is no bracket around the time.
  if (place.isOpen && messageAt === place.timeEnd) return false
  // A bare number of the right length may be anything; a fraction, or a level behind it, makes it a time.
  if (
    time.kind === 'epoch' &&
    head.level === '' &&
    draft.rest.charCodeAt(place.timeEnd - time.fraction.length - 1) !== DOT
  )
    return false
  draft.keepTime(time)
  const text = draft.rest
  if (place.isOpen && text.charCodeAt(messageAt) === QUOTE && placeRequestAndStatus(draft, text, messageAt)) {
    draft.body = text
    draft.rest = text
    draft.format = 'done'
    return true
  }
  draft.body = text.slice(messageAt)
  return true
}

/** A date, or an epoch that is not later than a day after the record: other numbers of ten digits are just numbers. */
function scanLineTime(draft: EventDraft, text: string, at: number, time: FoundTime): number {
  const end = scanAnyDate(text, at, time)
  if (end !== NO_TIME) return end
  const epochEnd = scanEpoch(text, at, time)
  if (epochEnd === NO_TIME) return NO_TIME
  const next = text.charCodeAt(epochEnd)
  const isPlausible = time.epochSeconds <= draft.recordTimestampMs / 1000 + DAY_SECONDS
  return isPlausible && (next === SPACE || next === 0x09 || next === CLOSE) ? epochEnd : NO_TIME
}

const BALANCER_PROTOCOLS: ReadonlySet<string> = new Set(['http', 'https', 'h2', 'grpcs', 'ws', 'wss', 'tls'])

/**
 * One word before the time: the file a line came from (`nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 …`),
 * a load balancer's protocol, or HAProxy's `10.0.1.2:33317 [06/Feb/2009:12:14:14.655] …`.
 */
function readPrefixed(draft: EventDraft, head: TextHead, time: FoundTime): boolean {
  const text = draft.rest
  const space = text.indexOf(' ')
  if (space <= 0 || space > 255) return false
  const word = text.slice(0, space)
  if (word.includes('.log') || word.includes('.out')) {
    const timeEnd = scanYearFirst(text, space + 1, time)
    if (timeEnd === NO_TIME) return false
    draft.attributes.setIfAbsent('log.file.name', word)
    return takeHead(draft, head, time, { timeEnd, isOpen: false })
  }
  if (BALANCER_PROTOCOLS.has(word)) {
    if (scanYearFirst(text, space + 1, time) === NO_TIME) return false
  } else if (text.startsWith('- ', space + 1)) {
    return readFpmAccess(draft, time)
  } else if (text.charCodeAt(space + 1) !== OPEN || !/:\d{1,5}$/.test(word)) {
    return readS3(draft)
  } else if (text.charCodeAt(space + 4) !== 0x2f || scanAnyDate(text, space + 2, time) === NO_TIME) {
    return false
  }
  // The columns behind it are the message: nothing of the line is cut off.
  draft.keepTime(time)
  draft.body = text
  return true
}

/** PHP-FPM's access log: `192.0.2.1 -  02/Jan/2023:12:00:00 +0000 "GET /index.php" 200`. */
function readFpmAccess(draft: EventDraft, time: FoundTime): boolean {
  const text = draft.rest
  const match = /^([\d.a-fA-F:]{2,45}) - ([^\s"[]{0,64}) (?=\d\d\/)/.exec(text.slice(0, 128))
  if (match === null) return false
  const end = scanClf(text, match[0].length, time)
  if (end === NO_TIME || !text.startsWith(' "', end) || !placeRequestAndStatus(draft, text, end + 1))
    return false
  draft.attributes.setIfAbsent('client.address', match[1] as string)
  if (match[2] !== '') draft.attributes.setIfAbsent('user.name', match[2] as string)
  draft.keepTime(time)
  draft.body = text
  draft.format = 'done'
  return true
}

/** `INFO 2023-01-02 12:00:00 message`, `[ERROR] message`, `WARNING:root:message`, `12:00:00.123 [main] INFO message`. */
function readLevelFirst(draft: EventDraft, head: TextHead, time: FoundTime): boolean {
  const text = draft.rest
  const clock = /^\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?=[ \t])/.exec(text.slice(0, 24))
  if (clock !== null) {
    // A time of day is no instant; only the level is taken, and the body keeps it all.
    head.read(draft, clock[0].length, { isOpen: false })
    draft.body = text
    return true
  }
  const { end, isSetOff } = head.readLeadingLevel(draft)
  if (end === 0) return false
  const isBracket = text.charCodeAt(end) === OPEN
  let timeAt = isBracket ? end + 1 : end
  let timeEnd = scanAnyDate(text, timeAt, time)
  if (timeEnd === NO_TIME && isBracket) {
    // `INFO  [main] 2023-01-02 12:00:00,123 File.java:12 - message`
    const close = text.indexOf('] ', end)
    timeAt = close + 2
    timeEnd = close < 0 ? NO_TIME : scanAnyDate(text, timeAt, time)
    if (timeEnd !== NO_TIME) draft.attributes.setIfAbsent('thread.name', text.slice(end + 1, close).trim())
  }
  if (timeEnd === NO_TIME) {
    if (!isSetOff) return false
    head.placeLevel(draft)
    draft.body = text.slice(end)
    return true
  }
  head.placeLevel(draft)
  if (text.charCodeAt(timeEnd) === CLOSE) timeEnd += 1
  draft.keepTime(time)
  draft.body = text.slice(timeEnd).replace(/^[\s:|,-]+(?=\S)/, '')
  return true
}
