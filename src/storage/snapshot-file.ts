/**
 * One small file replaced as a whole: after a crash it holds the old bytes or the new ones, never a mixture, and
 * damage is found by its CRC. For state that changes rarely: checkpoints, topic metadata, producer state.
 *
 *     0      4        8        12      16
 *     | GSSN | crc32c | version| length| bytes …   big endian; the CRC is over all that follows it
 */

import { dirname } from 'node:path'
import { crcOf } from '../batch/crc32c.ts'
import type { Disk, DiskFile } from '../core/disk.ts'
import { errnoOf } from '../core/disk.ts'
import { StorageError, storageFailure } from './storage-error.ts'

const MAGIC = 0x47_53_53_4e
const VERSION = 1
const HEADER_BYTES = 16
/** The CRC covers the version too: a flipped bit there must read as damage, not as a newer version that is refused. */
const CRC_FROM = 8
/** What a half-made snapshot is called: the name with this behind it. It may always be removed. */
export const SNAPSHOT_TEMPORARY_SUFFIX = '.tmp'
/** Largest snapshot read or written: far above any use, and bounded when the length field is damaged. */
const SNAPSHOT_BYTES_MAX = 256 * 1024 * 1024

/**
 * Replaces the file at `path` and resolves when that is durable. One writer per path at a time: the caller sees to it.
 * Rejects with `GS_STORAGE_FAILED`; what is found afterwards is the old bytes or the new ones.
 */
export async function writeSnapshot(disk: Disk, path: string, bytes: Buffer): Promise<void> {
  const temporary = `${path}${SNAPSHOT_TEMPORARY_SUFFIX}`
  const whole = Buffer.concat([Buffer.alloc(HEADER_BYTES), bytes])
  whole.writeUInt32BE(MAGIC, 0)
  whole.writeUInt32BE(VERSION, 8)
  whole.writeUInt32BE(bytes.length, 12)
  whole.writeUInt32BE(crcOf(whole, CRC_FROM, whole.length), 4)
  try {
    const file = await createAnew(disk, temporary)
    try {
      await file.write(whole, 0)
      // The bytes come before the name: a rename that is durable before them would show an empty file.
      await file.datasync()
    } finally {
      await file.close()
    }
    await disk.rename(temporary, path)
    await disk.syncDirectory(dirname(path))
  } catch (error) {
    throw storageFailure('Writing the snapshot', path, error)
  }
}

/**
 * The bytes last written to `path`, durable from now on, or null when the file does not exist. Throws `GS_STORAGE_CORRUPT` for damage,
 * `GS_STORAGE_VERSION` for a newer format, `GS_STORAGE_FAILED` when the disk refuses.
 */
export async function readSnapshot(disk: Disk, path: string): Promise<Buffer | null> {
  // The writer may have been killed between its rename and its sync: what is visible could still be taken back by a power
  // cut, after others have relied on it. A disk that refuses this keeps nobody from reading.
  await disk.syncDirectory(dirname(path)).catch(() => {})
  const bytes = await readWholeFile(disk, path, HEADER_BYTES + SNAPSHOT_BYTES_MAX)
  if (bytes === null) return null
  if (bytes.length < HEADER_BYTES || bytes.readUInt32BE(0) !== MAGIC) {
    throw corrupt(path, `expected a snapshot header, found ${bytes.length} other bytes`)
  }
  if (bytes.readUInt32BE(4) !== crcOf(bytes, CRC_FROM, bytes.length)) {
    throw corrupt(path, `its ${bytes.length} bytes do not give the CRC in its header`)
  }
  const version = bytes.readUInt32BE(8)
  if (version > VERSION) {
    throw new StorageError(
      'GS_STORAGE_VERSION',
      `${path} has snapshot format ${version}, this version reads up to ${VERSION}. Run the newer version.`,
      { facts: { path, version, versionMax: VERSION } },
    )
  }
  if (version !== VERSION) throw corrupt(path, `snapshot format ${version} never existed`)
  const content = bytes.subarray(HEADER_BYTES)
  const stated = bytes.readUInt32BE(12)
  if (stated !== content.length) throw corrupt(path, `it states ${stated} bytes and holds ${content.length}`)
  return content
}

/** A whole file's bytes, or null when it does not exist. Refuses more than `bytesMax` with `GS_STORAGE_CORRUPT`. */
export async function readWholeFile(disk: Disk, path: string, bytesMax: number): Promise<Buffer | null> {
  let file: DiskFile
  try {
    file = await disk.open(path, 'read')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw storageFailure('Opening', path, error)
  }
  try {
    const size = await file.size()
    if (size > bytesMax) throw corrupt(path, `expected at most ${bytesMax} bytes, found ${size}`)
    const bytes = Buffer.allocUnsafeSlow(size)
    return bytes.subarray(0, await file.read(bytes, 0))
  } catch (error) {
    throw storageFailure('Reading', path, error)
  } finally {
    await file.close().catch(() => {})
  }
}

/** Creates `path`, replacing a leftover of an earlier attempt. */
export async function createAnew(disk: Disk, path: string): Promise<DiskFile> {
  try {
    return await disk.open(path, 'create')
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    await disk.unlink(path)
    return disk.open(path, 'create')
  }
}

function corrupt(path: string, found: string): StorageError {
  return new StorageError('GS_STORAGE_CORRUPT', `${path} is damaged: ${found}.`, { facts: { path } })
}
