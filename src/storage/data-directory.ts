/**
 * The folder that a process stores everything in: taken for this process alone, and of a format that this version reads.
 *
 * Owns the files `.lock` and `.lock-holder` (through the disk's lock) and `format-version`. The number rises when the
 * folder's layout, or any file's format in it, changes so that an older version could misread it.
 */

import { join } from 'node:path'
import type { DirectoryLock, Disk } from '../core/disk.ts'
import { isFailure } from '../core/errors.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import { makeDurableDirectory } from './durable-directory.ts'
import { readSnapshot, writeSnapshot } from './snapshot-file.ts'
import { StorageError, storageFailure } from './storage-error.ts'

/** The format that this version writes, and the newest that it reads. */
export const DATA_FORMAT_VERSION = 1
const VERSION_FILE = 'format-version'

/** A data directory held by this process. `release` when everything in it is closed; idempotent. */
export interface DataDirectory {
  readonly path: string
  release(): Promise<void>
}

/**
 * Takes the data directory, creating it when needed. Throws `GS_STORAGE_LOCKED` (naming the holder) when another
 * process, or another part of this one, has it, and `GS_STORAGE_VERSION` when a newer version wrote it. A damaged
 * version file is put aside and said aloud, and does not stop a start: every file in the folder states its own format.
 */
export async function openDataDirectory(start: {
  readonly disk: Disk
  readonly path: string
  readonly diagnostics: Diagnostics
}): Promise<DataDirectory> {
  const { disk, path } = start
  await makeDurableDirectory(disk, path)
  let lock: DirectoryLock
  try {
    lock = await disk.lockDirectory(path)
  } catch (error) {
    throw storageFailure('Locking the data directory', path, error)
  }
  try {
    const version = await readVersion(start)
    if (version > DATA_FORMAT_VERSION) throw newerFormat(path, version)
    if (version === 0) {
      await writeSnapshot(disk, join(path, VERSION_FILE), Buffer.from(String(DATA_FORMAT_VERSION)))
    }
  } catch (error) {
    await lock.release()
    throw error
  }
  return { path, release: () => lock.release() }
}

/** The folder's format, or 0 when it is new or its version file says nothing that can be believed. */
async function readVersion(start: { disk: Disk; path: string; diagnostics: Diagnostics }): Promise<number> {
  const { disk, path, diagnostics } = start
  const versionPath = join(path, VERSION_FILE)
  try {
    const bytes = await readSnapshot(disk, versionPath)
    if (bytes === null) return 0
    const text = bytes.toString('utf8')
    if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text)
    throw new StorageError('GS_STORAGE_CORRUPT', `${versionPath} is damaged: expected a number from 1.`, {
      facts: { path: versionPath },
    })
  } catch (error) {
    if (!isFailure(error, 'GS_STORAGE_CORRUPT')) throw error
    const asidePath = `${versionPath}.damaged`
    await disk.rename(versionPath, asidePath)
    diagnostics.warn({ path: versionPath, asidePath, err: error }, 'format version damaged, put aside')
    return 0
  }
}

function newerFormat(path: string, version: number): StorageError {
  return new StorageError(
    'GS_STORAGE_VERSION',
    `The data directory ${path} has format ${version}, this version reads up to ${DATA_FORMAT_VERSION}. Run the newer version, or choose another directory.`,
    { facts: { path, version, versionMax: DATA_FORMAT_VERSION } },
  )
}
