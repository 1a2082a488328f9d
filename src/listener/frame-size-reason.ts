/**
 * Says what a frame size that cannot be one most likely was: the first four bytes of an HTTP request or of a TLS
 * handshake read as a size, and a hint saves the person an hour.
 */

import type { RejectionReason } from './listener-types.ts'

const HTTP_METHODS = ['GET ', 'POST', 'PUT ', 'HEAD', 'OPTI', 'DELE', 'PATC', 'CONN', 'PRI ', 'TRAC']
const HTTP_SIZES = new Set(HTTP_METHODS.map((method) => Buffer.from(method, 'latin1').readInt32BE(0)))

export interface FrameSizeReason {
  readonly reason: RejectionReason
  /** A sentence for the diagnostics, or null when there is nothing to add. */
  readonly hint: string | null
}

/** Why a frame of this declared size was refused. */
export function reasonForFrameSize(size: number): FrameSizeReason {
  if (HTTP_SIZES.has(size)) {
    return {
      reason: 'http-on-kafka-port',
      hint: 'this looks like an HTTP request: this port speaks the Kafka protocol',
    }
  }
  // A TLS record: handshake (0x16), version 3.x.
  if (size >>> 16 === 0x1603) {
    return {
      reason: 'tls-on-plaintext-port',
      hint: 'this looks like a TLS handshake: this port speaks plaintext Kafka',
    }
  }
  if (size < 0) return { reason: 'frame-negative', hint: null }
  return { reason: 'frame-too-large', hint: null }
}
