/**
 * Palo Alto Networks' comma-separated logs ("Syslog Field Descriptions" of PAN-OS):
 *
 *     1,2019/05/10 11:37:47,001801000000,SYSTEM,general,0,2019/05/10 11:37:46,,general,,0,0,general,critical,"message"
 *
 * The first column is reserved, the second is when the management plane received the log, the seventh when it was
 * generated: that is the event's time. SYSTEM and THREAT logs have a severity. The body stays the line.
 */

import type { EventDraft } from './event-draft.ts'
import { FoundTime } from './time/found-time.ts'
import { NO_TIME, scanYearFirst } from './time/scan-time.ts'

const START = /^\d{0,10},\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?,[\w-]{1,32},([A-Z-]{3,20}),/
const COLUMN = /("(?:[^"]|"")*"|[^,]*)(?:,|$)/y
const RECEIVED = 1
const GENERATED = 6
const SEVERITY: Readonly<Record<string, number>> = { SYSTEM: 13, THREAT: 34 }

/** Their five severities, as OpenTelemetry numbers them. */
const NUMBERS: ReadonlyMap<string, number> = new Map([
  ['informational', 9],
  ['low', 10],
  ['medium', 13],
  ['high', 17],
  ['critical', 21],
])

/** True when the text starts as such a log does. */
export function isPaloAlto(text: string): boolean {
  // Four digits of a year behind the first comma, before anything is matched.
  const comma = text.indexOf(',')
  return comma >= 0 && comma <= 10 && text.charAt(comma + 5) === '/' && START.test(text.slice(0, 128))
}

/** Reads the draft's rest when it is such a log; false leaves the draft as it was. */
export function readPaloAlto(draft: EventDraft): boolean {
  const text = draft.rest
  if (!isPaloAlto(text)) return false
  const columns = firstColumns(text)
  const time = new FoundTime()
  if (!isTime(columns[GENERATED] ?? '', time) && !isTime(columns[RECEIVED] as string, time)) return false
  draft.keepTime(time)
  const severity = columns[SEVERITY[columns[3] as string] ?? columns.length] ?? ''
  const number = NUMBERS.get(severity)
  if (number !== undefined && draft.severityText === null) {
    draft.severityText = severity
    draft.severityNumber = number
  }
  draft.body = text
  draft.format = 'done'
  return true
}

function isTime(column: string, time: FoundTime): boolean {
  const end = scanYearFirst(column, 0, time)
  return end !== NO_TIME && end === column.length
}

/** Up to the last column that is looked at. */
function firstColumns(text: string): string[] {
  const columns: string[] = []
  COLUMN.lastIndex = 0
  while (columns.length <= (SEVERITY['THREAT'] as number) && COLUMN.lastIndex < text.length) {
    const match = COLUMN.exec(text)
    if (match === null) break
    columns.push(match[1] as string)
  }
  return columns
}
