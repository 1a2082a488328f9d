/**
 * Linux audit records, as auditd writes them and as the kernel prints them when no auditd runs (the format of the
 * audit userspace's auparse(3) and of the kernel's printk):
 *
 *     type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=2 comm="cat" key="sshd_config"
 *     node=web-1 type=USER_AUTH msg=audit(1364475353.159:24270): pid=3280 msg='op=PAM:authentication res=failed'
 *     audit: type=1400 audit(1364481363.243:24287): apparmor="DENIED" operation="open"
 *
 * The time is the event's, the fields become attributes as text, those of a quoted inner message beside the outer ones.
 * `hostname` is the host that a user came from, never this one; that is `node`. The body stays the record.
 */

import type { EventDraft } from './event-draft.ts'
import { auditHeadOf } from './line-shapes.ts'
import { FoundTime } from './time/found-time.ts'
import { NO_TIME, scanAnyDate, scanEpoch } from './time/scan-time.ts'

/** `:24287)`, and the colon behind it, which some record types set off with a space. */
const SERIAL = /^:\d{1,20}\) ?:/

/**
 * A key, and its value: in double quotes (no quote is ever inside: such text is written in hexadecimal), an opening
 * single quote (the inner message's fields follow), or up to the next space, the inner message's end, or U+001D, the
 * separator in front of what auditd has looked up (`log_format = ENRICHED`).
 */
const FIELD = /(?<![^\s'"\u001d])([A-Za-z_][\w-]{0,63})=(?:"([^"]*)"|(')|([^\s'\u001d]*))/g
const FIELDS_MAX = 128

/** Reads the draft's rest when it is an audit record; false leaves the draft as it was. */
export function readAudit(draft: EventDraft): boolean {
  const text = draft.rest
  const head = auditHeadOf(text)
  if (head === null) return false
  const time = new FoundTime()
  const timeAt = head[0].length
  let timeEnd = scanEpoch(text, timeAt, time)
  // `ausearch --interpret` writes the date.
  if (timeEnd === NO_TIME) timeEnd = scanAnyDate(text, timeAt, time)
  const serial = timeEnd === NO_TIME ? null : SERIAL.exec(text.slice(timeEnd, timeEnd + 32))
  if (serial === null) return false
  draft.keepTime(time)
  if (head[1] !== undefined) draft.resource.setIfAbsent('host.name', head[1])
  draft.attributes.setIfAbsent('type', head[2] as string)
  placeFields(draft, text.slice(timeEnd + serial[0].length))
  draft.body = text
  draft.format = 'done'
  return true
}

function placeFields({ attributes }: EventDraft, text: string): void {
  let count = 0
  for (const [, key = '', quoted, opening, bare] of text.matchAll(FIELD)) {
    count += 1
    if (count > FIELDS_MAX) return
    const value = quoted ?? bare ?? ''
    // The inner message's own fields follow; an empty value says nothing.
    if (opening !== undefined || value === '') continue
    const isPid = key === 'pid' && /^\d{1,10}$/.test(value)
    if (!isPid || !attributes.setIfAbsent('process.pid', Number(value))) attributes.setIfAbsent(key, value)
  }
}
