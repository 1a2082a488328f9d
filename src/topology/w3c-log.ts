/**
 * W3C extended log lines as IIS writes them by default:
 *
 *     2023-01-02 12:00:00 10.0.0.1 GET /path q=1 80 - 192.0.2.7 Mozilla/5.0+(…) - 200 0 0 15
 *
 * W3C times are always in UTC. The fields of a file are declared in its header lines, which a record does not have, so
 * only IIS's default order is read into attributes; with any other number of columns just the time is. The body stays
 * the line.
 */

import type { EventDraft } from './event-draft.ts'
import { FoundTime } from './time/found-time.ts'
import { NO_TIME, scanYearFirst } from './time/scan-time.ts'
import { wholeNumber } from './whole-number.ts'

const METHODS = /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH)$/
const ADDRESS = /^[0-9a-fA-F.:%]{3,45}$/
const COLUMNS_MAX = 40

/** IIS 7 and later: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip UA [Referer] status … */
export function readW3c(draft: EventDraft): boolean {
  const text = draft.rest
  if (text.charCodeAt(10) !== 0x20 || text.charCodeAt(19) !== 0x20) return false
  const columns = text.split(' ', COLUMNS_MAX)
  const [
    ,
    ,
    serverAddress = '',
    method = '',
    stem = '',
    query = '-',
    port = '',
    user = '-',
    client = '',
    agent = '-',
  ] = columns
  if (!ADDRESS.test(serverAddress) || !METHODS.test(method) || !stem.startsWith('/')) return false
  const time = new FoundTime()
  if (scanYearFirst(text, 0, time) === NO_TIME) return false
  time.offsetSeconds = 0
  draft.keepTime(time)
  draft.body = text
  const { attributes } = draft
  attributes.setIfAbsent('http.request.method', method)
  attributes.setIfAbsent('url.path', stem)
  if (columns.length < 14 || !ADDRESS.test(client)) return true
  if (query !== '-') attributes.setIfAbsent('url.query', query)
  attributes.setIfAbsent('server.address', serverAddress)
  const portNumber = wholeNumber(port, 0, port.length)
  if (portNumber >= 0) attributes.setIfAbsent('server.port', portNumber)
  if (user !== '-') attributes.setIfAbsent('user.name', user)
  attributes.setIfAbsent('client.address', client)
  // Spaces are written as plus signs.
  if (agent !== '-') attributes.setIfAbsent('user_agent.original', agent.replaceAll('+', ' '))
  const hasReferer = columns.length === 15
  const referer = hasReferer ? (columns[10] as string) : '-'
  if (referer !== '-') attributes.setIfAbsent('http.request.header.referer', [referer])
  const statusText = columns[hasReferer ? 11 : 10] as string
  const status = wholeNumber(statusText, 0, statusText.length)
  if (status >= 100 && status <= 999) attributes.setIfAbsent('http.response.status_code', status)
  return true
}
