/** Folders whose names survive a power cut. */

import { dirname } from 'node:path'
import type { Disk } from '../core/disk.ts'
import { errnoOf } from '../core/disk.ts'
import { storageFailure } from './storage-error.ts'

/**
 * Makes `path` and its missing parents. Each is made durable before the next one is made in it, so a folder that exists
 * may lack durability only of its own name: 1. A process makes it. 2. It is killed before the sync. 3. The next process
 * finds it, stores and acknowledges in it. 4. The power fails, and the folder was never there. So the name of a folder
 * that was found is synced too.
 */
export async function makeDurableDirectory(disk: Disk, path: string): Promise<void> {
  try {
    const missing: string[] = []
    let found = path
    while (found !== dirname(found) && !(await disk.exists(found))) {
      missing.push(found)
      found = dirname(found)
    }
    await syncNameOf(disk, found)
    for (const folder of missing.reverse()) {
      await disk.mkdir(folder)
      await disk.syncDirectory(dirname(folder))
    }
  } catch (error) {
    throw storageFailure('Creating the folder', path, error)
  }
}

/** Syncs the folder's name, where we may: the parent of a data directory can belong to somebody else. */
async function syncNameOf(disk: Disk, folder: string): Promise<void> {
  try {
    await disk.syncDirectory(dirname(folder))
  } catch (error) {
    if (errnoOf(error) !== 'EACCES') throw error
  }
}
