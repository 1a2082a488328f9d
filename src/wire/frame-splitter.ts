/**
 * Cuts a byte stream into frames. It holds at most one unfinished frame, never allocates on the word of a length field
 * (memory grows with the bytes that have come, doubling, up to the declared size), and refuses a bad size as soon as its
 * four bytes are there. A frame that lies within one chunk is a view of that chunk.
 */

import { FRAME_SIZE_BYTES } from './frame.ts'
import { WireError } from './wire-error.ts'

export interface FrameSplitterOptions {
  /** Largest frame, without its size field. */
  readonly frameBytesMax: number
}

const NOTHING = Buffer.alloc(0)
const BUFFER_BYTES_MIN = 4096

export class FrameSplitter {
  private readonly frameBytesMax: number
  /** The first bytes of a size field that a chunk cut through. */
  private readonly sizeBytes = Buffer.alloc(FRAME_SIZE_BYTES)
  private sizeBytesHeld = 0
  private declaredBytes = -1
  private held: Buffer = NOTHING
  private heldBytes = 0
  private failure: WireError | undefined

  constructor({ frameBytesMax }: FrameSplitterOptions) {
    this.frameBytesMax = frameBytesMax
  }

  /** Declared size of the frame that has begun but is not complete; 0 when none has, or its size is not known yet. */
  get pendingFrameBytes(): number {
    return Math.max(this.declaredBytes, 0)
  }

  /** Bytes of the unfinished frame that have come so far, without its size field. */
  get receivedFrameBytes(): number {
    return this.heldBytes
  }

  /** True when part of a frame, or of its size field, is held: the stream must not end here. */
  get isMidFrame(): boolean {
    return this.declaredBytes >= 0 || this.sizeBytesHeld > 0
  }

  /**
   * Takes the next bytes of the stream and gives the frames they complete, in order, without their sizes. Throws
   * `GS_WIRE_MALFORMED` with facts `{size, frameBytesMax, hint?}` on a size below 0 or above the maximum, before
   * allocating, and again on every later call: the stream's positions are lost. Frames before the bad size in the same
   * chunk are not given either.
   */
  feed(chunk: Buffer): Buffer[] {
    if (this.failure !== undefined) throw this.failure
    const frames: Buffer[] = []
    let at = 0
    while (at < chunk.length || this.declaredBytes === 0) {
      if (this.declaredBytes < 0) {
        at = this.takeSize(chunk, at)
        continue
      }
      const missing = this.declaredBytes - this.heldBytes
      const available = chunk.length - at
      if (available < missing) {
        this.hold(chunk, at)
        break
      }
      frames.push(this.complete(chunk, at, missing))
      at += missing
    }
    return frames
  }

  private takeSize(chunk: Buffer, at: number): number {
    if (this.sizeBytesHeld === 0 && chunk.length - at >= FRAME_SIZE_BYTES) {
      this.begin(chunk.readInt32BE(at), chunk, at)
      return at + FRAME_SIZE_BYTES
    }
    const taken = Math.min(FRAME_SIZE_BYTES - this.sizeBytesHeld, chunk.length - at)
    chunk.copy(this.sizeBytes, this.sizeBytesHeld, at, at + taken)
    this.sizeBytesHeld += taken
    if (this.sizeBytesHeld === FRAME_SIZE_BYTES) {
      this.sizeBytesHeld = 0
      this.begin(this.sizeBytes.readInt32BE(0), this.sizeBytes, 0)
    }
    return at + taken
  }

  private begin(size: number, bytes: Buffer, at: number): void {
    if (size < 0 || size > this.frameBytesMax) {
      const hint = guessProtocol(bytes, at)
      this.failure = new WireError(
        'GS_WIRE_MALFORMED',
        `expected a frame size from 0 to ${this.frameBytesMax} bytes, found ${size}${hint === undefined ? '' : ` (${hint})`}`,
        { size, frameBytesMax: this.frameBytesMax, ...(hint === undefined ? {} : { hint }) },
      )
      this.held = NOTHING
      throw this.failure
    }
    this.declaredBytes = size
  }

  /** Keeps the rest of a chunk: the buffer is at most twice what has come, and never more than the declared size. */
  private hold(chunk: Buffer, at: number): void {
    const needed = this.heldBytes + chunk.length - at
    if (needed > this.held.length) {
      const larger = Buffer.allocUnsafeSlow(
        Math.min(this.declaredBytes, Math.max(needed, this.held.length * 2, BUFFER_BYTES_MIN)),
      )
      this.held.copy(larger, 0, 0, this.heldBytes)
      this.held = larger
    }
    chunk.copy(this.held, this.heldBytes, at)
    this.heldBytes = needed
  }

  private complete(chunk: Buffer, at: number, missing: number): Buffer {
    let frame: Buffer
    if (this.heldBytes === 0) {
      frame = chunk.subarray(at, at + missing)
    } else {
      if (this.held.length < this.declaredBytes) {
        const whole = Buffer.allocUnsafeSlow(this.declaredBytes)
        this.held.copy(whole, 0, 0, this.heldBytes)
        this.held = whole
      }
      chunk.copy(this.held, this.heldBytes, at, at + missing)
      frame = this.held
    }
    this.held = NOTHING
    this.heldBytes = 0
    this.declaredBytes = -1
    return frame
  }
}

/** What a peer that does not speak Kafka may be speaking, told from the four bytes where a size should be. */
function guessProtocol(bytes: Buffer, at: number): string | undefined {
  const text = bytes.toString('latin1', at, at + FRAME_SIZE_BYTES)
  if (/^(GET |POST|PUT |HEAD|DELE|OPTI|PATC|CONN|TRAC|PRI |HTTP)$/.test(text)) return 'looks like HTTP'
  if (bytes[at] === 0x16 && bytes[at + 1] === 0x03) return 'looks like TLS'
  if (text === 'SSH-') return 'looks like SSH'
  return undefined
}
