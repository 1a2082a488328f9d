/**
 * Writes a replay to a file: verbatim batches, or a line of JSON for each record. Drawn in `schemas/formats/replay-file.md`.
 *
 * Beside the file, while it is not whole, lies `<file>.replay`: how far the replay came and how long the file then was. A run
 * that was cut off left at most bytes behind that length, which the next run cuts off before it goes on:
 *   1. the unit is written and synced, 2. the sidecar is replaced and synced. Killed between the two, the unit is written again
 *   over itself; killed anywhere else, nothing is lost and nothing is there twice.
 */

import { dirname } from 'node:path'
import { batchBytesAt, RECORD_BATCH_PREFIX_BYTES, recordCountAt } from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'
import type { Disk, DiskFile } from '../core/disk.ts'
import { recordLine } from './record-line.ts'
import { ReplayError } from './replay-error.ts'
import type { ReplayRange } from './replay-plan.ts'
import { checkedProgress, type ReplayProgress, type ReplayTarget, type ReplayUnit } from './replay-target.ts'

export const FILE_FORMATS = ['batches', 'ndjson'] as const
export type FileFormat = (typeof FILE_FORMATS)[number]

export interface FileTargetOptions {
  readonly disk: Disk
  readonly path: string
  readonly format: FileFormat
  /** The replay's; a sidecar of another one is refused. */
  readonly id: string
  /** The source. */
  readonly topic: string
  /** Write over what is there. */
  readonly isRestart: boolean
}

/** The sidecar's content. */
interface Sidecar {
  readonly version: 1
  readonly id: string
  readonly bytes: number
  readonly progress: readonly ReplayProgress[]
}

const MAGIC = Buffer.from('GSRP')
const FORMAT_VERSION = 1
/** Magic, version, and the length of the JSON that follows. */
const HEADER_BYTES = 12
/** Partition and the batch's own prefix, which says its length. */
const FRAME_PREFIX_BYTES = 4
const SIDECAR_BYTES_MAX = 16 * 1024 * 1024
const READ_BYTES = 1024 * 1024
const NEWLINE = 0x0a

export class FileTarget implements ReplayTarget {
  readonly name: string
  readonly #options: FileTargetOptions
  readonly #cursor = new RecordCursor()
  #file: DiskFile | null = null
  #bytes = 0
  #progress: ReplayProgress[] = []

  constructor(options: FileTargetOptions) {
    this.name = options.path
    this.#options = options
  }

  open(ranges: readonly ReplayRange[]): Promise<readonly ReplayProgress[] | null> {
    return this.#onDisk(() => this.#open(ranges))
  }

  write(unit: ReplayUnit): Promise<number> {
    return this.#onDisk(() => this.#write(unit))
  }

  /** Counts the records that the file holds, and removes the sidecar: the file is whole. */
  finish(): Promise<{ countedRecords: number }> {
    return this.#onDisk(() => this.#finish())
  }

  async stop(): Promise<void> {
    await this.#file?.close()
    this.#file = null
  }

  /** What the disk refuses is told with the name of the file that the person gave. */
  async #onDisk<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof Error && 'errno' in error) throw this.#refuse(error.message, error)
      throw error
    }
  }

  async #open(ranges: readonly ReplayRange[]): Promise<readonly ReplayProgress[] | null> {
    const { disk, path, format, topic, isRestart } = this.#options
    const sidecar = isRestart ? null : await this.#readSidecar()
    const isThere = await disk.exists(path)
    if (sidecar !== null && sidecar.bytes > 0 && isThere) {
      const file = await disk.open(path, 'read-write')
      this.#file = file
      if ((await file.size()) < sidecar.bytes) {
        throw this.#refuse(`it is shorter than the ${sidecar.bytes} bytes that an earlier run had written`)
      }
      await file.truncate(sidecar.bytes)
      this.#bytes = sidecar.bytes
      this.#progress = sidecar.progress.map((progress) => ({ ...progress }))
      return sidecar.progress
    }
    if (isThere && sidecar === null && !isRestart) {
      throw this.#refuse(
        'it exists, and no replay was cut off there; choose another name, or --restart to write over it',
      )
    }
    this.#progress = ranges.map((range) => ({
      ...range,
      position: range.from,
      takenCount: 0,
      writtenCount: 0,
    }))
    // The sidecar comes first and goes last: a file without one is whole, or somebody else's.
    await this.#writeSidecar()
    if (isThere) await disk.unlink(path)
    this.#file = await disk.open(path, 'create')
    await this.#append([format === 'batches' ? fileHeader(topic) : Buffer.alloc(0)])
    await this.#file.datasync()
    await this.#writeSidecar()
    return null
  }

  async #write({ batches, progress }: ReplayUnit): Promise<number> {
    const index = this.#progress.findIndex(({ partition }) => partition === progress.partition)
    const parts: Buffer[] = []
    let count = 0
    for (const { bytes } of batches) {
      const encoded =
        this.#options.format === 'batches'
          ? frameOf(progress.partition, bytes)
          : this.#linesOf(progress.partition, bytes)
      parts.push(...encoded.parts)
      count += encoded.recordCount
    }
    if (parts.length > 0) {
      await this.#append(parts)
      await this.#file?.datasync()
    }
    const writtenCount = (this.#progress[index]?.writtenCount ?? 0) + count
    this.#progress[index] = { ...progress, writtenCount }
    await this.#writeSidecar()
    return count
  }

  async #finish(): Promise<{ countedRecords: number }> {
    const { disk, path, format } = this.#options
    const countedRecords = format === 'batches' ? await this.#countBatches() : await this.#countLines()
    await disk.unlink(sidecarOf(path))
    await disk.syncDirectory(dirname(path))
    return { countedRecords }
  }

  #linesOf(partition: number, batch: Buffer): { parts: Buffer[]; recordCount: number } {
    const cursor = this.#cursor
    const lines: string[] = []
    cursor.open(batch, 0)
    while (cursor.next()) lines.push(recordLine(cursor, this.#options.topic, partition))
    cursor.close()
    return { parts: [Buffer.from(lines.join(''))], recordCount: lines.length }
  }

  async #append(parts: readonly Buffer[]): Promise<void> {
    await this.#file?.writev(parts, this.#bytes)
    this.#bytes += parts.reduce((sum, part) => sum + part.length, 0)
  }

  async #writeSidecar(): Promise<void> {
    const { disk, path, id } = this.#options
    const sidecar: Sidecar = { version: 1, id, bytes: this.#bytes, progress: this.#progress }
    const target = sidecarOf(path)
    const temporary = `${target}.tmp`
    if (await disk.exists(temporary)) await disk.unlink(temporary)
    const file = await disk.open(temporary, 'create')
    try {
      await file.write(Buffer.from(JSON.stringify(sidecar)), 0)
      await file.datasync()
    } finally {
      await file.close()
    }
    await disk.rename(temporary, target)
    await disk.syncDirectory(dirname(target))
  }

  async #readSidecar(): Promise<Sidecar | null> {
    const { disk, path, id } = this.#options
    const target = sidecarOf(path)
    const entry = await disk.stat(target)
    if (entry === null) return null
    const refuse = (why: string) => this.#refuse(`${target} ${why}; --restart begins anew`)
    if (entry.kind !== 'file' || entry.bytes > SIDECAR_BYTES_MAX) throw refuse('is no sidecar of a replay')
    const file = await disk.open(target, 'read')
    const bytes = Buffer.alloc(entry.bytes)
    try {
      await file.read(bytes, 0)
    } finally {
      await file.close()
    }
    let found: Partial<Sidecar>
    try {
      found = JSON.parse(bytes.toString('utf8')) as Partial<Sidecar>
    } catch {
      throw refuse('cannot be read')
    }
    const { version, progress, bytes: length } = found
    if (version !== 1 || !Array.isArray(progress) || !Number.isSafeInteger(length))
      throw refuse('cannot be read')
    if (found.id !== id) throw refuse('belongs to a replay with other arguments')
    return {
      version,
      id,
      bytes: length as number,
      progress: checkedProgress(progress as ReplayProgress[], target),
    }
  }

  async #countBatches(): Promise<number> {
    const file = this.#file as DiskFile
    const head = Buffer.alloc(HEADER_BYTES)
    await file.read(head, 0)
    let at = HEADER_BYTES + head.readUInt32BE(8)
    let count = 0
    const batchHead = Buffer.alloc(FRAME_PREFIX_BYTES + 61)
    while (at < this.#bytes) {
      if ((await file.read(batchHead, at)) < batchHead.length) break
      count += recordCountAt(batchHead, FRAME_PREFIX_BYTES)
      at +=
        FRAME_PREFIX_BYTES + Math.max(RECORD_BATCH_PREFIX_BYTES, batchBytesAt(batchHead, FRAME_PREFIX_BYTES))
    }
    return count
  }

  async #countLines(): Promise<number> {
    const file = this.#file as DiskFile
    const block = Buffer.alloc(READ_BYTES)
    let count = 0
    for (let at = 0; at < this.#bytes; ) {
      const read = await file.read(block, at)
      if (read === 0) break
      for (
        let index = block.indexOf(NEWLINE);
        index >= 0 && index < read;
        index = block.indexOf(NEWLINE, index + 1)
      )
        count += 1
      at += read
    }
    return count
  }

  #refuse(why: string, cause?: Error): ReplayError {
    const { path } = this.#options
    return new ReplayError('GS_REPLAY_TARGET', `cannot write to ${path}: ${why}`, { cause, facts: { path } })
  }
}

/** The header of a file of batches. It says nothing of when it was made, so that the same replay gives the same bytes. */
function fileHeader(topic: string): Buffer {
  const json = Buffer.from(JSON.stringify({ topic }))
  const header = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(header, 0)
  header.writeUInt32BE(FORMAT_VERSION, 4)
  header.writeUInt32BE(json.length, 8)
  return Buffer.concat([header, json])
}

function frameOf(partition: number, batch: Buffer): { parts: Buffer[]; recordCount: number } {
  const prefix = Buffer.alloc(FRAME_PREFIX_BYTES)
  prefix.writeUInt32BE(partition, 0)
  return { parts: [prefix, batch], recordCount: recordCountAt(batch, 0) }
}

const sidecarOf = (path: string) => `${path}.replay`
