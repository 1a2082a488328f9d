/**
 * One client's connection: bytes in, frames out of them, requests started in order, replies written in order.
 *
 * It owns the socket and every bound on it. Reading stops (so that the TCP window closes) while the in-flight limit is
 * reached, while admission has no room, or while half the write queue is full: that is how a slow disk or a slow
 * reader slows its own producer, and nobody else. What cannot be a Kafka request closes the connection without an
 * answer, as Kafka does. What requests mean is the handler's business.
 */

import type { Socket } from 'node:net'
import type { Clock } from '../core/clock.ts'
import { GopherShipError, isFailure } from '../core/errors.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import { decodeRequestHeader } from '../wire/frame.ts'
import { FrameSplitter } from '../wire/frame-splitter.ts'
import { ARRIVAL_FREE_BYTES } from './admission.ts'
import { Fifo } from './fifo.ts'
import { reasonForFrameSize } from './frame-size-reason.ts'
import type {
  ListenerAdmission,
  ListenerConnection,
  ListenerHandler,
  ListenerLease,
  ListenerLimits,
  ListenerReply,
  OnRejected,
  RejectionFacts,
  RejectionReason,
} from './listener-types.ts'
import { OutputQueue } from './output-queue.ts'

/** A client id is printed and kept with the connection, so it is cut. Kafka sets no limit of its own. */
const CLIENT_ID_CHARS_MAX = 256

/** A request between its start and the hand-over of its reply; the order of these is the order of replies. */
interface ReplySlot {
  done: boolean
  reply: ListenerReply
  replyBytes: number
  /** What admission holds for this request, until its reply is handed over. */
  admittedBytes: number
}

interface WaitingFrame {
  readonly frame: Buffer
  /** True when admission already counts it, since it arrived. */
  readonly admitted: boolean
}

export interface KafkaConnectionOptions {
  readonly id: number
  readonly socket: Socket
  readonly clock: Clock
  readonly limits: ListenerLimits
  readonly admission: ListenerAdmission | undefined
  readonly handler: ListenerHandler
  readonly diagnostics: Diagnostics
  readonly onRejected: OnRejected
  /** Runs once, when the socket is gone. */
  readonly onGone: (connection: KafkaConnection) => void
}

export class KafkaConnection implements ListenerConnection {
  readonly id: number
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  clientId: string | null = null
  softwareName = ''
  softwareVersion = ''
  state: unknown = undefined

  readonly #options: KafkaConnectionOptions
  readonly #socket: Socket
  readonly #splitter: FrameSplitter
  readonly #output: OutputQueue
  readonly #waiting = new Fifo<WaitingFrame>()
  readonly #slots = new Fifo<ReplySlot>()
  readonly #closeListeners = new Set<() => void>()
  #closed = false
  /** The client has sent its last byte (FIN); what it asked for is still answered. */
  #inputEnded = false
  /** We have stopped listening to new requests: the listener is closing. */
  #draining = false
  #readingPaused = true
  #started = false
  #flushScheduled = false
  /** Bytes of replies that are ready and wait for an earlier one, or for the end of this turn of the loop. */
  #readyBytes = 0
  #waitsForAdmission = false
  /** What admission holds of the frame that is being received, once it is large enough to be asked about. */
  #arriving: ListenerLease | null = null
  /** When that frame's bytes last led to a growth of its lease. */
  #arrivedSinceMs = 0
  /** Bytes received that belong to no complete frame yet. */
  #partialBytes = 0
  #partialSinceMs = 0
  #lastActivityMs: number
  #lastWriteProgressMs: number

  constructor(options: KafkaConnectionOptions) {
    this.#options = options
    this.id = options.id
    this.#socket = options.socket
    this.remoteAddress = withoutMapping(options.socket.remoteAddress ?? '')
    this.remotePort = options.socket.remotePort ?? 0
    this.localAddress = withoutMapping(options.socket.localAddress ?? '')
    this.#splitter = new FrameSplitter({ frameBytesMax: options.limits.frameBytesMax })
    this.#lastActivityMs = options.clock.monotonicMs()
    this.#lastWriteProgressMs = this.#lastActivityMs
    this.#output = new OutputQueue(options.socket, () => this.#onWriteProgress())
    this.#socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    this.#socket.pause()
    this.#socket.on('end', () => this.#onInputEnd())
    this.#socket.on('error', () => this.#socket.destroy())
    this.#socket.on('close', () => this.#onGone())
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Requests started whose reply has not been handed over, and frames waiting to be started. */
  get inFlightCount(): number {
    return this.#slots.length + this.#waiting.length
  }

  /** Begins to read. The listener may delay this to spread new connections over time. */
  start(): void {
    this.#started = true
    this.#lastActivityMs = this.#options.clock.monotonicMs()
    this.#updateReading()
  }

  /** Takes no further request; what was started is answered, then the connection ends by itself. */
  drain(): void {
    this.#draining = true
    for (const waiting of this.#waiting.drain()) if (waiting.admitted) this.#release(waiting.frame.length)
    this.#arriving?.close()
    this.#arriving = null
    this.#updateReading()
    this.#endWhenIdle()
  }

  close(reason: RejectionReason, facts: RejectionFacts = {}): void {
    if (this.#closed) return
    this.#options.onRejected(reason, {
      connection: this.id,
      remoteAddress: this.remoteAddress,
      remotePort: this.remotePort,
      clientId: this.clientId,
      ...facts,
    })
    this.destroy()
  }

  /** Drops the connection without counting a rejection. */
  destroy(): void {
    this.#socket.destroy()
    this.#onGone()
  }

  onClose(listener: () => void): () => void {
    if (this.#closed) {
      listener()
      return () => {}
    }
    this.#closeListeners.add(listener)
    return () => this.#closeListeners.delete(listener)
  }

  /** Closes what has overstayed its limits. The listener calls this for every connection, about once a second. */
  checkDeadlines(nowMs: number): void {
    if (this.#closed || !this.#started) return
    const limits = this.#options.limits
    if (this.#output.bytes > 0) {
      if (nowMs - this.#lastWriteProgressMs >= limits.writeStallMsMax) {
        this.close('write-stalled', { queuedBytes: this.#output.bytes, limitMs: limits.writeStallMsMax })
      }
      return
    }
    if (this.inFlightCount > 0 || this.#readingPaused) return
    if (this.#partialBytes > 0) {
      if (nowMs - this.#partialSinceMs >= limits.frameMsMax) {
        this.close('frame-slow', { receivedBytes: this.#partialBytes, limitMs: limits.frameMsMax })
      } else if (this.#isInTheWay(nowMs)) {
        const { blockingFrameMsMax: limitMs } = limits
        this.close('frame-slow', { receivedBytes: this.#partialBytes, limitMs, othersWait: true })
      }
      return
    }
    if (nowMs - this.#lastActivityMs >= limits.idleMsMax) this.close('idle', { limitMs: limits.idleMsMax })
  }

  #onData(chunk: Buffer): void {
    if (this.#closed || this.#draining) return
    const nowMs = this.#options.clock.monotonicMs()
    this.#lastActivityMs = nowMs
    let frames: readonly Buffer[]
    try {
      frames = this.#splitter.feed(chunk)
    } catch (error) {
      this.#closeForFrame(error)
      return
    }
    if (this.#partialBytes === 0 || frames.length > 0) this.#partialSinceMs = nowMs
    this.#partialBytes += chunk.length
    for (const frame of frames) {
      this.#partialBytes -= frame.length + 4
      this.#waiting.push({ frame, admitted: this.#settleArrived(frame.length) })
    }
    this.#startWaiting()
    this.#admitArriving()
    this.#updateReading()
  }

  /** Asks admission for the bytes that have come of an unfinished frame. What it declares to be is not asked for. */
  #admitArriving(): void {
    const { admission, clock } = this.#options
    const arrivedBytes = this.#splitter.receivedFrameBytes
    if (admission === undefined || arrivedBytes <= ARRIVAL_FREE_BYTES) return
    if (this.#waitsForAdmission || this.#waiting.length > 0 || this.#closed || this.#draining) return
    if (this.#arriving === null) this.#arriving = admission.lease(this.#splitter.pendingFrameBytes)
    const heldBytes = this.#arriving.bytes
    const granted = this.#arriving.cover(arrivedBytes, this.#splitter.pendingFrameBytes)
    if (granted !== true) this.#waitForAdmission(granted, { onGranted: () => {}, onTooLate: () => {} })
    else if (this.#arriving.bytes > heldBytes) this.#arrivedSinceMs = clock.monotonicMs()
  }

  /** A frame is whole: what was held while it arrived is now held for its request. False when nothing was. */
  #settleArrived(frameBytes: number): boolean {
    if (this.#arriving === null) return false
    this.#arriving.settle(frameBytes)
    this.#arriving = null
    return true
  }

  /** Others wait for the memory that this frame holds, and it brings nothing, or next to nothing. */
  #isInTheWay(nowMs: number): boolean {
    if (this.#arriving?.blocksOthers !== true) return false
    return nowMs - this.#arrivedSinceMs >= this.#options.limits.blockingFrameMsMax
  }

  /** `onTooLate` runs instead of `onGranted` when there is nobody left to use what was granted. */
  #waitForAdmission(
    granted: Promise<void>,
    { onGranted, onTooLate }: { readonly onGranted: () => void; readonly onTooLate: () => void },
  ): void {
    this.#waitsForAdmission = true
    granted.then(
      () => {
        this.#waitsForAdmission = false
        if (this.#closed || this.#draining) {
          onTooLate()
          this.#endWhenIdle()
          return
        }
        onGranted()
        this.#startWaiting()
        this.#admitArriving()
        this.#updateReading()
      },
      (error: unknown) => this.#closeForHandler(error),
    )
  }

  /** Starts requests in the order they came, as far as the limits allow. */
  #startWaiting(): void {
    const { limits, admission } = this.#options
    while (!this.#closed && !this.#waitsForAdmission) {
      const next = this.#waiting.peek()
      if (next === undefined) return
      if (this.#slots.length >= limits.inFlightRequestsMax) return
      if (this.#isBehindWithReplies()) return
      this.#waiting.shift()
      const bytes = next.frame.length
      const granted = next.admitted || admission === undefined ? true : admission.reserve(bytes)
      if (granted !== true) {
        this.#waitForAdmission(granted, {
          onGranted: () => this.#startRequest(next.frame),
          onTooLate: () => this.#release(bytes),
        })
        return
      }
      this.#startRequest(next.frame)
    }
  }

  #startRequest(frame: Buffer): void {
    const slot: ReplySlot = { done: false, reply: null, replyBytes: 0, admittedBytes: frame.length }
    this.#slots.push(slot)
    let result: ListenerReply | Promise<ListenerReply>
    try {
      const header = decodeRequestHeader(frame)
      if (header.clientId !== this.clientId) this.clientId = cutClientId(header.clientId)
      if (!this.#options.handler.accepts(header.apiKey, header.apiVersion)) {
        this.#finish(slot, null)
        this.close('api-not-offered', { apiKey: header.apiKey, apiVersion: header.apiVersion })
        return
      }
      result = this.#options.handler.handle({ header, frame, bodyStart: header.bodyStart, connection: this })
    } catch (error) {
      this.#finish(slot, null)
      this.#closeForHandler(error)
      return
    }
    if (result instanceof Promise) {
      result.then(
        (reply) => this.#finish(slot, reply),
        (error: unknown) => {
          this.#finish(slot, null)
          this.#closeForHandler(error)
        },
      )
    } else {
      this.#finish(slot, result)
    }
  }

  #finish(slot: ReplySlot, reply: ListenerReply): void {
    slot.done = true
    slot.reply = reply
    if (this.#closed) {
      this.#releaseSlot(slot)
      return
    }
    if (reply !== null) {
      for (const buffer of reply) slot.replyBytes += buffer.length
      this.#readyBytes += slot.replyBytes
    }
    if (this.#flushScheduled || this.#slots.peek()?.done !== true) return
    // Replies that become ready in the same turn of the loop, as after a shared group commit, share one write.
    this.#flushScheduled = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#flushScheduled = false
    if (this.#closed) return
    const { writeQueueBytesMax } = this.#options.limits
    if (this.#output.bytes === 0) this.#lastWriteProgressMs = this.#options.clock.monotonicMs()
    while (this.#slots.peek()?.done === true) {
      const slot = this.#slots.shift() as ReplySlot
      const reply = slot.reply
      this.#readyBytes -= slot.replyBytes
      this.#releaseSlot(slot)
      if (reply === null) continue
      if (this.#output.bytes > writeQueueBytesMax) {
        this.close('write-queue-full', { queuedBytes: this.#output.bytes, limitBytes: writeQueueBytesMax })
        return
      }
      this.#output.push(reply)
    }
    this.#output.flush()
    this.#startWaiting()
    this.#admitArriving()
    this.#updateReading()
    this.#endWhenIdle()
  }

  #onWriteProgress(): void {
    if (this.#closed) return
    const nowMs = this.#options.clock.monotonicMs()
    this.#lastWriteProgressMs = nowMs
    this.#lastActivityMs = nowMs
    this.#startWaiting()
    this.#updateReading()
    this.#endWhenIdle()
  }

  #updateReading(): void {
    if (this.#closed || !this.#started) return
    const { limits } = this.#options
    const pause =
      this.#draining ||
      this.#waitsForAdmission ||
      this.#waiting.length > 0 ||
      this.#slots.length >= limits.inFlightRequestsMax ||
      this.#isBehindWithReplies()
    if (pause === this.#readingPaused) return
    this.#readingPaused = pause
    if (pause) {
      this.#socket.pause()
    } else {
      // The time we did not read is ours, not the client's.
      this.#partialSinceMs = this.#options.clock.monotonicMs()
      this.#arrivedSinceMs = this.#partialSinceMs
      this.#socket.resume()
    }
  }

  /** Half the write queue is used: the client must take some replies before more are made. */
  #isBehindWithReplies(): boolean {
    return (this.#output.bytes + this.#readyBytes) * 2 > this.#options.limits.writeQueueBytesMax
  }

  #onInputEnd(): void {
    this.#inputEnded = true
    this.#endWhenIdle()
  }

  /** After the client's FIN, or while draining: ends once every started request is answered and written. */
  #endWhenIdle(): void {
    if (this.#closed || (!this.#inputEnded && !this.#draining)) return
    if (this.inFlightCount > 0 || this.#output.bytes > 0) return
    // While draining, what waits for admission will not be started any more.
    if (this.#waitsForAdmission && !this.#draining) return
    this.#socket.end()
    if (this.#draining) this.#socket.destroySoon()
  }

  #onGone(): void {
    if (this.#closed) return
    this.#closed = true
    this.#arriving?.close()
    this.#arriving = null
    for (const waiting of this.#waiting.drain()) if (waiting.admitted) this.#release(waiting.frame.length)
    // A request whose handler still runs keeps its bytes admitted until the handler is done with them.
    for (const slot of this.#slots.drain()) if (slot.done) this.#releaseSlot(slot)
    for (const listener of this.#closeListeners) listener()
    this.#closeListeners.clear()
    this.#options.onGone(this)
  }

  #releaseSlot(slot: ReplySlot): void {
    this.#release(slot.admittedBytes)
    slot.admittedBytes = 0
    slot.reply = null
  }

  #release(bytes: number): void {
    if (bytes > 0) this.#options.admission?.release(bytes)
  }

  #closeForFrame(error: unknown): void {
    if (!(error instanceof GopherShipError)) {
      this.#closeForHandler(error)
      return
    }
    const { reason, hint } = reasonForFrameSize(Number(error.facts['size'] ?? 0))
    this.close(reason, { ...error.facts, hint })
  }

  #closeForHandler(error: unknown): void {
    if (isFailure(error, 'GS_WIRE_UNSUPPORTED_VERSION')) {
      this.close('api-not-offered', { ...error.facts })
      return
    }
    if (isFailure(error, 'GS_WIRE_MALFORMED')) {
      this.close('request-malformed', { found: error.message })
      return
    }
    this.#options.diagnostics.error(
      { err: error, connection: this.id, clientId: this.clientId },
      'a request failed unexpectedly; its connection is closed',
    )
    this.close('handler-failed')
  }
}

function cutClientId(clientId: string | null): string | null {
  if (clientId === null || clientId.length <= CLIENT_ID_CHARS_MAX) return clientId
  return clientId.slice(0, CLIENT_ID_CHARS_MAX)
}

/** An IPv4 client of a dual-stack socket, written as IPv4. */
function withoutMapping(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
