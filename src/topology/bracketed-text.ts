/**
 * Text layouts with a bracket at their start that is neither just a date nor just a level. A reader takes the line
 * (time, level, attributes, body) or leaves the draft as it was and answers false.
 */

import { placeRequest } from './http-request.ts'
import { severityOfLetter, severityOfWord } from './severity-number.ts'
import type { TextLayout } from './text-layouts.ts'
import { placeRedisMark } from './text-layouts.ts'
import { FoundTime } from './time/found-time.ts'
import { NO_TIME, scanAnyDate, scanCompactShortYear, scanMonthDay, scanMonthName } from './time/scan-time.ts'

/** Redis up to 2.8: `[1234] 01 Jan 12:00:00.123 * message`. */
export const readOldRedis: TextLayout = (draft) => {
  const text = draft.rest
  const match = /^\[(\d{1,10})\] (\d\d) ([A-Z][a-z]{2}) ([\d:.]{8,15}) ([.*#-]) /.exec(text.slice(0, 64))
  if (match === null) return false
  const [head, pid, day, month, clock, mark = ''] = match
  const time = new FoundTime()
  if (scanMonthName(`${month} ${day} ${clock}`, 0, time) === NO_TIME) return false
  draft.keepTime(time)
  placeRedisMark(draft, mark)
  draft.attributes.setIfAbsent('process.pid', Number(pid))
  draft.body = text.slice(head.length)
  return true
}

/** NATS: `[1] 2019/02/06 07:19:40.624334 [INF] message`. */
export const readNats: TextLayout = (draft) => {
  const text = draft.rest
  const pid = /^\[(\d{1,10})\] /.exec(text.slice(0, 16))
  if (pid === null) return false
  const time = new FoundTime()
  const end = scanAnyDate(text, pid[0].length, time)
  const level = end === NO_TIME ? null : /^ \[([A-Z]{3})\] /.exec(text.slice(end, end + 8))
  if (level === null || severityOfWord(level[1] as string) === 0) return false
  draft.keepTime(time)
  draft.foundLevel(level[1] as string, 'word')
  draft.attributes.setIfAbsent('process.pid', Number(pid[1]))
  draft.body = text.slice(end + level[0].length)
  return true
}

/** Tornado and Jupyter: `[I 230102 12:00:00 web:2271] message`, `[W 2023-01-02 12:00:00.123 NotebookApp] message`. */
export const readTornado: TextLayout = (draft) => {
  const text = draft.rest
  const letter = text.charAt(1)
  if (text.charAt(2) !== ' ' || severityOfLetter(letter) === 0) return false
  const time = new FoundTime()
  let end = scanAnyDate(text, 3, time)
  if (end === NO_TIME) end = scanCompactShortYear(text, 3, time)
  const match =
    end === NO_TIME ? null : /^(?: ([\w.]{1,100})(?::(\d{1,7}))?)?\] ?/.exec(text.slice(end, end + 128))
  if (match === null) return false
  draft.keepTime(time)
  draft.foundLevel(letter, 'word')
  if (match[1] !== undefined) draft.attributes.setIfAbsent('otel.scope.name', match[1])
  if (match[2] !== undefined) draft.attributes.setIfAbsent('code.line.number', Number(match[2]))
  draft.body = text.slice(end + match[0].length)
  return true
}

/** AWS Lambda's Python: `[INFO]\t2023-01-02T12:00:00.123Z\t<invocation>\tmessage`. */
export const readLambdaPython: TextLayout = (draft) => {
  const text = draft.rest
  const level = /^\[([A-Z]{4,8})\]\t/.exec(text.slice(0, 16))
  if (level === null || severityOfWord(level[1] as string) === 0) return false
  const time = new FoundTime()
  const end = scanAnyDate(text, level[0].length, time)
  const match = end === NO_TIME ? null : /^\t([\w-]{36})?\t/.exec(text.slice(end, end + 40))
  if (match === null) return false
  draft.keepTime(time)
  draft.foundLevel(level[1] as string, 'word')
  if (match[1] !== undefined) draft.attributes.setIfAbsent('faas.invocation_id', match[1])
  draft.body = text.slice(end + match[0].length)
  return true
}

/** Serilog's console: `[12:00:00 INF] message`. A time of day is no instant, so the body keeps it all. */
export const readSerilogConsole: TextLayout = (draft) => {
  const match = /^\[\d\d:\d\d:\d\d(?:\.\d{1,7})? ([A-Za-z]{3,11})\] /.exec(draft.rest.slice(0, 48))
  if (match === null || severityOfWord(match[1] as string) === 0) return false
  draft.foundLevel(match[1] as string, 'word')
  draft.body = draft.rest
  return true
}

/** logrus on a terminal cuts its levels to four letters; geth and log15 fill theirs up to five. */
const CUT_LEVELS: ReadonlyMap<string, number> = new Map([
  ['TRAC', 1],
  ['DEBU', 5],
  ['ERRO', 17],
  ['FATA', 21],
  ['PANI', 19],
])

/**
 * A level, and a bracket behind it: logrus' `WARN[2023-01-02T12:00:00Z] message` and `WARN[0012] message`, whose seconds since
 * the start are no instant and stay, and go-ethereum's `INFO [01-02|12:00:00.123] message`.
 */
export const readLevelAndBracket: TextLayout = (draft) => {
  const text = draft.rest
  const open = text.indexOf('[')
  if (open < 4 || open > 6) return false
  const match = /^([A-Z]{4,5}) ?\[(?=\d)/.exec(text.slice(0, 8))
  if (match === null) return false
  const [head, level = ''] = match
  const number = CUT_LEVELS.get(level) ?? severityOfWord(level)
  if (number === 0) return false
  const at = head.length
  const time = new FoundTime()
  const isEthereum = text.charAt(at + 5) === '|'
  const end = isEthereum ? scanMonthDay(text, at, time) : scanAnyDate(text, at, time)
  const isElapsed = end === NO_TIME && /^\d{4,10}\]/.test(text.slice(at, at + 11))
  if (!isElapsed && (end === NO_TIME || text.charAt(end) !== ']')) return false
  if (draft.severityText === null) {
    draft.severityText = level
    draft.severityNumber = number
  }
  if (!isElapsed) draft.keepTime(time)
  draft.body = isElapsed ? text : text.slice(end + 1).trimStart()
  return true
}

/** WebLogic: `####<Jan 2, 2023 12:00:00 PM CET> <Notice> <subsystem> <host> … <message>`. The columns stay the body. */
export const readWebLogic: TextLayout = (draft) => {
  const text = draft.rest
  if (!text.startsWith('####<')) return false
  const time = new FoundTime()
  const end = scanAnyDate(text, 5, time)
  const level = end === NO_TIME ? undefined : /^> <(\w{4,9})> </.exec(text.slice(end, end + 16))?.[1]
  if (level === undefined || severityOfWord(level) === 0) return false
  draft.keepTime(time)
  draft.foundLevel(level, 'word')
  draft.body = text
  return true
}

/** MySQL's slow query log: `# Time: 2023-01-02T12:00:00.123456Z`, before 5.7 `# Time: 230102 12:00:00`; the body stays. */
export const readSlowQuery: TextLayout = (draft) => {
  const text = draft.rest
  if (!text.startsWith('# Time: ')) return false
  const time = new FoundTime()
  if (scanAnyDate(text, 8, time) === NO_TIME && scanCompactShortYear(text, 8, time) === NO_TIME) return false
  draft.keepTime(time)
  draft.body = text
  return true
}

const UWSGI =
  /^\[pid: (\d{1,10})\|app: [\d|-]{1,10}\|req: [\d/|-]{1,24}\] (\S{1,64}) \(([^()]{0,128})\) \{[^{}]{1,64}\} \[(?=[A-Z])/

/** uWSGI: `[pid: 7|app: 0|req: 1/1] 192.0.2.1 () {38 vars in 696 bytes} [Sun Mar 13 22:49:12 2016] POST /path => generated …`. */
export const readUwsgi: TextLayout = (draft) => {
  const text = draft.rest
  const match = text.startsWith('[pid: ') ? UWSGI.exec(text.slice(0, 384)) : null
  if (match === null) return false
  const [head, pid, client = '', user = ''] = match
  const time = new FoundTime()
  const end = scanAnyDate(text, head.length, time)
  if (end === NO_TIME || text.charAt(end) !== ']') return false
  draft.keepTime(time)
  const { attributes } = draft
  attributes.setIfAbsent('process.pid', Number(pid))
  attributes.setIfAbsent('client.address', client)
  if (user !== '') attributes.setIfAbsent('user.name', user)
  const [, protocol = '', status] = / => [^"]{0,200}?\((HTTP\/[\d.]{1,4}) (\d{3})\)/.exec(text) ?? []
  const targetEnd = text.indexOf(' => ', end)
  if (targetEnd > 0) {
    const request = `${text.slice(end + 2, targetEnd)} ${protocol}`.trimEnd()
    placeRequest(attributes, request, 0, request.length)
  }
  if (status !== undefined) attributes.setIfAbsent('http.response.status_code', Number(status))
  draft.body = text
  draft.format = 'done'
  return true
}
