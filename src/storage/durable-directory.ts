/** Folders whose names survive a power cut. */

import { dirname } from 'node:path'
import type { Disk } from '../core/disk.ts'
import { storageFailure } from './storage-error.ts'

/** Makes `path` and its missing parents, and syncs the name of each folder that was missing. */
export async function makeDurableDirectory(disk: Disk, path: string): Promise<void> {
  try {
    const missing: string[] = []
    for (let folder = path; !(await disk.exists(folder)); folder = dirname(folder)) {
      missing.push(folder)
      if (dirname(folder) === folder) break
    }
    if (missing.length === 0) return
    await disk.mkdir(path)
    // From the top down, so that no synced name hangs below one that may vanish.
    for (const folder of missing.reverse()) await disk.syncDirectory(dirname(folder))
  } catch (error) {
    throw storageFailure('Creating the folder', path, error)
  }
}
