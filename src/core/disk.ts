/**
 * Files as an argument: the only doors to a disk. `system-disk.ts` is the real one; the tests bring a simulated one
 * that tears writes, forgets what was not synced, and fails the Nth call.
 *
 * What storage may assume of a disk, and nothing more:
 * - Written bytes survive a power cut only once `datasync` of the same file resolved after the write resolved.
 * - A new name, a rename or a removal survives only once `syncDirectory` of its folder resolved afterwards.
 * - Until then any subset of the written sectors, and any prefix of the name changes, may be what is found.
 * - A rename within one file system is atomic: the old name or the new one, never half of each.
 * - After a failed `datasync` the written bytes may be gone while reads still show them; asking again proves nothing.
 *
 * Every method rejects with the system's own error, whose `code` is the errno name (`ENOENT`, `EIO`, `ENOSPC`).
 */

/** How a file is opened. `read-write` needs the file to exist; `create` makes it, and fails when it exists. */
export type OpenMode = 'read' | 'read-write' | 'create'

/** One open file. Positions and sizes are bytes from the start; calls may overlap, positions decide. */
export interface DiskFile {
  /** Fills `into` from `position`; resolves with the bytes read, fewer than asked only at the end of the file. */
  read(into: Buffer, position: number): Promise<number>
  /** Writes all of `bytes` at `position`. The buffer must not change until it resolves. */
  write(bytes: Buffer, position: number): Promise<void>
  /** Writes all buffers one after the other from `position`. None may change until it resolves. */
  writev(buffers: readonly Buffer[], position: number): Promise<void>
  /** Makes the file's bytes and its size durable (`fdatasync`). */
  datasync(): Promise<void>
  /** Cuts or zero-extends the file to `bytes`. Durable after the next `datasync`. */
  truncate(bytes: number): Promise<void>
  /** The current size in bytes. */
  size(): Promise<number>
  /** Closes the file; nothing else may be called afterwards. Promises nothing about durability. */
  close(): Promise<void>
}

export interface DiskEntry {
  readonly kind: 'file' | 'directory' | 'other'
  readonly bytes: number
  /** Wall-clock time of the last write, milliseconds since the Unix epoch. */
  readonly modifiedMs: number
}

/** A held lock. `release` is idempotent; the lock also ends with the process, however it dies. */
export interface DirectoryLock {
  release(): Promise<void>
}

/** The file system. Paths are absolute, or relative to the process's working directory. */
export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>
  /** Atomically replaces `to` when it exists. */
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** The names in a folder, in no promised order. */
  readdir(path: string): Promise<string[]>
  /** Makes a folder and its missing parents; succeeds when it exists. Syncs nothing. */
  mkdir(path: string): Promise<void>
  /** Removes a folder with all it holds; succeeds when it is absent. */
  removeDirectory(path: string): Promise<void>
  /** Makes the names in a folder durable. */
  syncDirectory(path: string): Promise<void>
  /** What is at `path` (links are not followed), or null when nothing is. */
  stat(path: string): Promise<DiskEntry | null>
  /** True when anything is at `path`. */
  exists(path: string): Promise<boolean>
  /**
   * Takes the folder for this process. A second taker, in this process or another, is refused with
   * `GS_STORAGE_LOCKED` naming the holder. The lock ends with its holder even after `kill -9`.
   */
  lockDirectory(path: string): Promise<DirectoryLock>
}

/** The errno name of a failed disk call (`ENOENT`), or null when the error carries none. */
export function errnoOf(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null
  return typeof error.code === 'string' ? error.code : null
}
