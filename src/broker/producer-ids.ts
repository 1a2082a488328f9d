/**
 * Hands out producer ids that never repeat in a data directory, whatever crashes. Ids are taken in blocks: the file
 * `producer-ids.snapshot` holds the first id of the next block (eight bytes, big-endian) and is durable before any id of
 * the present block is given; a crash wastes at most one block.
 */

import { join } from 'node:path'
import type { Disk } from '../core/disk.ts'
import { readSnapshot, writeSnapshot } from '../storage/snapshot-file.ts'

/** Kafka's block size. */
const BLOCK_IDS = 1000

export class ProducerIds {
  readonly #disk: Disk
  readonly #path: string
  #next = 0
  #blockEnd = 0
  #reserving: Promise<void> | null = null

  private constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.#path = path
  }

  static async open(options: { readonly disk: Disk; readonly directory: string }): Promise<ProducerIds> {
    const path = join(options.directory, 'producer-ids.snapshot')
    const ids = new ProducerIds(options.disk, path)
    const bytes = await readSnapshot(options.disk, path)
    if (bytes !== null) ids.#next = Number(bytes.readBigInt64BE(0))
    ids.#blockEnd = ids.#next
    return ids
  }

  /** An id that was never given before. Rejects when the disk refuses. */
  async take(): Promise<number> {
    while (this.#next === this.#blockEnd) {
      this.#reserving ??= this.#reserve().finally(() => {
        this.#reserving = null
      })
      await this.#reserving
    }
    const id = this.#next
    this.#next += 1
    return id
  }

  async #reserve(): Promise<void> {
    const end = this.#blockEnd + BLOCK_IDS
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(BigInt(end), 0)
    await writeSnapshot(this.#disk, this.#path, bytes)
    this.#blockEnd = end
  }
}
