/**
 * The folder of all topics, `topics/<name>/<id>`, as a start finds it: what a deletion left is removed, and what no topic
 * owns is told of and stays, as it may be anybody's. Nothing in here stops a start.
 */

import { join } from 'node:path'
import type { Disk } from '../../core/disk.ts'
import type { Diagnostics } from '../../telemetry/diagnostics.ts'

export interface TopicsFolder {
  readonly disk: Disk
  readonly diagnostics: Diagnostics
  readonly path: string
}

/**
 * Removes folders of names that no topic has any more. Only at start: later, a topic of that name may just be on its way.
 * `known` are the topics that there are, and those whose removal is still to be finished.
 */
export async function tidyTopicsFolder(
  topics: TopicsFolder,
  known: Iterable<{ readonly name: string; readonly id: string }>,
): Promise<void> {
  const { disk, diagnostics, path } = topics
  const idsOf = new Map<string, Set<string>>()
  for (const { name, id } of known) idsOf.set(name, (idsOf.get(name) ?? new Set()).add(id))
  for (const name of await disk.readdir(path)) {
    const folder = join(path, name)
    try {
      for (const stranger of await tidyName(disk, folder, idsOf.get(name))) {
        diagnostics.warn({ path: stranger }, 'no topic owns this; it is left alone')
      }
    } catch (error) {
      diagnostics.warn({ err: error, path: folder }, 'a folder among those of topics could not be looked at')
    }
  }
}

/** What is not known in there; nothing when the folder was empty and is gone. */
async function tidyName(disk: Disk, folder: string, ids: ReadonlySet<string> | undefined): Promise<string[]> {
  if ((await disk.stat(folder))?.kind !== 'directory') return [folder]
  const names = await disk.readdir(folder)
  if (ids !== undefined) return names.filter((name) => !ids.has(name)).map((name) => join(folder, name))
  if (names.length > 0) return [folder]
  await disk.removeDirectory(folder)
  return []
}
