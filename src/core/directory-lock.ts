/**
 * The lock that keeps a data directory to one process. Owns the two files `.lock` and `.lock-holder` in it.
 *
 * Node offers no flock. What it does ship is SQLite, which takes POSIX byte-range locks, and those are what is wanted:
 * the kernel drops them when the holder dies, however it dies, so there is no stale lock to guess about after kill -9.
 * The file is an empty database under an exclusive transaction that is never written to.
 *
 * Not taken:
 * - a pid file compared with /proc: two containers with one volume each see the other's pid as absent or as their own;
 * - a unix socket in the folder: after kill -9 the name stays, and two starters that both find it dead can each
 *   remove the other's fresh one; its path is also limited to 107 bytes.
 *
 * A POSIX lock is lost when its process closes any other handle on the same file, so nothing else opens `.lock`.
 * The holder's name lives beside it in `.lock-holder`; it is only ever read to word the refusal.
 */

import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { DirectoryLock } from './disk.ts'
import { GopherShipError } from './errors.ts'

const LOCK_FILE = '.lock'
const HOLDER_FILE = '.lock-holder'
/** SQLITE_BUSY and SQLITE_LOCKED: somebody else has it. Anything else is a failure of the disk. */
const HELD_ELSEWHERE = new Set([5, 6])
/** SQLITE_READONLY and SQLITE_CANTOPEN: its words speak of a database, and nobody has one here. */
const NOT_WRITABLE = new Set([8, 14])

/** Takes the lock of `directory`, creating the folder when needed; throws `GS_STORAGE_LOCKED` or `GS_STORAGE_FAILED`. */
export async function takeDirectoryLock(directory: string): Promise<DirectoryLock> {
  // Loaded here and not above: only a process that owns a data directory needs it.
  const sqlite = await import('node:sqlite')
  const path = join(directory, LOCK_FILE)
  let database: DatabaseSync | null = null
  try {
    await makeDirectory(directory)
    database = new sqlite.DatabaseSync(path, { timeout: 0 })
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    await writeFile(join(directory, HOLDER_FILE), `${process.pid} ${hostname()}\n`)
  } catch (error) {
    database?.close()
    throw await refusalOf(directory, error)
  }
  const held = database
  let isHeld = true
  return {
    async release() {
      if (!isHeld) return
      isHeld = false
      held.close()
    },
  }
}

/**
 * Makes the folder and those above it. Node's own way of doing so never ends where the system says "not there" of a folder whose
 * parent is there, as under /proc and below an automounter's folder.
 */
async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && (await stat(directory)).isDirectory()) return
    const parent = dirname(directory)
    if (code !== 'ENOENT' || (await isThere(parent))) throw error
    await makeDirectory(parent)
    await makeDirectory(directory)
  }
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

async function refusalOf(directory: string, error: unknown): Promise<GopherShipError> {
  if (!isOneOf(HELD_ELSEWHERE, error)) {
    const text = error instanceof Error ? error.message : String(error)
    const reason = isOneOf(NOT_WRITABLE, error) ? `the file ${LOCK_FILE} in it cannot be written` : text
    return new GopherShipError(
      'GS_STORAGE_FAILED',
      `The data directory ${directory} could not be locked: ${reason}. It must be on a local file system, and this user must be able to write to it.`,
      { cause: error, facts: { path: directory } },
    )
  }
  const holder = await readFile(join(directory, HOLDER_FILE), 'utf8').catch(() => '')
  const [pidText = '', host = ''] = holder.trim().split(' ')
  const pid = /^[0-9]{1,10}$/.test(pidText) ? Number(pidText) : null
  const who = pid === null ? 'another process' : `process ${pid} on host ${host.slice(0, 255)}`
  return new GopherShipError(
    'GS_STORAGE_LOCKED',
    `The data directory ${directory} is in use by ${who}. Stop that process, or choose another directory.`,
    { cause: error, facts: { path: directory, pid } },
  )
}

function isOneOf(resultCodes: ReadonlySet<number>, error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'errcode' in error &&
    typeof error.errcode === 'number' &&
    // The low byte is SQLite's primary result code; extended codes add detail above it.
    resultCodes.has(error.errcode & 0xff)
  )
}
