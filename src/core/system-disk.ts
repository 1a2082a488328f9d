/**
 * The machine's disk. The one place that calls `node:fs` for stored data; see `disk.ts` for what it promises.
 * The callback API on plain descriptors is used because it costs less per call than a FileHandle.
 */

import { strict as assert } from 'node:assert'
import {
  close,
  constants,
  fdatasync,
  fstat,
  fsync,
  ftruncate,
  lstat,
  mkdir,
  open,
  read,
  readdir,
  rename,
  rm,
  type Stats,
  unlink,
  write,
  writev,
} from 'node:fs'
import { takeDirectoryLock } from './directory-lock.ts'
import type { Disk, DiskFile, OpenMode } from './disk.ts'
import { errnoOf } from './disk.ts'

/** Linux takes at most this many buffers in one writev (IOV_MAX). */
const WRITE_BUFFERS_MAX = 1024

/** No symbolic link is followed for the last name of a path, so that a planted link cannot redirect our writes. */
const OPEN_FLAGS: Readonly<Record<OpenMode, number>> = {
  read: constants.O_RDONLY | constants.O_NOFOLLOW,
  'read-write': constants.O_RDWR | constants.O_NOFOLLOW,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
}

type Done<Value> = (error: NodeJS.ErrnoException | null, value: Value) => void

/** Runs one callback-style call as a promise. */
function call<Value>(start: (done: Done<Value>) => void): Promise<Value> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value)))
  })
}

export const systemDisk: Disk = {
  async open(path, mode) {
    const descriptor = await call<number>((done) => open(path, OPEN_FLAGS[mode], 0o640, done))
    return new SystemFile(descriptor)
  },
  rename: (from, to) => call((done: Done<void>) => rename(from, to, done as (error: Error | null) => void)),
  unlink: (path) => call((done: Done<void>) => unlink(path, done as (error: Error | null) => void)),
  readdir: (path) => call<string[]>((done) => readdir(path, done)),
  mkdir: (path) =>
    call((done: Done<void>) =>
      mkdir(path, { recursive: true, mode: 0o750 }, (error) => done(error, undefined)),
    ),
  removeDirectory: (path) =>
    call((done: Done<void>) =>
      rm(path, { recursive: true, force: true }, done as (error: Error | null) => void),
    ),
  async syncDirectory(path) {
    const descriptor = await call<number>((done) => open(path, constants.O_RDONLY, done))
    try {
      await call((done: Done<void>) => fsync(descriptor, done as (error: Error | null) => void))
    } finally {
      await call((done: Done<void>) => close(descriptor, done as (error: Error | null) => void))
    }
  },
  async stat(path) {
    try {
      const stats = await call<Stats>((done) => lstat(path, done))
      const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other'
      return { kind, bytes: stats.size, modifiedMs: stats.mtimeMs }
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return null
      throw error
    }
  },
  exists: async (path) => (await systemDisk.stat(path)) !== null,
  lockDirectory: takeDirectoryLock,
}

class SystemFile implements DiskFile {
  readonly #descriptor: number

  constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  async read(into: Buffer, position: number): Promise<number> {
    let filled = 0
    while (filled < into.length) {
      const got = await call<number>((done) =>
        read(this.#descriptor, into, filled, into.length - filled, position + filled, done),
      )
      if (got === 0) break
      filled += got
    }
    return filled
  }

  async write(bytes: Buffer, position: number): Promise<void> {
    let written = 0
    while (written < bytes.length) {
      const count = await call<number>((done) =>
        write(this.#descriptor, bytes, written, bytes.length - written, position + written, done),
      )
      assert(count > 0, 'a write of more than 0 bytes writes some or fails')
      written += count
    }
  }

  async writev(buffers: readonly Buffer[], position: number): Promise<void> {
    let at = position
    for (let first = 0; first < buffers.length; first += WRITE_BUFFERS_MAX) {
      const slice = buffers.slice(first, first + WRITE_BUFFERS_MAX)
      let expected = 0
      for (const buffer of slice) expected += buffer.length
      const written = await call<number>((done) => writev(this.#descriptor, slice, at, done))
      // A short write is legal (a signal, or the last free block); the rest follows buffer by buffer, and an error
      // such as ENOSPC then shows itself.
      if (written < expected) await this.#writeRest(slice, at, written)
      at += expected
    }
  }

  async #writeRest(buffers: readonly Buffer[], position: number, written: number): Promise<void> {
    let start = 0
    for (const buffer of buffers) {
      const skip = Math.min(Math.max(written - start, 0), buffer.length)
      if (skip < buffer.length) await this.write(buffer.subarray(skip), position + start + skip)
      start += buffer.length
    }
  }

  datasync(): Promise<void> {
    return call((done: Done<void>) => fdatasync(this.#descriptor, done as (error: Error | null) => void))
  }

  truncate(bytes: number): Promise<void> {
    return call((done: Done<void>) =>
      ftruncate(this.#descriptor, bytes, done as (error: Error | null) => void),
    )
  }

  async size(): Promise<number> {
    const stats = await call<Stats>((done) => fstat(this.#descriptor, done))
    return stats.size
  }

  close(): Promise<void> {
    return call((done: Done<void>) => close(this.#descriptor, done as (error: Error | null) => void))
  }
}
