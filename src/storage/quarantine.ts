/**
 * The folder `quarantine/` of a partition: damaged bytes and files that do not belong are copied or moved here, and
 * nothing of ours ever deletes them. That is for a person, or for `gophership spill repair`.
 */

import { join } from 'node:path'
import type { Disk, DiskFile } from '../core/disk.ts'

export const QUARANTINE_DIRECTORY = 'quarantine'
const COPY_BYTES = 1024 * 1024
/** How often another name is tried when one is taken. */
const NAME_ATTEMPTS_MAX = 1000

export interface QuarantineRange {
  /** What the copy is called; a number is added when the name is taken. */
  readonly name: string
  readonly position: number
  readonly bytes: number
  /** True when the original is about to go, so that the copy must be synced. */
  readonly isDurable: boolean
}

export class Quarantine {
  readonly #disk: Disk
  readonly #partitionDirectory: string
  readonly #directory: string
  #isMade = false

  constructor(disk: Disk, partitionDirectory: string) {
    this.#disk = disk
    this.#partitionDirectory = partitionDirectory
    this.#directory = join(partitionDirectory, QUARANTINE_DIRECTORY)
  }

  /** Copies bytes of `file`; resolves with the copy's path. */
  async copy(file: DiskFile, range: QuarantineRange): Promise<string> {
    await this.#make()
    const path = await this.#freePath(range.name)
    const copy = await this.#disk.open(path, 'create')
    try {
      await fill(copy, file, range)
    } catch (error) {
      // It is tried again with every start, and a full disk must not be filled with parts of copies.
      await this.#disk.unlink(path).catch(() => {})
      throw error
    }
    if (range.isDurable) await this.#disk.syncDirectory(this.#directory)
    return path
  }

  /** Moves a file of the partition here, out of the way; durable when it resolves with the new path. */
  async move(name: string): Promise<string> {
    await this.#make()
    const path = await this.#freePath(name)
    await this.#disk.rename(join(this.#partitionDirectory, name), path)
    await this.#disk.syncDirectory(this.#directory)
    await this.#disk.syncDirectory(this.#partitionDirectory)
    return path
  }

  async #make(): Promise<void> {
    if (this.#isMade) return
    await this.#disk.mkdir(this.#directory)
    await this.#disk.syncDirectory(this.#partitionDirectory)
    this.#isMade = true
  }

  async #freePath(name: string): Promise<string> {
    for (let attempt = 0; attempt < NAME_ATTEMPTS_MAX; attempt += 1) {
      const path = join(this.#directory, attempt === 0 ? name : `${name}.${attempt}`)
      if (!(await this.#disk.exists(path))) return path
    }
    throw new Error(`${this.#directory} already holds ${NAME_ATTEMPTS_MAX} files called ${name}; empty it.`)
  }
}

/** Writes the range to `copy`, and closes it. */
async function fill(copy: DiskFile, file: DiskFile, range: QuarantineRange): Promise<void> {
  try {
    const buffer = Buffer.allocUnsafeSlow(Math.min(COPY_BYTES, Math.max(range.bytes, 1)))
    for (let done = 0; done < range.bytes; ) {
      const wanted = buffer.subarray(0, Math.min(buffer.length, range.bytes - done))
      const got = await file.read(wanted, range.position + done)
      if (got === 0) break
      await copy.write(wanted.subarray(0, got), done)
      done += got
    }
    if (range.isDurable) await copy.datasync()
  } finally {
    await copy.close()
  }
}
