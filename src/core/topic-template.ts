/** Templates of topic names, such as `raw-vault.{stream}`, and the topic of the stream `default`. */

export const STREAM_PLACEHOLDER = '{stream}'

/** The stream of a vault topic that is the template's stem alone. */
export const DEFAULT_STREAM = 'default'

/**
 * A template without its placeholder and without the separator that stood before (or, failing that, after) it; where nothing
 * would be left, as of a bare placeholder, the stream `default` has the topic of its name.
 */
export function stemOf(template: string): string {
  const at = template.indexOf(STREAM_PLACEHOLDER)
  if (at < 0) return template
  const before = template.slice(0, at)
  const after = template.slice(at + STREAM_PLACEHOLDER.length)
  const stem = before === '' ? after.replace(/^[._-]/, '') : before.replace(/[._-]$/, '') + after
  return stem === '' ? DEFAULT_STREAM : stem
}
