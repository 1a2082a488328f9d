/**
 * The container stage: unwraps what container runtimes put around a program's own line, and sets the format to what
 * the inner line is. The runtime's time is the event's (it has an offset and nanoseconds, which programs rarely
 * write); its stream is attribute log.iostream.
 *
 *     2016-10-06T00:17:09.669794202Z stdout F line                         CRI (containerd, CRI-O)
 *     {"log":"line\n","stream":"stdout","time":"2016-10-06T…Z"}            Docker json-file
 */

import { z } from 'zod'
import { parseBoundedJson } from '../bounded-json.ts'
import type { EventDraft } from '../event-draft.ts'
import type { JsonObject, JsonValue } from '../json-value.ts'
import { ownString } from '../json-value.ts'
import { detectFormat } from '../line-format.ts'
import { defineStage } from '../stage.ts'
import { readTimeValue } from '../time/read-time-value.ts'
import { NO_TIME, scanYearFirst } from '../time/scan-time.ts'

export const containerStage = defineStage({
  name: 'container',
  summary: 'Unwraps the lines of container runtimes: CRI and Docker json-file.',
  options: z.strictObject({}),
  create: () => (draft) => {
    if (draft.format === 'cri') unwrapCri(draft)
    else if (draft.format === 'docker') unwrapDocker(draft)
  },
})

function unwrapCri(draft: EventDraft): void {
  const line = draft.rest
  const timeEnd = scanYearFirst(line, 0, draft.foundTime)
  if (timeEnd === NO_TIME) return
  draft.attributes.set('log.iostream', line.slice(timeEnd + 1, timeEnd + 7))
  // P marks a part of a line that the runtime split; F the last part, or a whole line.
  if (line.charCodeAt(timeEnd + 8) === 0x50) draft.attributes.set('cri.partial', true)
  enter(draft, line.slice(timeEnd + 10))
}

function unwrapDocker(draft: EventDraft): void {
  const parsed = parseBoundedJson(draft.rest)
  const object = Array.isArray(parsed) ? undefined : (parsed as JsonObject | undefined)
  const log = object === undefined ? undefined : ownString(object, 'log')
  const stream = object === undefined ? undefined : ownString(object, 'stream')
  const time = object === undefined ? undefined : ownString(object, 'time')
  // Without the three it is some program's own JSON that has a field called log.
  if (object === undefined || log === undefined || stream === undefined || time === undefined) {
    draft.format = 'json'
    return
  }
  if (!readTimeValue(time, draft.foundTime)) {
    draft.foundTime.clear()
    draft.format = 'json'
    return
  }
  for (const [key, value] of Object.entries(object) as [string, JsonValue][]) {
    if (key === 'stream') draft.attributes.set('log.iostream', value)
    else if (key !== 'log' && key !== 'time') draft.attributes.set(key, value)
  }
  enter(draft, withoutLineEnding(log))
}

function withoutLineEnding(log: string): string {
  let end = log.length
  if (log.charCodeAt(end - 1) === 0x0a) end -= 1
  while (log.charCodeAt(end - 1) === 0x0d) end -= 1
  return log.slice(0, end)
}

function enter(draft: EventDraft, inner: string): void {
  draft.rest = inner
  draft.body = inner
  const format = detectFormat(inner, null)
  // One wrapping is undone, never a tower of them.
  draft.format = format === 'cri' || format === 'docker' ? 'text' : format
}
