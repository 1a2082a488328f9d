/**
 * What a start finds in a partition's folder, made into a list of segments. Told as cases:
 *
 * 1. The checkpoint is there and a file has exactly the length that it vouches for: believed, nothing is read. Damage
 *    inside is found when it is read, by the CRC.
 * 2. The last segment is longer: it was appended to after the checkpoint. It is scanned. What follows the last whole
 *    batch is a torn tail: never acknowledged, since an acknowledged batch is whole. It is copied to the quarantine
 *    and cut.
 * 3. Whole batches follow damage, or the whole batches end before what was acknowledged (the checkpoint, or the next
 *    segment's base): that is damage, not a torn write. The bytes stay where they are, a copy goes to the quarantine, the
 *    range is a hole. The segment is sealed and a new one begins, so that no offset is ever given to two records.
 * 4. A file that the checkpoint names is gone: its offsets are a loss, and they are not given out again.
 * 5. A segment file that the checkpoint does not name and that cannot be the next one (it overlaps, or holds no batch
 *    with its offsets): foreign, or a duplicate. It is moved to the quarantine; an empty one is removed.
 * 6. There is no checkpoint, or it is damaged (then it is moved to the quarantine): every segment is scanned.
 *
 * Damage never stops a start. Only a disk that refuses calls does, and a newer format.
 */

import { basename, join } from 'node:path'
import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import type { DiskFile } from '../core/disk.ts'
import { isFailure } from '../core/errors.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { Checkpoint, Hole, Loss, SegmentRecord, Swap } from './checkpoint.ts'
import { checkpointPath, readCheckpoint } from './checkpoint.ts'
import { makeDurableDirectory } from './durable-directory.ts'
import type { IndexBuilder } from './index-builder.ts'
import type { Quarantine } from './quarantine.ts'
import type { SegmentContext } from './segment.ts'
import { holesUpTo, Segment } from './segment.ts'
import {
  CLEANED_SUFFIX,
  logFileName,
  offsetIndexFileName,
  parseLogFileName,
  SWAP_SUFFIX,
  swapFileName,
  timeIndexFileName,
} from './segment-format.ts'
import type { ScannedHole, SegmentScan } from './segment-scan.ts'
import { scanSegment } from './segment-scan.ts'
import { SNAPSHOT_TEMPORARY_SUFFIX } from './snapshot-file.ts'
import { storageFailure } from './storage-error.ts'

export interface RecoveryContext extends SegmentContext {
  readonly quarantine: Quarantine
  readonly diagnostics: Diagnostics
  /** Wall-clock milliseconds, for segments whose age nobody wrote down. */
  readonly nowMs: number
}

export interface RecoveredLog {
  readonly segments: Segment[]
  /** The last segment with its file open for writing, or null when a new one must begin at `endOffset`. */
  readonly writable: { file: DiskFile; indexes: IndexBuilder | null } | null
  readonly logStartOffset: Offset
  /** One past the last offset ever given out, as far as can be known. */
  readonly endOffset: Offset
  readonly losses: Loss[]
  /** Up to where the log is compacted. */
  readonly cleanedOffset: Offset
  /** Why the disk takes no writes, or null when it does. What was found can be read all the same. */
  readonly refusal: unknown
  /** False when the checkpoint already says all this. */
  readonly needsCheckpoint: boolean
  readonly scannedBytes: number
  /** Bytes of never acknowledged writes that were cut. */
  readonly tornBytes: number
}

/** Reads the folder, making it when needed. Rejects with `GS_STORAGE_FAILED` or `GS_STORAGE_VERSION`. */
export async function recoverLog(context: RecoveryContext): Promise<RecoveredLog> {
  try {
    return await new LogRecovery(context).run()
  } catch (error) {
    throw storageFailure('Recovering', context.directory, error)
  }
}

/** The last accepted segment: it is judged once it is known whether another one follows. */
interface Candidate {
  readonly segment: Segment
  readonly record: SegmentRecord | null
  /** Null when the checkpoint vouches for the whole file. */
  readonly scan: SegmentScan | null
  readonly fileBytes: number
}

class LogRecovery {
  readonly #context: RecoveryContext
  readonly #segments: Segment[] = []
  readonly #losses: Loss[] = []
  #checkpoint: Checkpoint | null = null
  #candidate: Candidate | null = null
  #needsCheckpoint = false
  #refusal: unknown = null
  #scannedBytes = 0
  #tornBytes = 0

  constructor(context: RecoveryContext) {
    this.#context = context
  }

  async run(): Promise<RecoveredLog> {
    const { disk, directory } = this.#context
    await this.#attempt(() => makeDurableDirectory(disk, directory))
    if (!(await disk.exists(directory))) throw this.#refusal
    // What is found may be visible only: the process before may have been killed between a rename and its sync. Nothing is
    // concluded from a checkpoint, and nothing is stored in a file, whose name a power cut could still take back.
    await this.#attempt(() => disk.syncDirectory(directory))
    this.#checkpoint = await this.#loadCheckpoint()
    await this.#settleSwaps()
    this.#losses.push(...(this.#checkpoint?.losses ?? []))
    const bases = await this.#listSegments()
    const records = new Map(this.#checkpoint?.segments.map((record) => [record.baseOffset, record]))
    const lastKnown = this.#checkpoint?.segments.at(-1)?.baseOffset ?? -1
    const logStartOffset = this.#checkpoint?.logStartOffset ?? bases[0] ?? asOffset(0)
    const present = new Set(bases)
    for (const base of mergeSorted(records.keys(), bases)) {
      const record = records.get(base) ?? null
      const isPresent = present.has(base)
      if (!isPresent && record !== null) this.#noteMissing(record)
      else if (record !== null) await this.#acceptKnown(record)
      else if (base < lastKnown) await this.#moveForeign(base)
      else await this.#acceptUnknown(base, logStartOffset)
    }
    const writable = await this.#judgeLast()
    const endOffset = Math.max(
      this.#checkpoint?.endOffset ?? 0,
      this.#segments.at(-1)?.endOffset ?? 0,
      logStartOffset,
    )
    const isWritable = writable !== null && this.#segments.at(-1)?.endOffset === endOffset
    if (writable !== null && !isWritable) await writable.file.close()
    return {
      segments: this.#segments,
      writable: isWritable ? writable : null,
      logStartOffset,
      endOffset: asOffset(endOffset),
      losses: this.#losses,
      cleanedOffset: this.#checkpoint?.cleanedOffset ?? asOffset(0),
      refusal: this.#refusal,
      needsCheckpoint: this.#needsCheckpoint || !isWritable,
      scannedBytes: this.#scannedBytes,
      tornBytes: this.#tornBytes,
    }
  }

  async #loadCheckpoint(): Promise<Checkpoint | null> {
    const { disk, directory, quarantine, diagnostics } = this.#context
    try {
      const checkpoint = await readCheckpoint(disk, directory)
      this.#needsCheckpoint = checkpoint === null
      return checkpoint
    } catch (error) {
      if (!isFailure(error, 'GS_STORAGE_CORRUPT')) throw error
      const path = await this.#attempt(() => quarantine.move(basename(checkpointPath(directory))))
      diagnostics.warn({ directory, path, err: error }, 'checkpoint damaged, scanning the whole partition')
      this.#needsCheckpoint = true
      this.#losses.push({
        fromOffset: asOffset(0),
        toOffset: asOffset(0),
        path,
        bytes: 0,
        reason: 'damaged checkpoint',
      })
      return null
    }
  }

  /**
   * Finishes or takes back what a compaction was doing. The checkpoint decides (`segment-swap.ts`): a `.swap` file that it
   * names is whole and takes its name, and what it replaces goes with `removing`. Any other one, and whatever is called
   * `.cleaned`, is of no meaning, and the segments that it was made from are all there.
   */
  async #settleSwaps(): Promise<void> {
    const { disk, directory, diagnostics } = this.#context
    const names = await disk.readdir(directory)
    const swaps = this.#checkpoint?.swaps ?? []
    for (const { baseOffset, replaced } of swaps) {
      this.#needsCheckpoint = true
      if (!names.includes(swapFileName(baseOffset))) continue
      const finished = await this.#attempt(async () => {
        await disk.rename(join(directory, swapFileName(baseOffset)), join(directory, logFileName(baseOffset)))
        return true
      })
      if (finished === null) {
        // The disk takes no writes; the old segments are still there to be read.
        this.#takeBackSwap({ baseOffset, replaced })
        continue
      }
      // Before anything that it replaces goes.
      await this.#attempt(() => disk.syncDirectory(directory))
      diagnostics.info({ directory, baseOffset, segmentCount: replaced.length }, 'compaction finished')
    }
    const isLeftOver = (name: string) =>
      name.endsWith(CLEANED_SUFFIX) ||
      (name.endsWith(SWAP_SUFFIX) && !swaps.some(({ baseOffset }) => name === swapFileName(baseOffset)))
    for (const name of names) {
      if (isLeftOver(name)) await this.#attempt(() => disk.unlink(join(directory, name)))
    }
  }

  #takeBackSwap({ baseOffset, replaced }: Swap): void {
    const checkpoint = this.#checkpoint
    if (checkpoint === null) return
    const bases = new Set(replaced.map((record) => record.baseOffset))
    this.#checkpoint = {
      ...checkpoint,
      segments: checkpoint.segments.flatMap((record) =>
        record.baseOffset === baseOffset ? replaced : [record],
      ),
      removing: checkpoint.removing.filter((base) => !bases.has(base)),
    }
  }

  /** The base offsets of the segment files, sorted, after finishing what an earlier process was deleting. */
  async #listSegments(): Promise<Offset[]> {
    const { disk, directory, diagnostics } = this.#context
    const removing = new Set(this.#checkpoint?.removing)
    const unfinished = `${basename(checkpointPath(directory))}${SNAPSHOT_TEMPORARY_SUFFIX}`
    const bases: Offset[] = []
    for (const name of await disk.readdir(directory)) {
      if (name === unfinished) await this.#attempt(() => disk.unlink(join(directory, name)))
      const base = parseLogFileName(name)
      if (base === null) continue
      if (removing.has(base)) {
        if (this.#refusal === null) await this.#attempt(() => removeSegmentFiles(this.#context, base))
        continue
      }
      const entry = await disk.stat(join(directory, name))
      if (entry?.kind === 'file') bases.push(base)
      else diagnostics.warn({ directory, name }, 'not a regular file, left alone')
    }
    return bases.sort((left, right) => left - right)
  }

  #noteMissing(record: SegmentRecord): void {
    const { directory } = this.#context
    // A segment that held nothing loses nothing: it was listed when it was created.
    if (record.endOffset === record.baseOffset && record.bytes === 0) {
      this.#needsCheckpoint = true
      return
    }
    this.#noteLoss({
      fromOffset: record.baseOffset,
      toOffset: record.endOffset,
      path: join(directory, logFileName(record.baseOffset)),
      bytes: record.bytes,
      reason: 'missing segment file',
    })
  }

  async #acceptKnown(record: SegmentRecord): Promise<void> {
    await this.#judgeFollowed({ nextBase: record.baseOffset, isNextKnown: true })
    const segment = new Segment(this.#context, record)
    const { bytes: fileBytes = 0, modifiedMs = 0 } = (await this.#context.disk.stat(segment.path)) ?? {}
    const isLastKnown = record === this.#checkpoint?.segments.at(-1)
    const isAsVouched = fileBytes === record.bytes
    // A sealed segment does not grow: bytes behind its end are none of the log's.
    const scanBytes = isLastKnown ? fileBytes : Math.min(fileBytes, record.bytes)
    // The checkpoint may be as old as the segment; records that came after it age from when the file was last written.
    if (scanBytes > record.bytes) segment.appendedMs = Math.max(record.appendedMs, modifiedMs)
    const scan = isAsVouched ? null : await this.#scan(segment, scanBytes)
    this.#candidate = { segment, record, scan, fileBytes: scanBytes }
  }

  async #acceptUnknown(base: Offset, logStartOffset: Offset): Promise<void> {
    const { disk, directory, nowMs } = this.#context
    const entry = await disk.stat(join(directory, logFileName(base)))
    const fileBytes = entry?.bytes ?? 0
    const segment = new Segment(this.#context, {
      baseOffset: base,
      bytes: 0,
      endOffset: base,
      maxTimestamp: -1,
      maxTimestampOffset: -1,
      createdMs: entry?.modifiedMs ?? nowMs,
      appendedMs: entry?.modifiedMs ?? nowMs,
      holes: [],
    })
    const scan = await this.#scan(segment, fileBytes)
    const endBefore = this.#endOfCandidate() ?? logStartOffset
    // It must begin where the one before it ends; with whole batches in it, it may begin later (what lay between is lost).
    if (base < endBefore || (scan.batchCount === 0 && base !== endBefore)) {
      await segment.release()
      // Begun, and never written to: what came before it was taken back when the disk refused.
      if (fileBytes === 0) await this.#attempt(() => disk.unlink(segment.path))
      else await this.#moveForeign(base)
      return
    }
    await this.#judgeFollowed({ nextBase: base, isNextKnown: false })
    this.#candidate = { segment, record: null, scan, fileBytes }
  }

  #endOfCandidate(): Offset | null {
    const candidate = this.#candidate
    if (candidate === null) return this.#segments.at(-1)?.endOffset ?? null
    return candidate.scan?.endOffset ?? candidate.segment.endOffset
  }

  /** The candidate is followed by another segment, so it was sealed whole: what is missing of it is damage. */
  async #judgeFollowed(next: { nextBase: Offset; isNextKnown: boolean }): Promise<void> {
    const candidate = this.#candidate
    this.#candidate = null
    if (candidate === null) return
    const { segment, scan, fileBytes } = candidate
    this.#segments.push(segment)
    // Between two segments that the checkpoint names, a gap is old news that it has written down already.
    const endOffset = asOffset(
      next.isNextKnown ? segment.endOffset : Math.max(segment.endOffset, next.nextBase),
    )
    if (scan !== null) {
      await this.#adopt(candidate, scan, { bytes: fileBytes, endOffset })
      // Otherwise the first read would scan it again; and the indexes of thousands of segments do not fit in memory.
      await segment.saveIndexes()
      await segment.release()
    } else if (segment.endOffset < endOffset) {
      const reason = 'missing segment file'
      this.#noteLoss({ fromOffset: segment.endOffset, toOffset: endOffset, path: null, bytes: 0, reason })
    }
  }

  /** The candidate is the last segment. Returns its open file when it may be written to. */
  async #judgeLast(): Promise<RecoveredLog['writable']> {
    const candidate = this.#candidate
    if (candidate === null) return null
    const { segment, scan, record } = candidate
    this.#segments.push(segment)
    if (scan === null) {
      if (segment.holes.length > 0) return null
      const file = await this.#attempt(() => this.#context.disk.open(segment.path, 'read-write'))
      return file === null ? null : { file, indexes: null }
    }
    const acknowledgedEnd = record?.endOffset ?? segment.baseOffset
    if (scan.endOffset < acknowledgedEnd) {
      await this.#adopt(candidate, scan, { bytes: candidate.fileBytes, endOffset: acknowledgedEnd })
      return null
    }
    await this.#adopt(candidate, scan, { bytes: scan.endPosition, endOffset: scan.endOffset })
    const file = await this.#attempt(() => this.#repairTail(candidate, scan))
    if (file === null) return null
    if (file !== 'left in place' && scan.holes.length === 0) return { file, indexes: scan.indexes }
    if (file !== 'left in place') await file.close()
    if (file === 'left in place' && scan.batchCount === 0) {
      // Nothing in it is ours, and its name is needed for the segment that must begin at the same offset.
      this.#segments.pop()
      await this.#moveForeign(segment.baseOffset)
    }
    return null
  }

  /** Cuts a torn tail, makes the rest durable, and returns the file open for writing. */
  async #repairTail(candidate: Candidate, scan: SegmentScan): Promise<DiskFile | 'left in place'> {
    const file = await this.#context.disk.open(candidate.segment.path, 'read-write')
    let isKept = false
    try {
      const isCut = await this.#cutTail(file, candidate, scan)
      // Whole batches that were written but not synced before the crash become part of the log now, and readers and
      // producers will rely on them: they must be as durable as what was acknowledged.
      await file.datasync()
      isKept = isCut
    } finally {
      if (!isKept) await file.close()
    }
    return isKept ? file : 'left in place'
  }

  /** Cuts what follows the last whole batch. False when it must stay because no copy of it could be made. */
  async #cutTail(file: DiskFile, candidate: Candidate, scan: SegmentScan): Promise<boolean> {
    const bytes = candidate.fileBytes - scan.endPosition
    if (bytes === 0) return true
    const { quarantine, diagnostics, directory } = this.#context
    const { path } = candidate.segment
    try {
      if (await hasContent(file, scan.endPosition, candidate.fileBytes)) {
        const name = `${basename(path)}.${scan.endPosition}-${bytes}.torn`
        await quarantine.copy(file, { name, position: scan.endPosition, bytes, isDurable: true })
      }
    } catch (error) {
      diagnostics.warn({ directory, path, bytes, err: error }, 'torn tail could not be copied, left in place')
      return false
    }
    await file.truncate(scan.endPosition)
    this.#tornBytes += bytes
    diagnostics.info(
      { directory, path, position: scan.endPosition, bytes, endOffset: scan.endOffset },
      'torn tail cut: it was never acknowledged',
    )
    return true
  }

  /** Makes the segment what the scan found, up to the end it must have; what is missing up to there is a hole. */
  async #adopt(
    candidate: Candidate,
    scan: SegmentScan,
    end: { bytes: number; endOffset: Offset },
  ): Promise<void> {
    const { segment } = candidate
    segment.adoptScan(scan, end)
    const known = new Map(segment.holes.map((hole) => [hole.position, hole]))
    const found = holesUpTo(scan, end.bytes, end.endOffset)
    const holes: Hole[] = []
    for (const hole of found) {
      const before = known.get(hole.position)
      holes.push(before?.bytes === hole.bytes ? before : await quarantineHole(this.#context, segment, hole))
    }
    segment.holes = holes
    await segment.closeFile()
    this.#needsCheckpoint = true
  }

  async #scan(segment: Segment, fileBytes: number): Promise<SegmentScan> {
    this.#scannedBytes += fileBytes
    const { indexIntervalBytes, tag } = this.#context
    const options = { baseOffset: segment.baseOffset, endPosition: fileBytes, indexIntervalBytes, tag }
    return segment.use((file) => scanSegment(file, options)).finally(() => segment.release())
  }

  async #moveForeign(base: Offset): Promise<void> {
    const { quarantine, disk, directory } = this.#context
    const name = logFileName(base)
    const bytes = (await disk.stat(join(directory, name)))?.bytes ?? 0
    const path = await this.#attempt(() => quarantine.move(name))
    const reason = 'foreign segment file'
    this.#noteLoss({ fromOffset: base, toOffset: base, path: path ?? join(directory, name), bytes, reason })
  }

  /** Tidies up; when the disk refuses, the start goes on and the log can only be read. */
  async #attempt<Value>(run: () => Promise<Value>): Promise<Value | null> {
    try {
      return await run()
    } catch (error) {
      this.#refusal ??= error
      return null
    }
  }

  #noteLoss(loss: Loss): void {
    this.#losses.push(loss)
    this.#needsCheckpoint = true
    this.#context.diagnostics.warn(
      { directory: this.#context.directory, ...loss },
      'damage found, see quarantined',
    )
  }
}

/** Copies a hole's bytes to the quarantine and says so. The bytes stay in the segment too. */
export async function quarantineHole(
  context: Pick<RecoveryContext, 'quarantine' | 'diagnostics' | 'directory'>,
  segment: Segment,
  hole: ScannedHole,
): Promise<Hole> {
  let path: string | null = null
  if (hole.bytes > 0) {
    const name = `${basename(segment.path)}.${hole.position}-${hole.bytes}.damaged`
    // Not synced: the bytes are in the segment as well, and there may be thousands of holes.
    const range = { name, position: hole.position, bytes: hole.bytes, isDurable: false }
    path = await segment
      .use((file) => context.quarantine.copy(file, range))
      .catch((error: unknown) => {
        context.diagnostics.warn(
          { path: segment.path, err: error },
          'damaged bytes could not be copied, left in place',
        )
        return null
      })
  }
  const reason = hole.bytes > 0 ? 'damaged batches' : 'missing bytes'
  context.diagnostics.warn(
    { segment: segment.path, ...hole, path, reason },
    'damage found: these offsets cannot be read, all others can',
  )
  return { ...hole, path, reason }
}

/** Removes the files of a segment; those that are gone already do not matter. */
export async function removeSegmentFiles(context: SegmentContext, base: Offset): Promise<void> {
  const { disk, directory } = context
  // The log goes last: while it is there, the next start sees that there is something to remove.
  for (const name of [offsetIndexFileName(base), timeIndexFileName(base), logFileName(base)]) {
    const path = join(directory, name)
    if (await disk.exists(path)) await disk.unlink(path)
  }
}

function mergeSorted(left: Iterable<Offset>, right: Iterable<Offset>): Offset[] {
  return [...new Set([...left, ...right])].sort((one, other) => one - other)
}

async function hasContent(file: DiskFile, from: number, to: number): Promise<boolean> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(to - from, 1024 * 1024))
  for (let position = from; position < to; ) {
    const piece = buffer.subarray(0, Math.min(buffer.length, to - position))
    const got = await file.read(piece, position)
    if (got === 0) return false
    if (piece.subarray(0, got).some((byte) => byte !== 0)) return true
    position += got
  }
  return false
}
