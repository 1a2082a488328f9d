/**
 * Reads a request body piece by piece and holds the client to its pace: the time spent waiting for the client counts,
 * the time we chose not to read (admission) does not. A body that holds memory which others wait for is held to a
 * stricter pace, or a few clients that stop in the middle could stop all the others.
 */

import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../core/clock.ts'
import { ARRIVAL_STEP_BYTES } from '../../listener/admission.ts'
import type { HttpLimits } from './http-limits.ts'
import { ClientGone, HttpRefusal } from './http-refusal.ts'

export interface BodySourceOptions {
  readonly clock: Clock
  readonly limits: HttpLimits
  /** Asked now and then while the client is slow: whether others wait for the memory that its body holds. */
  readonly isInTheWay: () => boolean
}

export class BodySource {
  readonly #request: IncomingMessage
  readonly #clock: Clock
  readonly #limits: HttpLimits
  #bytesRead = 0
  #waitedMs = 0
  readonly #isInTheWay: () => boolean
  /** `#bytesRead` and `#waitedMs` when the last whole step of bytes had come. */
  #stepBytesRead = 0
  #stepWaitedMs = 0
  #ended = false
  #gone = false
  #wake: (() => void) | null = null

  constructor(request: IncomingMessage, options: BodySourceOptions) {
    this.#request = request
    this.#isInTheWay = options.isInTheWay
    this.#clock = options.clock
    this.#limits = options.limits
    request.on('readable', () => this.#wake?.())
    request.on('end', () => {
      this.#ended = true
      this.#wake?.()
    })
    // 'close' comes after 'end' too; before it, the client has gone in the middle of its body.
    request.on('close', () => {
      this.#gone = true
      this.#wake?.()
    })
    request.on('error', () => {
      this.#gone = true
      this.#wake?.()
    })
  }

  /** Bytes handed out so far. */
  get bytesRead(): number {
    return this.#bytesRead
  }

  /** The next bytes, or null at the end. Rejects with `slow_request` or ClientGone. */
  async next(): Promise<Buffer | null> {
    for (;;) {
      if (this.#ended) return null
      const piece = this.#request.read() as Buffer | null
      if (piece !== null) {
        this.#bytesRead += piece.length
        if (this.#bytesRead - this.#stepBytesRead >= ARRIVAL_STEP_BYTES) this.#beginStep()
        return piece
      }
      if (this.#request.readableEnded) return null
      if (this.#gone || this.#request.destroyed) throw new ClientGone()
      await this.#waitForClient()
    }
  }

  async #waitForClient(): Promise<void> {
    const { bodyMsMax, bodyBytesPerSecondMin, bodyRateGraceMs, blockingBodyMsMax } = this.#limits
    const paceMs = bodyRateGraceMs + (1000 * this.#bytesRead) / bodyBytesPerSecondMin
    const leftMs = Math.min(bodyMsMax, paceMs) - this.#waitedMs
    if (leftMs <= 0) throw this.#tooSlow()
    if (this.#waitedMs - this.#stepWaitedMs >= blockingBodyMsMax) {
      if (this.#isInTheWay()) throw this.#tooSlow()
      this.#beginStep()
    }
    const allowedMs = Math.min(leftMs, this.#stepWaitedMs + blockingBodyMsMax - this.#waitedMs)
    const sinceMs = this.#clock.monotonicMs()
    let late = false
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      const timer = this.#clock.after(allowedMs, () => {
        late = true
        resolve()
      })
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
    this.#wake = null
    this.#waitedMs += this.#clock.monotonicMs() - sinceMs
    const isOver = late && allowedMs === leftMs
    if (isOver && !this.#ended && this.#request.readableLength === 0) throw this.#tooSlow()
  }

  #beginStep(): void {
    this.#stepBytesRead = this.#bytesRead
    this.#stepWaitedMs = this.#waitedMs
  }

  #tooSlow(): HttpRefusal {
    const { bodyMsMax, bodyBytesPerSecondMin } = this.#limits
    return new HttpRefusal(
      'slow_request',
      `the body must arrive within ${bodyMsMax} ms and at ${bodyBytesPerSecondMin} bytes a second or more; ` +
        `${this.#bytesRead} bytes came. Nothing was stored; send smaller bodies`,
      {
        facts: {
          limitMs: bodyMsMax,
          bytesPerSecondMin: bodyBytesPerSecondMin,
          bytesReceived: this.#bytesRead,
        },
      },
    )
  }
}
