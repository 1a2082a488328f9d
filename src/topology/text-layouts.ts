/**
 * Text layouts that are fixed column by column, each recognised by a shape that nothing else has. Every reader looks
 * at the draft's `rest`, and either takes the line (time, level, attributes, body) or leaves the draft as it was and
 * answers false.
 */

import type { EventDraft } from './event-draft.ts'
import { severityOfLetter, severityOfWord } from './severity-number.ts'
import { placeTag } from './syslog-tag.ts'
import { FoundTime } from './time/found-time.ts'
import {
  countDigits,
  NO_TIME,
  scanCompactDate,
  scanCompactShortYear,
  scanDayFirst,
  scanKlog,
  scanMonthDay,
  scanMonthName,
  scanShortYear,
  scanUnpadded,
  scanYearFirst,
} from './time/scan-time.ts'

export type TextLayout = (draft: EventDraft) => boolean

/** klog and glog: `I0102 12:00:00.000000   123 file.go:12] message`; newer glog has the year too. */
export const readKlog: TextLayout = (draft) => {
  const text = draft.rest
  const time = new FoundTime()
  const end = countDigits(text, 1, 9) === 8 ? scanCompactDate(text, 1, time) : scanKlog(text, 1, time)
  if (end === NO_TIME) return false
  const match = /^ +(\d{1,10}) ([^\s:\]]{1,200}):(\d{1,7})\] ?/.exec(text.slice(end, end + 256))
  if (match === null || severityOfLetter(text.charAt(0)) === 0) return false
  draft.keepTime(time)
  draft.foundLevel(text.charAt(0), 'word')
  draft.attributes.setIfAbsent('thread.id', Number(match[1]))
  draft.attributes.setIfAbsent('code.file.path', match[2] as string)
  draft.attributes.setIfAbsent('code.line.number', Number(match[3]))
  draft.body = text.slice(end + match[0].length)
  return true
}

/** Android: `03-17 16:13:38.811  1702  2395 D Tag: message`, or `03-17 16:13:38.811 D/Tag( 1702): message`. */
export const readAndroid: TextLayout = (draft) => {
  const time = new FoundTime()
  const end = scanMonthDay(draft.rest, 0, time)
  if (end === NO_TIME || !readBehindAndroidDate(draft, end)) return false
  draft.keepTime(time)
  return true
}

/** Android's columns behind the date, whose end is `at`; the date may have a year. */
export function readBehindAndroidDate(draft: EventDraft, at: number): boolean {
  const text = draft.rest
  const head = text.slice(at, at + 256)
  const thread = /^ +(\d{1,7}) +(\d{1,7}) ([VDIWEFA]) (.{0,100}?) *: ?/.exec(head)
  const brief = thread === null ? /^ ([VDIWEFA])\/(.{1,100}?) *\( *(\d{1,7})\): ?/.exec(head) : null
  const match = thread ?? brief
  if (match === null) return false
  draft.foundLevel((thread === null ? match[1] : match[3]) as string, 'word')
  draft.attributes.setIfAbsent('process.pid', Number(thread === null ? match[3] : match[1]))
  if (thread !== null) draft.attributes.setIfAbsent('thread.id', Number(match[2]))
  const tag = (thread === null ? match[2] : match[4]) as string
  if (tag !== '') draft.attributes.setIfAbsent('otel.scope.name', tag)
  draft.body = text.slice(at + match[0].length)
  return true
}

/** HDFS of old: `081109 203615 148 INFO dfs.DataNode$PacketResponder: message`. */
export const readHdfs: TextLayout = (draft) => {
  const text = draft.rest
  const time = new FoundTime()
  const end = scanCompactShortYear(text, 0, time)
  if (end === NO_TIME) return false
  const match = /^ (\d{1,10}) ([A-Z]{4,7}) (?:([\w.$]{1,200}): ?)?/.exec(text.slice(end, end + 256))
  if (match === null || severityOfWord(match[2] as string) === 0) return false
  draft.keepTime(time)
  draft.foundLevel(match[2] as string, 'word')
  draft.attributes.setIfAbsent('process.pid', Number(match[1]))
  if (match[3] !== undefined) draft.attributes.setIfAbsent('otel.scope.name', match[3])
  draft.body = text.slice(end + match[0].length)
  return true
}

/** MySQL before 5.7: `081109 20:36:15 [Note] message`, `081109  7:05:01 [ERROR] message`. */
export const readOldMysql: TextLayout = (draft) => {
  const text = draft.rest
  const time = new FoundTime()
  const end = scanCompactShortYear(text, 0, time)
  if (end === NO_TIME) return false
  const match = /^ {1,2}\[(\w{4,7})\] ?/.exec(text.slice(end, end + 32))
  if (match === null || severityOfWord(match[1] as string) === 0) return readOldMysqlLine(draft, time, end)
  draft.keepTime(time)
  draft.foundLevel(match[1] as string, 'word')
  draft.body = text.slice(end + match[0].length)
  return true
}

/** Without a level: `081109 20:36:15 mysqld_safe …`, `081109 20:36:15 InnoDB: …`, and the general log between tabs. */
function readOldMysqlLine(draft: EventDraft, time: FoundTime, end: number): boolean {
  const text = draft.rest
  if (!/^(?: {1,2}(?:mysqld|InnoDB:)|\t *\d)/.test(text.slice(end, end + 24))) return false
  draft.keepTime(time)
  draft.body = text.slice(end).trimStart()
  return true
}

/** Spark: `17/06/09 20:10:40 INFO executor.CoarseGrainedExecutorBackend: message`. */
export const readSpark: TextLayout = (draft) => {
  const text = draft.rest
  const time = new FoundTime()
  const end = scanShortYear(text, 0, time)
  if (end === NO_TIME) return false
  const match = /^ ([A-Z]{4,7}) +(?:([\w.$]{1,200}): ?)?/.exec(text.slice(end, end + 256))
  if (match === null || severityOfWord(match[1] as string) === 0) return false
  draft.keepTime(time)
  draft.foundLevel(match[1] as string, 'word')
  if (match[2] !== undefined) draft.attributes.setIfAbsent('otel.scope.name', match[2])
  draft.body = text.slice(end + match[0].length)
  return true
}

/** HealthApp: `20171223-22:15:29:606|Step_LSC|30002312|message`. */
export const readHealthApp: TextLayout = (draft) => {
  const text = draft.rest
  const time = new FoundTime()
  const end = scanUnpadded(text, 0, time)
  if (end === NO_TIME) return false
  const match = /^\|([^|]{1,100})\|(\d{1,10})\|/.exec(text.slice(end, end + 128))
  if (match === null) return false
  draft.keepTime(time)
  draft.attributes.setIfAbsent('otel.scope.name', match[1] as string)
  draft.attributes.setIfAbsent('process.pid', Number(match[2]))
  draft.body = text.slice(end + match[0].length)
  return true
}

/** Redis' levels, debug to warning. */
const REDIS_MARKS: ReadonlyMap<string, number> = new Map([
  ['.', 5],
  ['-', 9],
  ['*', 10],
  ['#', 13],
])

/** False for a character that is no level of Redis. */
export function placeRedisMark(draft: EventDraft, mark: string): boolean {
  const severity = REDIS_MARKS.get(mark)
  if (severity === undefined) return false
  if (draft.severityText === null) {
    draft.severityText = mark
    draft.severityNumber = severity
  }
  return true
}

/** Redis and Valkey: `1:M 01 Jan 2023 12:00:00.123 * message`. The mark is the level. */
export const readRedis: TextLayout = (draft) => {
  const text = draft.rest
  const pid = /^(\d{1,10}):[MSCX] /.exec(text.slice(0, 16))
  if (pid === null) return false
  const time = new FoundTime()
  const end = scanDayFirst(text, pid[0].length, time)
  if (end === NO_TIME || text.charAt(end) !== ' ' || text.charAt(end + 2) !== ' ') return false
  if (!placeRedisMark(draft, text.charAt(end + 1))) return false
  draft.keepTime(time)
  draft.attributes.setIfAbsent('process.pid', Number(pid[1]))
  draft.body = text.slice(end + 3)
  return true
}

/** Ruby's Logger: `I, [2023-01-02T12:00:00.123456 #1234]  INFO -- program: message`. */
export const readRuby: TextLayout = (draft) => {
  const text = draft.rest
  if (!/^[DIWEFAU], \[/.test(text.slice(0, 4))) return false
  const time = new FoundTime()
  const end = scanYearFirst(text, 4, time)
  if (end === NO_TIME) return false
  const match = /^ ?#(\d{1,10})\] +([A-Z]{3,7}) -- (?:([^:]{1,100}))?: ?/.exec(text.slice(end, end + 160))
  if (match === null) return false
  draft.keepTime(time)
  draft.foundLevel(match[2] as string, 'word')
  draft.attributes.setIfAbsent('process.pid', Number(match[1]))
  if (match[3] !== undefined) draft.attributes.setIfAbsent('otel.scope.name', match[3])
  draft.body = text.slice(end + match[0].length)
  return true
}

/** java.util.logging's two lines: `Jan 02, 2023 12:00:00 PM com.foo.Bar method` and `INFO: message`. */
export const readJavaLogging: TextLayout = (draft) => {
  const text = draft.rest
  const time = new FoundTime()
  const end = scanMonthName(text, 0, time)
  if (end === NO_TIME || time.year < 0) return false
  const match = /^ ([\w.$]{1,200})(?: ([\w$<>]{1,100}))?\r?(?:\n([A-Z]{4,7}): |$)/.exec(
    text.slice(end, end + 400),
  )
  if (match === null) return false
  draft.keepTime(time)
  if (match[3] !== undefined) draft.foundLevel(match[3], 'word')
  const name = match[1] as string
  draft.attributes.setIfAbsent('code.function.name', match[2] === undefined ? name : `${name}.${match[2]}`)
  draft.body = match[3] === undefined ? text.slice(end + 1) : text.slice(end + match[0].length)
  return true
}

/**
 * The supercomputers' logs of the USENIX computer failure data repository: an alert label, the epoch, then
 *
 *     - 1117838570 2005.06.03 NODE 2005-06-03-15.42.50.675872 NODE RAS KERNEL INFO message     Blue Gene/L
 *     - 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond[2915]: message            Thunderbird, Spirit, Liberty
 *
 * The epoch is the time, since it alone has a zone; Blue Gene's own column adds the microseconds.
 */
export const readSupercomputer: TextLayout = (draft) => {
  const text = draft.rest
  const match = /^([-A-Z][A-Z0-9_]{0,31}|-) (\d{9,10}) (\d{4})\.(\d\d)\.(\d\d) (\S{1,64}) /.exec(
    text.slice(0, 160),
  )
  if (match === null) return false
  const seconds = Number(match[2])
  const columnsAt = match[0].length
  const time = new FoundTime()
  const isBlueGene = scanYearFirst(text, columnsAt, time) !== NO_TIME
  const fraction = isBlueGene ? time.fraction : ''
  if (!isBlueGene && scanMonthName(text, columnsAt, time) === NO_TIME) return false
  if (!draft.hasTime() && !draft.foundTime.setEpoch(seconds, fraction)) return false
  if (match[1] !== '-') draft.attributes.setIfAbsent('log.alert.label', match[1] as string)
  draft.resource.setIfAbsent('host.name', match[6] as string)
  if (isBlueGene) {
    readBlueGene(draft, columnsAt)
    return true
  }
  // The rest is what syslog wrote; its own host column repeats the node's.
  const timeEnd = scanMonthName(text, columnsAt, time)
  const hostEnd = text.indexOf(' ', timeEnd + 1)
  draft.body = hostEnd < 0 ? text.slice(columnsAt) : text.slice(placeTag(draft, hostEnd + 1))
  return true
}

function readBlueGene(draft: EventDraft, at: number): void {
  const text = draft.rest
  const match = /^\S+ \S+ (\S+) (\S+) ([A-Z]{4,8})(?: |$)/.exec(text.slice(at, at + 256))
  if (match === null) {
    draft.body = text.slice(at)
    return
  }
  const level = match[3] as string
  draft.foundLevel(level, 'word')
  // Only here is FAILURE a level; it lies above ERROR.
  if (level === 'FAILURE') draft.severityNumber = 18
  draft.attributes.setIfAbsent('otel.scope.name', `${match[1]}.${match[2]}`)
  draft.body = text.slice(at + match[0].length)
}

/** The HPC cluster log: `134681 node-246 unix.hw state_change.unavailable 1077804742 1 message`. */
export const readHpc: TextLayout = (draft) => {
  const text = draft.rest
  const match = /^(\d{1,9}) (\S{1,64}) (\S{1,64}) (\S{1,64}) (\d{9,10}) (-?\d) /.exec(text.slice(0, 256))
  if (match === null) return false
  if (!draft.hasTime() && !draft.foundTime.setEpoch(Number(match[5]), '')) return false
  // An event without a flag is the whole machine's: `2274013 full partition status 1060340885 -1 running`.
  if (match[6] !== '-1') draft.resource.setIfAbsent('host.name', match[2] as string)
  else draft.attributes.setIfAbsent('log.source', match[2] as string)
  draft.attributes.setIfAbsent('otel.scope.name', match[3] as string)
  draft.attributes.setIfAbsent('log.state', match[4] as string)
  draft.attributes.setIfAbsent('log.record.id', match[1] as string)
  draft.body = text.slice(match[0].length)
  return true
}

/** Proxifier: `[10.30 16:49:06] chrome.exe - proxy.example.com:5070 open through …`. */
export const readProxifier: TextLayout = (draft) => {
  const text = draft.rest
  const time = new FoundTime()
  const end = scanMonthDay(text, 1, time)
  if (end === NO_TIME || text.charAt(end) !== ']') return false
  draft.keepTime(time)
  draft.body = text.slice(end + 2)
  return true
}
