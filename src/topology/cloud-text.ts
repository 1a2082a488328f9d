/**
 * Text that Amazon's services write: S3's server access log, and the lines of the Lambda platform. The body stays the
 * line.
 */

import { placeRequestAndStatus } from './stages/access-log.ts'
import type { TextLayout } from './text-layouts.ts'
import { FoundTime } from './time/found-time.ts'
import { NO_TIME, scanClf } from './time/scan-time.ts'
import { spanIdOf, traceIdOf } from './trace-ids.ts'

const S3 =
  /^[\w-]{1,128} ([\w.-]{1,128}) \[(\d\d\/[A-Z][a-z]{2}\/[\d:]{13} [+-]\d{4})\] (\S{1,64}) \S{1,256} (\w{1,64}|-) [A-Z][\w.]{1,64} (\S{1,1024}) (?=["-])/

/** `owner bucket [06/Feb/2019:00:00:38 +0000] 192.0.2.3 requester request-id REST.GET.OBJECT key "GET /key HTTP/1.1" 200 …` */
export const readS3: TextLayout = (draft) => {
  const text = draft.rest
  // The date stands in brackets behind two words.
  const second = text.indexOf(' ', text.indexOf(' ') + 1)
  if (text.charAt(second + 1) !== '[') return false
  const match = S3.exec(text.slice(0, 2048))
  if (match === null) return false
  const [head, bucket = '', clock = '', client = '-', request = '-', key = '-'] = match
  const time = new FoundTime()
  if (scanClf(clock, 0, time) === NO_TIME) return false
  draft.keepTime(time)
  const { attributes } = draft
  attributes.setIfAbsent('aws.s3.bucket', bucket)
  if (key !== '-') attributes.setIfAbsent('aws.s3.key', key)
  if (request !== '-') attributes.setIfAbsent('aws.request_id', request)
  if (client !== '-') attributes.setIfAbsent('client.address', client)
  placeRequestAndStatus(draft, text, head.length)
  draft.body = text
  draft.format = 'done'
  return true
}

const PLATFORM = /^(?:START|END|REPORT) RequestId: ([\w-]{36})(?=\s|$)/
const XRAY = /\tXRAY TraceId: (\S{1,64})\tSegmentId: (\w{16})\b/

/** `START RequestId: <invocation> Version: 1`, `END …`, `REPORT …` with the duration and, when traced, X-Ray's ids. */
export const readLambdaPlatform: TextLayout = (draft) => {
  const text = draft.rest
  if (!text.startsWith('RequestId: ', text.indexOf(' ') + 1)) return false
  const match = PLATFORM.exec(text.slice(0, 64))
  if (match === null) return false
  draft.attributes.setIfAbsent('faas.invocation_id', match[1] as string)
  const xray = XRAY.exec(text.slice(0, 1024))
  draft.traceId ??= traceIdOf(xray?.[1] ?? '')
  if (draft.traceId !== null) draft.spanId ??= spanIdOf(xray?.[2] ?? '')
  draft.body = text
  return true
}
