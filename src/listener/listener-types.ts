/**
 * What a Kafka-protocol listener is told (limits, admission, handler) and what it says back (rejections).
 * Shared by the embedded broker and the Kafka ingress, which differ only in their handler.
 */

import type { RequestHeader } from '../wire/frame.ts'

/** Every maximum of a listener. What happens at each is written beside it. */
export interface ListenerLimits {
  /** A frame that declares more is refused before anything is allocated for it: the connection is closed. */
  readonly frameBytesMax: number
  /** Connections open at once, over all addresses. One more gets a TCP reset. */
  readonly connectionsMax: number
  /** Connections open at once from one address. One more gets a TCP reset. */
  readonly connectionsPerAddressMax: number
  /** New connections a second, with one second of burst. Later ones are accepted but not read until their turn. */
  readonly acceptsPerSecondMax: number
  /** A connection with nothing under way is closed after this long without a byte (Kafka: ten minutes). */
  readonly idleMsMax: number
  /** A frame must be complete this long after its first byte, not counting the time we chose not to read. */
  readonly frameMsMax: number
  /** While others wait for the memory that it holds, a large frame must bring a step of bytes in this time. */
  readonly blockingFrameMsMax: number
  /** Requests of one connection being answered at once. At the limit the socket is not read. */
  readonly inFlightRequestsMax: number
  /** Reply bytes that may wait for one client. At half of it no further request is started; beyond it we close. */
  readonly writeQueueBytesMax: number
  /** A client that takes no reply byte for this long is closed. */
  readonly writeStallMsMax: number
}

/** Limits for a listener on a trusted network; every field can be overridden. */
export const DEFAULT_LISTENER_LIMITS: ListenerLimits = {
  frameBytesMax: 16 * 1024 * 1024,
  connectionsMax: 1024,
  connectionsPerAddressMax: 1024,
  acceptsPerSecondMax: 500,
  idleMsMax: 600_000,
  frameMsMax: 30_000,
  blockingFrameMsMax: 3_000,
  inFlightRequestsMax: 256,
  writeQueueBytesMax: 8 * 1024 * 1024,
  writeStallMsMax: 30_000,
}

/**
 * A byte budget shared by several listeners; see Admission. `reserve` and a lease's growth answer true at once, or a
 * promise that resolves when there is room; the connection is not read meanwhile. Every reserved byte is released
 * exactly once, every lease closed or settled.
 */
export interface ListenerAdmission {
  reserve(bytes: number): true | Promise<void>
  release(bytes: number): void
  /** For a frame of at most so many bytes. */
  lease(bytesMax: number): ListenerLease
}

/** What admission holds for a frame that is still arriving. */
export interface ListenerLease {
  readonly bytes: number
  /** True while other frames wait for what this one and its like hold. */
  readonly blocksOthers: boolean
  cover(arrivedBytes: number, bytesMax: number): true | Promise<void>
  settle(bytes: number): void
  close(): void
}

/** One request, with its header decoded; the body starts at `bodyStart` of `frame`. */
export interface ListenerRequest {
  readonly header: RequestHeader
  /** The frame without its length prefix. It may be a view of a larger read; the handler may keep and modify it. */
  readonly frame: Buffer
  readonly bodyStart: number
  readonly connection: ListenerConnection
}

/** A reply frame as buffers to be written together; null when the request gets no reply (acks=0). */
export type ListenerReply = Buffer[] | null

/** What answers requests. Requests of a connection are started in order; replies go out in order whatever finishes first. */
export interface ListenerHandler {
  /** False closes the connection: an API or version that is not offered (Kafka does the same). */
  accepts(apiKey: number, apiVersion: number): boolean
  /** Throwing, or rejecting, closes the connection; a malformed request is counted as such. */
  handle(request: ListenerRequest): ListenerReply | Promise<ListenerReply>
}

/** A client's connection, as its handler sees it. */
export interface ListenerConnection {
  /** Unique within the listener, counting from 1. */
  readonly id: number
  readonly remoteAddress: string
  readonly remotePort: number
  /** The address of ours that the client connected to. */
  readonly localAddress: string
  /** The client id of the latest request, cut to 256 characters: it is a label, never a key. */
  readonly clientId: string | null
  /** From ApiVersions 3 and later; set by the handler. */
  softwareName: string
  softwareVersion: string
  /** Whatever the handler wants to keep with the connection. */
  state: unknown
  readonly closed: boolean
  /** Runs `listener` once when the connection is gone; at once when it already is. Returns how to unsubscribe. */
  onClose(listener: () => void): () => void
  /** Ends the connection now; replies not yet on the wire are dropped. `reason` is counted. */
  close(reason: RejectionReason, facts?: RejectionFacts): void
}

/** Why a connection was refused or closed by us: the `reason` label of the rejection counter. */
export type RejectionReason =
  | 'connections-max'
  | 'connections-per-address-max'
  | 'frame-negative'
  | 'frame-too-large'
  | 'http-on-kafka-port'
  | 'tls-on-plaintext-port'
  | 'header-malformed'
  | 'request-malformed'
  | 'api-not-offered'
  | 'frame-slow'
  | 'idle'
  | 'write-queue-full'
  | 'write-stalled'
  | 'handler-failed'
  | 'produce-unacked-failed'
  | 'produce-version'
  | 'transaction-overtaken'
  | 'storage-failed'

export type RejectionFacts = Readonly<Record<string, string | number | boolean | null>>

export type OnRejected = (reason: RejectionReason, facts: RejectionFacts) => void
