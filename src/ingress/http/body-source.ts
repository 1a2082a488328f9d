/**
 * Reads a request body piece by piece and holds the client to its pace: the time spent waiting for the client counts,
 * the time we chose not to read (admission) does not.
 */

import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../core/clock.ts'
import type { HttpLimits } from './http-limits.ts'
import { ClientGone, HttpRefusal } from './http-refusal.ts'

export class BodySource {
  readonly #request: IncomingMessage
  readonly #clock: Clock
  readonly #limits: HttpLimits
  #bytesRead = 0
  #waitedMs = 0
  #ended = false
  #gone = false
  #wake: (() => void) | null = null

  constructor(request: IncomingMessage, options: { readonly clock: Clock; readonly limits: HttpLimits }) {
    this.#request = request
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
        return piece
      }
      if (this.#request.readableEnded) return null
      if (this.#gone || this.#request.destroyed) throw new ClientGone()
      await this.#waitForClient()
    }
  }

  async #waitForClient(): Promise<void> {
    const { bodyMsMax, bodyBytesPerSecondMin, bodyRateGraceMs } = this.#limits
    const paceMs = bodyRateGraceMs + (1000 * this.#bytesRead) / bodyBytesPerSecondMin
    const allowedMs = Math.min(bodyMsMax, paceMs) - this.#waitedMs
    if (allowedMs <= 0) throw this.#tooSlow()
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
    if (late && !this.#ended && this.#request.readableLength === 0) throw this.#tooSlow()
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
