/**
 * Palo Alto Networks' comma-separated logs ("Syslog Field Descriptions" of PAN-OS):
 *
 *     1,2019/05/10 11:37:47,001801000000,SYSTEM,general,0,2019/05/10 11:37:46,,general,,0,0,general,critical,"message"
 *
 * The first column is reserved, the second is when the management plane received the log, the seventh when it was
 * generated: that is the event's time. SYSTEM and THREAT logs have a severity. The body stays the line.
 */

import { firstColumns } from './csv-columns.ts'
import type { EventDraft } from './event-draft.ts'
import { isPaloAlto } from './line-shapes.ts'
import { FoundTime } from './time/found-time.ts'
import { NO_TIME, scanYearFirst } from './time/scan-time.ts'

const RECEIVED = 1
const GENERATED = 6
const SEVERITY: Readonly<Record<string, number>> = { SYSTEM: 13, THREAT: 34 }
const COLUMNS_MAX = 35

/** Their five severities, as OpenTelemetry numbers them. */
const NUMBERS: ReadonlyMap<string, number> = new Map([
  ['informational', 9],
  ['low', 10],
  ['medium', 13],
  ['high', 17],
  ['critical', 21],
])

/** Reads the draft's rest when it is such a log; false leaves the draft as it was. */
export function readPaloAlto(draft: EventDraft): boolean {
  const text = draft.rest
  if (!isPaloAlto(text)) return false
  const columns = firstColumns(text, 0, COLUMNS_MAX)
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
