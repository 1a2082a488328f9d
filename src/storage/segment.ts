/**
 * One segment: a file of batches with its two indexes. Owns the open handle, the indexes in memory, the known holes, and
 * reading. `PartitionLog` owns the order of segments and who writes when.
 *
 * The last segment is written to and keeps its indexes in memory; their files are written when it is sealed or the log
 * is closed, so they need no syncing: after a crash they are missing, or fail their checks, and are rebuilt.
 */

import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import {
  baseOffsetAt,
  lastOffsetAt,
  maxTimestampAt,
  RECORD_BATCH_HEADER_BYTES,
} from '../batch/record-batch.ts'
import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import type { Disk, DiskFile } from '../core/disk.ts'
import { walkBatches } from './batch-walk.ts'
import type { Hole, SegmentRecord } from './checkpoint.ts'
import { withoutGaps } from './gap-batch.ts'
import type { SegmentIndexes } from './index-builder.ts'
import { IndexBuilder } from './index-builder.ts'
import { reachEnd } from './index-check.ts'
import { OffsetIndex } from './offset-index.ts'
import { logFileName, offsetIndexFileName, SEGMENT_BYTES_MAX, timeIndexFileName } from './segment-format.ts'
import type { ScannedHole, SegmentScan } from './segment-scan.ts'
import { scanSegment } from './segment-scan.ts'
import { createAnew, readWholeFile } from './snapshot-file.ts'
import { StorageError, storageFailure } from './storage-error.ts'
import { TimeIndex } from './time-index.ts'

/** Bytes read ahead of a wanted offset when only the sparse index says where it is. */
const SEEK_BYTES = 64 * 1024

export interface SegmentContext {
  readonly disk: Disk
  readonly directory: string
  readonly indexIntervalBytes: number
  /** What the log's batches carry on disk (`log-tag.ts`). */
  readonly tag: number
}

export interface SegmentRead {
  readonly fromOffset: number
  readonly endOffset: number
  readonly bytesMax: number
  readonly isFirstAlwaysPicked: boolean
  /** A position known from an earlier read: the batch there starts with `fromOffset`. */
  readonly position: number | null
}

/** Whole checked batches, and where the next read goes on. Empty when the segment has none to give. */
export interface SegmentReadResult {
  readonly bytes: Buffer
  readonly nextOffset: Offset
  readonly nextPosition: number
}

export class Segment {
  readonly baseOffset: Offset
  readonly path: string
  readonly createdMs: number
  /** Bytes whose writes have finished. */
  bytes: number
  /** One past the last offset in `bytes`. */
  endOffset: Offset
  appendedMs: number
  /** Set when the log has let go of the segment; readers that hold it finish. */
  isRemoved = false
  holes: readonly Hole[]
  readonly #context: SegmentContext
  #maxTimestamp: number
  #maxTimestampOffset: number
  #file: Promise<DiskFile> | null = null
  #userCount = 0
  #isClosing = false
  #indexes: Promise<SegmentIndexes> | null = null
  /** The indexes of the segment that is being written to. */
  #builder: IndexBuilder | null = null
  #rescan: Promise<readonly ScannedHole[]> | null = null

  /** A segment as a checkpoint or a scan describes it. Opens nothing. */
  constructor(context: SegmentContext, record: SegmentRecord) {
    this.#context = context
    this.baseOffset = record.baseOffset
    this.path = join(context.directory, logFileName(record.baseOffset))
    this.bytes = record.bytes
    this.endOffset = record.endOffset
    this.createdMs = record.createdMs
    this.appendedMs = record.appendedMs
    this.holes = record.holes
    this.#maxTimestamp = record.maxTimestamp
    this.#maxTimestampOffset = record.maxTimestampOffset
  }

  /** The latest timestamp in the segment, -1 when there is none. */
  get maxTimestamp(): number {
    return this.#builder?.maxTimestamp ?? this.#maxTimestamp
  }

  /** The last offset of the first batch that has the latest timestamp, -1 when there is none. */
  get maxTimestampOffset(): number {
    return this.#builder?.maxTimestampOffset ?? this.#maxTimestampOffset
  }

  /** True while somebody reads from the file. */
  get isInUse(): boolean {
    return this.#userCount > 0
  }

  /** True when a handle is open, or being opened. */
  get isOpen(): boolean {
    return this.#file !== null
  }

  toRecord(): SegmentRecord {
    return {
      baseOffset: this.baseOffset,
      bytes: this.bytes,
      endOffset: this.endOffset,
      maxTimestamp: this.maxTimestamp,
      maxTimestampOffset: this.maxTimestampOffset,
      createdMs: this.createdMs,
      appendedMs: this.appendedMs,
      holes: this.holes,
    }
  }

  /**
   * Gets ready to be written to, through `file`, which the segment owns from now on. `indexes` come from a scan; without
   * them they are loaded or rebuilt.
   */
  async openForWriting(file: DiskFile, indexes: IndexBuilder | null): Promise<void> {
    assert(this.#file === null, 'a segment is opened for writing once')
    this.#file = Promise.resolve(file)
    if (indexes !== null) {
      this.#builder = indexes
      return
    }
    const loaded = await this.#loadIndexes()
    this.#builder = IndexBuilder.resume(loaded, {
      intervalBytes: this.#context.indexIntervalBytes,
      segmentBytes: this.bytes,
      maxTimestamp: this.#maxTimestamp,
      maxTimestampOffset: this.#maxTimestampOffset,
    })
  }

  /** Writes batches behind the last one. They are part of the segment when it resolves, and durable after `sync`. */
  async write(batches: readonly Buffer[], nowMs: number): Promise<void> {
    const builder = this.#builder
    assert(builder !== null && this.#file !== null, 'only the last segment is written to')
    const file = await this.#file
    await file.writev(batches, this.bytes)
    let position = this.bytes
    let endOffset = this.endOffset
    for (const batch of batches) {
      assert(baseOffsetAt(batch, 0) >= endOffset, 'offsets rise')
      const lastOffset = lastOffsetAt(batch, 0)
      builder.add({ lastOffset, position, bytes: batch.length, maxTimestamp: maxTimestampAt(batch, 0) })
      position += batch.length
      endOffset = asOffset(lastOffset + 1)
    }
    assert(position <= SEGMENT_BYTES_MAX, 'positions fit the index')
    this.bytes = position
    this.endOffset = endOffset
    this.appendedMs = nowMs
  }

  /** Makes all that was written durable. */
  async sync(): Promise<void> {
    assert(this.#file !== null, 'only an open segment is synced')
    await (await this.#file).datasync()
  }

  /** Cuts the file back to an earlier end. Only for what was never acknowledged, and when nothing is written any more. */
  async cut(end: { bytes: number; endOffset: Offset }): Promise<void> {
    assert(this.#file !== null, 'only an open segment is cut')
    this.bytes = Math.min(this.bytes, end.bytes)
    this.endOffset = end.endOffset
    await (await this.#file).truncate(end.bytes)
  }

  /** Ends writing: the indexes go to their files and may be dropped from memory. */
  async seal(): Promise<void> {
    const builder = this.#builder
    assert(builder !== null, 'only the last segment is sealed')
    builder.seal()
    this.#maxTimestamp = builder.maxTimestamp
    this.#maxTimestampOffset = builder.maxTimestampOffset
    this.#indexes = Promise.resolve(builder)
    this.#builder = null
    await this.#writeIndexes(builder)
  }

  /** Writes the index files without ending anything, so that the next start need not rebuild them. */
  async saveIndexes(): Promise<void> {
    // As Kafka does: with its closing entry a time index shows that it is whole.
    this.#builder?.seal()
    const indexes = this.#builder ?? (await this.#indexes)
    if (indexes !== null) await this.#writeIndexes(indexes)
  }

  /** Reads through `file` while its name is still another one's: a written segment that is being swapped in. */
  adoptFile(file: DiskFile, indexes: SegmentIndexes): void {
    assert(this.#file === null, 'a segment takes a file over once')
    this.#file = Promise.resolve(file)
    this.#indexes = Promise.resolve(indexes)
  }

  /** Closes the handle as soon as no reader needs it, and forgets the indexes. A later read opens the file again. */
  async release(): Promise<void> {
    this.#indexes = null
    await this.closeFile()
  }

  /** Lets go of the segment for good: a reader that is under way finishes, and leaves no handle open behind it. */
  async discard(): Promise<void> {
    this.isRemoved = true
    await this.release()
  }

  /** Closes the handle as soon as no reader needs it. */
  async closeFile(): Promise<void> {
    this.#isClosing = true
    await this.#closeIfIdle()
  }

  /**
   * Whole checked batches from the segment; `'damaged'` when a batch that must be there is not whole. The caller then
   * calls `rescan`, which finds out what is, and reads again.
   */
  async read(read: SegmentRead): Promise<SegmentReadResult | 'damaged'> {
    return this.#use(async (file) => {
      const start = await this.#startOf(file, read)
      return start === 'damaged' ? 'damaged' : this.#readFrom(file, read, start)
    })
  }

  /** The offset from which to look for `timestamp`: every batch before it is older. Or `'damaged'`, as for `read`. */
  async seekTimestamp(timestamp: number): Promise<Offset | 'damaged'> {
    const indexes = this.#builder ?? (await this.#use(() => this.#loadIndexes()))
    const entry = indexes.timeIndex.entryBelow(timestamp)
    if (entry === -1) return this.baseOffset
    const offset = indexes.timeIndex.offsetOf(entry)
    const entryTimestamp = indexes.timeIndex.timestampOf(entry)
    // The entry is believed only when the batch it names has exactly its timestamp: an index has no CRC of its own.
    const found = await this.read({
      fromOffset: offset,
      endOffset: this.endOffset,
      bytesMax: 1,
      isFirstAlwaysPicked: true,
      position: null,
    })
    if (found === 'damaged') return 'damaged'
    if (found.bytes.length === 0 || lastOffsetAt(found.bytes, 0) !== offset) return 'damaged'
    return maxTimestampAt(found.bytes, 0) === entryTimestamp ? found.nextOffset : 'damaged'
  }

  /**
   * Reads the whole segment, rebuilds its indexes, and returns the damage that was not known before. The segment's end
   * does not move: what is damaged up to there is a hole.
   */
  rescan(): Promise<readonly ScannedHole[]> {
    this.#rescan ??= this.#use((file) => this.#scanAgain(file)).finally(() => {
      this.#rescan = null
    })
    return this.#rescan
  }

  /** Becomes what a scan found, before it is used for anything else. */
  adoptScan(scan: SegmentScan, end: { bytes: number; endOffset: Offset }): void {
    this.bytes = end.bytes
    this.endOffset = end.endOffset
    this.#maxTimestamp = scan.indexes.maxTimestamp
    this.#maxTimestampOffset = scan.indexes.maxTimestampOffset
    scan.indexes.seal()
    this.#indexes = Promise.resolve(scan.indexes)
  }

  /** The file, kept open while `run` uses it. */
  use<Value>(run: (file: DiskFile) => Promise<Value>): Promise<Value> {
    return this.#use(run)
  }

  async #scanAgain(file: DiskFile): Promise<readonly ScannedHole[]> {
    const { bytes, endOffset } = this
    const scan = await scanSegment(file, {
      baseOffset: this.baseOffset,
      endPosition: bytes,
      indexIntervalBytes: this.#context.indexIntervalBytes,
      tag: this.#context.tag,
    })
    const found = holesUpTo(scan, bytes, endOffset)
    if (this.#builder === null) {
      scan.indexes.seal()
      this.#indexes = Promise.resolve(scan.indexes)
      await this.#writeIndexes(scan.indexes)
    } else {
      scan.indexes.adoptFrom(this.#builder, bytes)
      this.#builder = scan.indexes
    }
    const known = new Map(this.holes.map((hole) => [hole.position, hole]))
    const fresh = found.filter((hole) => known.get(hole.position)?.bytes !== hole.bytes)
    this.holes = found.map((hole) => {
      const before = known.get(hole.position)
      return before?.bytes === hole.bytes ? before : { ...hole, path: null, reason: 'damaged batch' }
    })
    return fresh
  }

  async #startOf(file: DiskFile, read: SegmentRead): Promise<WalkStart | 'damaged'> {
    if (read.position !== null) return { position: read.position, expectedOffset: read.fromOffset }
    const { offsetIndex } = this.#builder ?? (await this.#loadIndexes())
    const entry = offsetIndex.entryAtOrBelow(read.fromOffset)
    if (entry === -1) return { position: 0, expectedOffset: this.baseOffset }
    const position = offsetIndex.positionOf(entry)
    const header = Buffer.allocUnsafe(RECORD_BATCH_HEADER_BYTES)
    if ((await file.read(header, position)) < header.length) return 'damaged'
    // As in `seekTimestamp`: the entry is believed only when the batch that it points to confirms it.
    if (lastOffsetAt(header, 0) !== offsetIndex.offsetOf(entry)) return 'damaged'
    return { position, expectedOffset: baseOffsetAt(header, 0) }
  }

  async #readFrom(
    file: DiskFile,
    read: SegmentRead,
    start: WalkStart,
  ): Promise<SegmentReadResult | 'damaged'> {
    let { position, expectedOffset } = start
    const holes = this.holes.filter((hole) => hole.position >= position)
    let wantedBytes = read.bytesMax + (read.position === null ? SEEK_BYTES : 0)
    for (;;) {
      const hole = holes[0]
      const limit = hole?.position ?? this.bytes
      const offsetAtLimit = hole?.fromOffset ?? this.endOffset
      const pieceBytes = Math.max(0, Math.min(wantedBytes, limit - position))
      const piece = Buffer.allocUnsafeSlow(pieceBytes)
      if (pieceBytes > 0 && (await file.read(piece, position)) < pieceBytes) return 'damaged'
      const walk = walkBatches(piece, { ...read, expectedOffset, bytesToLimit: limit - position })
      if (walk.start !== -1) {
        // Damage behind what was picked is the next read's to find.
        const picked = piece.subarray(walk.start, walk.end)
        return {
          bytes: walk.hasGaps ? withoutGaps(picked) : picked,
          nextOffset: asOffset(walk.pickedEndOffset),
          nextPosition: position + walk.end,
        }
      }
      if (walk.status === 'damaged') return 'damaged'
      // Batches that were passed over were not checked; that they lead up to the right offset shows that they are whole.
      if (walk.status === 'limit' && walk.expectedOffset !== offsetAtLimit) return 'damaged'
      position += walk.at
      expectedOffset = walk.expectedOffset
      wantedBytes = Math.max(walk.wantedBytes, read.bytesMax, RECORD_BATCH_HEADER_BYTES)
      if (walk.status === 'done' || (walk.status === 'limit' && hole === undefined)) {
        return { bytes: EMPTY, nextOffset: asOffset(expectedOffset), nextPosition: position }
      }
      if (walk.status === 'limit' && hole !== undefined) {
        holes.shift()
        position = hole.position + hole.bytes
        expectedOffset = hole.toOffset
      }
    }
  }

  #loadIndexes(): Promise<SegmentIndexes> {
    this.#indexes ??= this.#readIndexes().catch((error: unknown) => {
      this.#indexes = null
      throw error
    })
    return this.#indexes
  }

  async #readIndexes(): Promise<SegmentIndexes> {
    const { disk, directory, indexIntervalBytes, tag } = this.#context
    const segment = { baseOffset: this.baseOffset, bytes: this.bytes, endOffset: this.endOffset }
    const [offsetBytes, timeBytes] = await Promise.all([
      readIndexFile(disk, join(directory, offsetIndexFileName(this.baseOffset))),
      readIndexFile(disk, join(directory, timeIndexFileName(this.baseOffset))),
    ])
    const offsetIndex = offsetBytes === null ? null : OffsetIndex.decode(offsetBytes, segment)
    const timeIndex = timeBytes === null ? null : TimeIndex.decode(timeBytes, segment)
    if (offsetIndex !== null && timeIndex !== null) {
      const indexes = { offsetIndex, timeIndex }
      const { bytes, maxTimestamp, maxTimestampOffset } = this
      const about = { bytes, maxTimestamp, maxTimestampOffset, indexIntervalBytes }
      // What lies behind damage need not be as the indexes have it.
      if (this.holes.length > 0 || (await this.#use((file) => reachEnd(indexes, about, file)))) return indexes
    }
    const scan = await this.#use((file) =>
      scanSegment(file, { baseOffset: this.baseOffset, endPosition: this.bytes, indexIntervalBytes, tag }),
    )
    scan.indexes.seal()
    await this.#writeIndexes(scan.indexes)
    return scan.indexes
  }

  /** Index files are derived: when they cannot be written, reading goes on without them. */
  async #writeIndexes(indexes: SegmentIndexes): Promise<void> {
    // Its names may be another segment's by now, or nobody's who would remove them.
    if (this.isRemoved) return
    const { disk, directory } = this.#context
    try {
      await writeFile(
        disk,
        join(directory, offsetIndexFileName(this.baseOffset)),
        indexes.offsetIndex.encode(),
      )
      await writeFile(disk, join(directory, timeIndexFileName(this.baseOffset)), indexes.timeIndex.encode())
    } catch {
      // The next start, or the next read after a `release`, rebuilds them.
    }
  }

  async #use<Value>(run: (file: DiskFile) => Promise<Value>): Promise<Value> {
    this.#userCount += 1
    this.#isClosing = this.isRemoved
    try {
      this.#file ??= this.#context.disk.open(this.path, 'read').catch((error: unknown) => {
        this.#file = null
        throw storageFailure('Opening the segment', this.path, error)
      })
      return await run(await this.#file)
    } finally {
      this.#userCount -= 1
      if (this.#isClosing) await this.#closeIfIdle()
    }
  }

  async #closeIfIdle(): Promise<void> {
    if (this.#userCount > 0 || this.#file === null) return
    const file = this.#file
    this.#file = null
    this.#isClosing = false
    // What is durable was synced before: a close that fails says nothing about the bytes.
    await file.then((open) => open.close()).catch(() => {})
  }
}

interface WalkStart {
  readonly position: number
  readonly expectedOffset: number
}

const EMPTY = Buffer.alloc(0)
/** An index has at most one entry per batch. */
const INDEX_FILE_BYTES_MAX = (SEGMENT_BYTES_MAX / RECORD_BATCH_HEADER_BYTES) * 12

/** The scan's holes, and one more when the whole batches end before the segment does. */
export function holesUpTo(
  scan: { endPosition: number; endOffset: Offset; holes: readonly ScannedHole[] },
  bytes: number,
  endOffset: Offset,
): readonly ScannedHole[] {
  if (scan.endOffset >= endOffset && scan.endPosition >= bytes) return scan.holes
  const tail = {
    position: scan.endPosition,
    bytes: Math.max(bytes - scan.endPosition, 0),
    fromOffset: scan.endOffset,
    toOffset: endOffset,
  }
  return [...scan.holes, tail]
}

async function readIndexFile(disk: Disk, path: string): Promise<Buffer | null> {
  try {
    return await readWholeFile(disk, path, INDEX_FILE_BYTES_MAX)
  } catch (error) {
    // Unreadable or absurdly large: as good as missing, since it can be rebuilt.
    if (error instanceof StorageError) return null
    throw error
  }
}

async function writeFile(disk: Disk, path: string, bytes: Buffer): Promise<void> {
  const file = await createAnew(disk, path)
  try {
    await file.write(bytes, 0)
  } finally {
    await file.close()
  }
}
