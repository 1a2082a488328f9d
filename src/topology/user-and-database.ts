/** PostgreSQL's `user@database`, as its log_line_prefix mostly has it. */

import type { EventDraft } from './event-draft.ts'

/** What stands for a user, a database or a client that is not known. */
export const NOT_THERE: ReadonlySet<string> = new Set(['', '[unknown]', '[local]'])

export function placeUserAndDatabase({ attributes }: EventDraft, user: string, database: string): void {
  if (!NOT_THERE.has(user)) attributes.setIfAbsent('user.name', user)
  if (!NOT_THERE.has(database)) attributes.setIfAbsent('db.namespace', database)
}
