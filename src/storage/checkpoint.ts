/**
 * The one small file `checkpoint` of a partition: which segments there are, and up to where each is known to be whole
 * and durable. It is a list of facts about the past, so it is never wrong by being old: bytes beyond it are scanned,
 * bytes below it that are gone are known to be lost and not taken for "never written".
 *
 * It is written (after syncing what it vouches for) when a segment is added, before segments are deleted, when the
 * start of the log moves, after a recovery that found something, and at a clean close. The file is a snapshot
 * (`snapshot-file.ts`) of JSON, for people to read.
 */

import { join } from 'node:path'
import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import type { Disk } from '../core/disk.ts'
import { readSnapshot, writeSnapshot } from './snapshot-file.ts'
import { StorageError } from './storage-error.ts'

const CHECKPOINT_FILE = 'checkpoint'
const FORMAT = 1
/** While segments are being swapped: a version that knows nothing of swaps must not take this for the whole truth. */
const FORMAT_WITH_SWAPS = 2

/** Bytes of a segment that do not hold intact batches although intact batches, or acknowledged offsets, follow. */
export interface Hole {
  readonly position: number
  readonly bytes: number
  /** The first offset that is missing. */
  readonly fromOffset: Offset
  /** The first offset that is there again. */
  readonly toOffset: Offset
  /** Where a copy of the bytes is, or null when none could be made. */
  readonly path: string | null
  readonly reason: string
}

/** What is vouched for of one segment. */
export interface SegmentRecord {
  readonly baseOffset: Offset
  /** Length of the intact prefix (holes included) that is durable. */
  readonly bytes: number
  /** One past the last offset in those bytes. */
  readonly endOffset: Offset
  /** The latest timestamp of those batches, -1 when there is none. */
  readonly maxTimestamp: number
  /** The last offset of the batch that has it, -1 when there is none. */
  readonly maxTimestampOffset: number
  /** Wall-clock milliseconds: when the file was created, and last appended to. */
  readonly createdMs: number
  readonly appendedMs: number
  readonly holes: readonly Hole[]
}

/** Damage that is not a hole of a segment at hand: a file that is missing, foreign, or whose tail was cut. */
export interface Loss {
  readonly fromOffset: Offset
  readonly toOffset: Offset
  readonly path: string | null
  readonly bytes: number
  readonly reason: string
}

/**
 * A segment that compaction has written and that takes the place of others: `segments` names it already. Until the next
 * checkpoint the file may still be called `<segment>.swap`, and what it replaces may still be there.
 */
export interface Swap {
  readonly baseOffset: Offset
  readonly replaced: readonly SegmentRecord[]
}

export interface Checkpoint {
  readonly format: typeof FORMAT | typeof FORMAT_WITH_SWAPS
  readonly logStartOffset: Offset
  /** One past the last offset that was durable: offsets below it are never given out again. */
  readonly endOffset: Offset
  readonly segments: readonly SegmentRecord[]
  /** Base offsets of segments whose files may go, or may be gone already. */
  readonly removing: readonly Offset[]
  readonly losses: readonly Loss[]
  /** Up to here, exclusive, compaction has kept only the latest record of each key. 0 when it never ran. */
  readonly cleanedOffset: Offset
  readonly swaps: readonly Swap[]
}

/** As it may lie on disk: a version before compaction wrote it, or this one. */
type Stored = Omit<Checkpoint, 'cleanedOffset' | 'swaps'> &
  Partial<Pick<Checkpoint, 'cleanedOffset' | 'swaps'>>

/** Where the checkpoint of the partition in `directory` is. */
export const checkpointPath = (directory: string): string => join(directory, CHECKPOINT_FILE)

/** Replaces the checkpoint; durable when it resolves. */
export async function writeCheckpoint(
  disk: Disk,
  directory: string,
  checkpoint: Omit<Checkpoint, 'format'>,
): Promise<void> {
  const format = checkpoint.swaps.length === 0 ? FORMAT : FORMAT_WITH_SWAPS
  const text = JSON.stringify({ format, ...checkpoint })
  await writeSnapshot(disk, checkpointPath(directory), Buffer.from(text))
}

/** The last checkpoint, or null when there is none. Throws `GS_STORAGE_CORRUPT`, `GS_STORAGE_VERSION`, `GS_STORAGE_FAILED`. */
export async function readCheckpoint(disk: Disk, directory: string): Promise<Checkpoint | null> {
  const path = checkpointPath(directory)
  const bytes = await readSnapshot(disk, path)
  if (bytes === null) return null
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new StorageError('GS_STORAGE_CORRUPT', `${path} is damaged: expected JSON.`, {
      cause,
      facts: { path },
    })
  }
  const format = typeof value === 'object' && value !== null && 'format' in value ? value.format : null
  if (typeof format === 'number' && format > FORMAT_WITH_SWAPS) {
    throw new StorageError(
      'GS_STORAGE_VERSION',
      `${path} was written by a newer version (checkpoint format ${format}, this one reads up to ${FORMAT_WITH_SWAPS}). Run the newer version.`,
      { facts: { path, version: format, versionMax: FORMAT_WITH_SWAPS } },
    )
  }
  if (format !== FORMAT && format !== FORMAT_WITH_SWAPS) {
    throw new StorageError(
      'GS_STORAGE_CORRUPT',
      `${path} is damaged: checkpoint format ${format} never existed.`,
      {
        facts: { path },
      },
    )
  }
  // The CRC held and the format is ours, so the shape is what this file's writer wrote: an earlier one knew no compaction.
  const { cleanedOffset = asOffset(0), swaps = [], ...stored } = value as Stored
  return { ...stored, cleanedOffset, swaps }
}
