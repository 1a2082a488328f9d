/** A moving view of a file for scans: reads ahead in large pieces, so that memory is bounded whatever the file's size. */

import type { DiskFile } from '../core/disk.ts'

const WINDOW_BYTES = 4 * 1024 * 1024

export class FileWindow {
  readonly #file: DiskFile
  readonly #end: number
  /** Bytes of the file at hand; valid until the next `load`. */
  bytes: Buffer = Buffer.alloc(0)
  /** Where in the file `bytes` starts. */
  start = 0

  /** Looks at the bytes of `file` before `end`, which may be beyond the file's own end. */
  constructor(file: DiskFile, end: number) {
    this.#file = file
    this.#end = end
  }

  /**
   * Makes `bytes` hold the `wanted` bytes from `position`, and usually more. Returns how many of them there are: fewer
   * than wanted only at the end. The caller has bounded `wanted`.
   */
  async load(position: number, wanted: number): Promise<number> {
    const present = this.start + this.bytes.length - position
    if (position >= this.start && present >= wanted) return wanted
    const readBytes = Math.min(Math.max(wanted, WINDOW_BYTES), Math.max(this.#end - position, 0))
    const buffer = Buffer.allocUnsafeSlow(readBytes)
    const got = await this.#file.read(buffer, position)
    this.bytes = buffer.subarray(0, got)
    this.start = position
    return Math.min(got, wanted)
  }
}
