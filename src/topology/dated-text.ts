/**
 * Text layouts behind a date with its year first, each told by what stands right behind the date. A reader takes the
 * line (time, level, attributes, body) or leaves the draft as it was and answers false.
 */

import { firstColumns } from './csv-columns.ts'
import type { EventDraft } from './event-draft.ts'
import { matchAt } from './match-at.ts'
import { severityOfWord } from './severity-number.ts'
import type { TextLayout } from './text-layouts.ts'
import { readBehindAndroidDate } from './text-layouts.ts'
import { FoundTime } from './time/found-time.ts'
import { NO_TIME, scanYearFirst } from './time/scan-time.ts'
import { spanIdOf, traceIdOf } from './trace-ids.ts'
import { NOT_THERE, placeUserAndDatabase } from './user-and-database.ts'

const TAB = 0x09
const SPACE = 0x20
const COMMA = 0x2c
const COLON = 0x3a
const OPEN = 0x5b
const BAR = 0x7c

/** Reads what stands behind the date, whose end is `at`. The time is the caller's to keep. */
type DatedReader = (draft: EventDraft, at: number) => boolean

export const readDated: TextLayout = (draft) => {
  const time = new FoundTime()
  const end = scanYearFirst(draft.rest, 0, time)
  if (end === NO_TIME) return false
  for (const read of readersAt(draft.rest, end))
    if (read(draft, end)) {
      draft.keepTime(time)
      return true
    }
  return false
}

/** Those that may read what stands at `at`. */
function readersAt(text: string, at: number): readonly DatedReader[] {
  switch (text.charCodeAt(at)) {
    case SPACE:
      return readersBehindSpace(text, at)
    case TAB:
      return BEHIND_TAB
    case COLON:
      return BEHIND_COLON
    case COMMA:
      return BEHIND_COMMA
    case BAR:
      return BEHIND_BAR
    default:
      return NONE
  }
}

function readersBehindSpace(text: string, from: number): readonly DatedReader[] {
  let at = from
  while (text.charCodeAt(at) === SPACE) at += 1
  const char = text.charCodeAt(at)
  if (char === OPEN) return BEFORE_BRACKET
  if (char >= 0x41 && char <= 0x5a) return BEFORE_CAPITAL
  // An invocation's id is hexadecimal.
  return (char >= 0x30 && char <= 0x39) || (char >= 0x61 && char <= 0x66) ? BEFORE_NUMBER : NONE
}

const SPRING =
  / +([A-Z]{4,5}) (?:\[([\w.-]{0,100}),([0-9a-f]{0,32}),([0-9a-f]{0,32})(?:,\w{0,5})?\] )?(\d{1,10}) --- ((?:\[[^\]\n]{0,120}\] ){1,3})(\S{1,200}) +: ?/y
const CORRELATION = /^(?:([0-9a-f]{16,32})-([0-9a-f]{16})| {16,})$/

/**
 * Spring Boot's default, with what Spring Cloud Sleuth and Boot 3 put into it:
 *
 *     INFO 12345 --- [           main] c.e.d.DemoApplication    : message
 *     INFO [service,traceId,spanId] 12345 --- [           main] c.e.d.DemoApplication    : message
 *     INFO 12345 --- [service] [           main] [traceId-spanId] c.e.d.DemoApplication    : message
 */
const readSpring: DatedReader = (draft, at) => {
  if (!draft.rest.includes(' --- ', at)) return false
  const match = matchAt(SPRING, draft.rest, at)
  const [
    head = '',
    level = '',
    sleuthService = '',
    sleuthTrace = '',
    sleuthSpan = '',
    pid,
    groups = '',
    logger = '',
  ] = match
  if (severityOfWord(level) === 0) return false
  const inBrackets = groups.slice(1, -2).split('] [')
  const correlation = inBrackets.length > 1 ? CORRELATION.exec(inBrackets.at(-1) as string) : null
  if (correlation !== null) inBrackets.pop()
  const thread = (inBrackets.pop() as string).trim()
  const service = (inBrackets.pop() ?? sleuthService).trim()
  const { attributes, resource } = draft
  draft.foundLevel(level, 'word')
  attributes.setIfAbsent('process.pid', Number(pid))
  if (thread !== '') attributes.setIfAbsent('thread.name', thread)
  attributes.setIfAbsent('otel.scope.name', logger)
  if (service !== '') resource.setIfAbsent('service.name', service)
  draft.traceId ??= traceIdOf(correlation?.[1] ?? sleuthTrace)
  if (draft.traceId !== null) draft.spanId ??= spanIdOf(correlation?.[2] ?? sleuthSpan)
  draft.body = draft.rest.slice(at + head.length)
  return true
}

const POSTGRES_PAIRS =
  / \[(\d{1,10})\]:? (?:\[\d{1,10}-\d{1,10}\] )?(?=(?:\w{1,32}=[^\s,]{0,64},){0,8}\w{1,32}=[^\s,]{0,64} ([A-Z]{3,9}\d?): )/y

/** PostgreSQL with pgBadger's prefix: ` [1234]: [3-1] user=app,db=shop,client=192.0.2.1 LOG:  message`. The pairs stay. */
const readPostgresPairs: DatedReader = (draft, at) => {
  const [head, pid, level = ''] = matchAt(POSTGRES_PAIRS, draft.rest, at)
  if (head === undefined) return false
  draft.attributes.setIfAbsent('process.pid', Number(pid))
  if (severityOfWord(level) > 0) draft.foundLevel(level, 'word')
  draft.body = draft.rest.slice(at + head.length)
  return true
}

const RDS =
  /:([^\s()]{0,64})(?:\((\d{1,5})\))?:([^\s@]{0,64})@([^\s:]{0,64}):\[(\d{1,10})\]:(?=([A-Z]{3,9}\d?): {1,2})/y

/** PostgreSQL on Amazon RDS (`%t:%r:%u@%d:[%p]:`): `:192.0.2.1(4711):user@db:[1234]:LOG:  message`. */
const readRds: DatedReader = (draft, at) => {
  const text = draft.rest
  const [head, client = '', port, user = '', database = '', pid, word = ''] = matchAt(RDS, text, at)
  if (head === undefined) return false
  const { attributes } = draft
  attributes.setIfAbsent('process.pid', Number(pid))
  if (!NOT_THERE.has(client)) attributes.setIfAbsent('client.address', client)
  if (port !== undefined) attributes.setIfAbsent('client.port', Number(port))
  placeUserAndDatabase(draft, user, database)
  const wordAt = at + head.length
  const isLevel = severityOfWord(word) > 0
  if (isLevel) draft.foundLevel(word, 'word')
  // STATEMENT, DETAIL and HINT go on with the message before; the word stays.
  draft.body = isLevel ? text.slice(wordAt + word.length + 1).trimStart() : text.slice(wordAt)
  return true
}

/** The columns of PostgreSQL's csvlog behind the time. */
const CSVLOG = { user: 0, database: 1, pid: 2, level: 10, count: 11 } as const

/** PostgreSQL's csvlog; the body stays the line. */
const readPostgresCsv: DatedReader = (draft, at) => {
  const columns = firstColumns(draft.rest, at + 1, CSVLOG.count)
  const level = columns[CSVLOG.level] ?? ''
  const pid = columns[CSVLOG.pid] ?? ''
  if (severityOfWord(level) === 0 || !/^\d{1,10}$/.test(pid)) return false
  draft.foundLevel(level, 'word')
  draft.attributes.setIfAbsent('process.pid', Number(pid))
  placeUserAndDatabase(draft, columns[CSVLOG.user] as string, columns[CSVLOG.database] as string)
  draft.body = draft.rest
  draft.format = 'done'
  return true
}

const MYSQL_SYSTEM = / (\d{1,15}) \[System\] /y
const INFORMATIONAL = 9

/** MySQL 8: ` 0 [System] [MY-010116] [Server] message`, a priority beside Error, Warning and Note. */
const readMysqlSystem: DatedReader = (draft, at) => {
  const [head, thread] = matchAt(MYSQL_SYSTEM, draft.rest, at)
  if (head === undefined) return false
  draft.attributes.setIfAbsent('thread.id', Number(thread))
  if (draft.severityText === null) {
    draft.severityText = 'System'
    draft.severityNumber = INFORMATIONAL
  }
  draft.body = draft.rest.slice(at + head.length)
  return true
}

const INVOCATION = /[\t ](\w{8}-\w{4}-\w{4}-\w{4}-\w{12}|undefined)[\t ]+([A-Z]{4,8})[\t ]+/y

/** AWS Lambda, as Node.js and log4j write: the invocation's id and the level, between tabs or spaces. */
const readInvocation: DatedReader = (draft, at) => {
  const [head = '', id = '', level = ''] = matchAt(INVOCATION, draft.rest, at)
  if (severityOfWord(level) === 0) return false
  draft.foundLevel(level, 'word')
  if (id !== 'undefined') draft.attributes.setIfAbsent('faas.invocation_id', id)
  draft.body = draft.rest.slice(at + head.length)
  return true
}

const NLOG = /\|(?=\d{1,10}\|([A-Z]{4,5})\|)/y

/** NLog for ASP.NET Core: `|0|INFO|logger|message`, with the event's number first. The columns stay. */
const readNlog: DatedReader = (draft, at) => {
  const [head = '', level = ''] = matchAt(NLOG, draft.rest, at)
  if (severityOfWord(level) === 0) return false
  draft.foundLevel(level, 'word')
  draft.body = draft.rest.slice(at + head.length)
  return true
}

const MONGO = / ([IWEF]|D[1-5]?) +([A-Z-]{1,10}) +\[([^\]]{1,100})\] ?/y

/** MongoDB before 4.4: ` I NETWORK  [conn1] message`. */
const readMongo: DatedReader = (draft, at) => {
  const [head, level = '', component = '', thread = ''] = matchAt(MONGO, draft.rest, at)
  if (head === undefined) return false
  draft.foundLevel(level, 'word')
  if (component !== '-') draft.attributes.setIfAbsent('otel.scope.name', component)
  draft.attributes.setIfAbsent('thread.name', thread)
  draft.body = draft.rest.slice(at + head.length)
  return true
}

const NONE: readonly DatedReader[] = []
const BEFORE_CAPITAL: readonly DatedReader[] = [readSpring, readMongo, readBehindAndroidDate]
const BEFORE_NUMBER: readonly DatedReader[] = [readMysqlSystem, readInvocation, readBehindAndroidDate]
const BEFORE_BRACKET: readonly DatedReader[] = [readPostgresPairs]
const BEHIND_TAB: readonly DatedReader[] = [readInvocation]
const BEHIND_COLON: readonly DatedReader[] = [readRds]
const BEHIND_COMMA: readonly DatedReader[] = [readPostgresCsv]
const BEHIND_BAR: readonly DatedReader[] = [readNlog]
