/**
 * Starts of lines that are unmistakable, as text alone: audit records, CEF and LEEF, Palo Alto Networks' columns. Each is
 * read by a module of its own; here it is only told that it is one.
 */

const AUDIT = /^(?:audit: )?(?:node=(\S{1,255}) )?type=(\w{1,64}) (?:msg=)?audit\(/
const AUDIT_CHARS_MAX = 400

/** What stands before the time of a Linux audit record, with its node and its type; null for any other line. */
export function auditHeadOf(text: string): RegExpExecArray | null {
  const first = text.charCodeAt(0)
  // type=, node=, audit:
  if (first !== 0x74 && first !== 0x6e && first !== 0x61) return null
  if (!text.startsWith('type=') && !text.startsWith('node=') && !text.startsWith('audit: ')) return null
  return AUDIT.exec(text.slice(0, AUDIT_CHARS_MAX))
}

/** True when the text starts as an event in CEF or LEEF does. */
export function isEventFormat(text: string): boolean {
  return text.startsWith('CEF:') || text.startsWith('LEEF:')
}

const PALO_ALTO = /^\d{0,10},\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?,[\w-]{1,32},([A-Z-]{3,20}),/

/** True when the text starts as a log of a Palo Alto Networks firewall does. */
export function isPaloAlto(text: string): boolean {
  // A year and a slash behind the first comma, before anything is matched.
  const comma = text.indexOf(',')
  return comma >= 0 && comma <= 10 && text.charAt(comma + 5) === '/' && PALO_ALTO.test(text.slice(0, 128))
}
