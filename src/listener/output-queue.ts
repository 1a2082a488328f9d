/**
 * The reply bytes waiting for one client. Bytes are given to the socket one slice at a time, so that progress is
 * seen slice by slice: a client that still reads slowly is told apart from one that does not read at all.
 */

import type { Socket } from 'node:net'
import { Fifo } from './fifo.ts'

/** One write call's worth. A client must take this much within the stall limit, so 1 MiB means 35 KB/s at 30 s. */
const SLICE_BYTES = 1024 * 1024

export class OutputQueue {
  readonly #socket: Socket
  readonly #onProgress: () => void
  readonly #pending = new Fifo<Buffer>()
  /** Bytes of the oldest pending buffer that went out with an earlier slice. */
  #headTaken = 0
  #bytes = 0
  #writing = false

  /** `onProgress` runs whenever the operating system has taken a slice. */
  constructor(socket: Socket, onProgress: () => void) {
    this.#socket = socket
    this.#onProgress = onProgress
  }

  /** Bytes that the operating system has not taken yet. */
  get bytes(): number {
    return this.#bytes
  }

  /** Queues a reply. The buffers must not change until they have been written. */
  push(buffers: readonly Buffer[]): void {
    for (const buffer of buffers) {
      if (buffer.length === 0) continue
      this.#bytes += buffer.length
      this.#pending.push(buffer)
    }
  }

  /** Starts writing what is queued, unless a write is under way: its end starts the next. */
  flush(): void {
    if (this.#writing || this.#pending.length === 0 || this.#socket.destroyed) return
    this.#writing = true
    const socket = this.#socket
    let sliceBytes = 0
    let part = this.#takePart(SLICE_BYTES)
    socket.cork()
    while (part !== undefined) {
      sliceBytes += part.length
      const next = sliceBytes < SLICE_BYTES ? this.#takePart(SLICE_BYTES - sliceBytes) : undefined
      if (next !== undefined) socket.write(part)
      else socket.write(part, (error) => this.#onWritten(sliceBytes, error))
      part = next
    }
    socket.uncork()
  }

  #onWritten(bytes: number, error?: Error | null): void {
    this.#writing = false
    this.#bytes -= bytes
    if (error) return
    this.#onProgress()
    this.flush()
  }

  /** The next pending bytes, at most `bytesMax` of them, as a view. */
  #takePart(bytesMax: number): Buffer | undefined {
    const head = this.#pending.peek()
    if (head === undefined) return undefined
    const left = head.length - this.#headTaken
    if (left <= bytesMax) {
      this.#pending.shift()
      const part = this.#headTaken === 0 ? head : head.subarray(this.#headTaken)
      this.#headTaken = 0
      return part
    }
    const part = head.subarray(this.#headTaken, this.#headTaken + bytesMax)
    this.#headTaken += bytesMax
    return part
  }
}
