/**
 * Reads a whole request body into one buffer: sized, paced, admitted and inflated. Nothing of it goes anywhere before
 * all of it is here, so a request is stored as a whole or not at all.
 *
 * Memory is accounted and allocated by what has arrived (or was inflated), never by the stated length, so that a client
 * that promises much and sends little costs little. When the budget is used up the socket is not read.
 */

import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../core/clock.ts'
import type { Admission, Lease } from '../../listener/admission.ts'
import { BodyPieces } from './body-pieces.ts'
import { BodySource } from './body-source.ts'
import type { ContentEncoding } from './content-decoding.ts'
import { Inflater } from './content-decoding.ts'
import type { HttpLimits } from './http-limits.ts'
import { ClientGone, HttpRefusal } from './http-refusal.ts'

/** A body's first buffer, and by how much more than has come a later one may hold. */
const BUFFER_BYTES_MIN = 64 * 1024
const BUFFER_GROWTH = 8
/** What a request costs beyond its body, so that very many tiny ones are bounded too. */
const REQUEST_OVERHEAD_BYTES = 4096

/**
 * What a request waits for before its body is read, and what the body waits for then. They are two budgets, because whoever
 * holds some of a budget and waits for more of it can wait for ever:
 *   1. As many requests are let in as there is room for. 2. All of it is held for what they cost beyond their bodies.
 *   3. Each waits for its body's share, which only another's end could free.
 */
export interface RequestBudgets {
  /** Held for each request from before its body is read to its answer. */
  readonly overhead: Admission
  /** Held for the bytes that have come; shared with the other listeners. */
  readonly bodies: Admission
}

export interface ReadBodyOptions {
  readonly request: IncomingMessage
  /** From Content-Length; null when chunked. Already checked against the limit. */
  readonly contentLength: number | null
  readonly encoding: ContentEncoding | null
  readonly limits: HttpLimits
  readonly budgets: RequestBudgets
  readonly clock: Clock
  /** Called once the body may be read: the moment for `100 Continue`. */
  readonly onAdmitted: () => void
  /** Aborted when the connection is gone. */
  readonly gone: AbortSignal
}

export interface RequestBody {
  readonly bytes: Buffer
  /** Bytes as they came over the wire. */
  readonly wireBytes: number
  /** Gives the body's share of the budget back. Must be called exactly once. */
  release(): void
}

/** Rejects with HttpRefusal or ClientGone, with nothing held any more. */
export async function readBody(options: ReadBodyOptions): Promise<RequestBody> {
  const { request, budgets, onAdmitted, clock, limits, gone } = options
  const { overhead, bodies } = budgets
  await reserved(overhead, REQUEST_OVERHEAD_BYTES, gone)
  // An unstated length, or what a compressed body inflates to, may come to the most there can be.
  const isStated = options.contentLength !== null && options.encoding === null
  const lease = bodies.lease(isStated ? (options.contentLength ?? 0) : limits.bodyBytesMax)
  let reservedBytes = 0
  const release = () => {
    lease.close()
    bodies.release(reservedBytes)
    overhead.release(REQUEST_OVERHEAD_BYTES)
  }
  try {
    if (request.destroyed) throw new ClientGone()
    onAdmitted()
    const isInTheWay = () => lease.blocksOthers
    const source = new BodySource(request, { clock, limits, isInTheWay })
    const bytes = await collect(source, options, lease)
    if (lease.bytes > 0) lease.settle(bytes.length)
    else await reserved(bodies, bytes.length, gone)
    reservedBytes = bytes.length
    return { bytes, wireBytes: source.bytesRead, release }
  } catch (error) {
    release()
    throw error
  }
}

async function reserved(budget: Admission, bytes: number, gone: AbortSignal): Promise<void> {
  const granted = budget.reserve(bytes)
  if (granted === true) return
  try {
    await unlessGone(granted, gone)
  } catch (error) {
    budget.withdraw(granted, bytes)
    throw error
  }
}

/**
 * What was asked of a budget, or ClientGone as soon as the connection is gone. Clients that give up and come back while the vault
 * is slow would otherwise leave all that they sent in memory until its turn came, beside any limit.
 */
async function unlessGone(granted: Promise<void>, gone: AbortSignal): Promise<void> {
  const left = Promise.withResolvers<never>()
  const leave = () => left.reject(new ClientGone())
  if (gone.aborted) leave()
  gone.addEventListener('abort', leave)
  try {
    await Promise.race([granted, left.promise])
  } finally {
    gone.removeEventListener('abort', leave)
  }
}

function collect(source: BodySource, options: ReadBodyOptions, lease: Lease): Promise<Buffer> {
  if (options.encoding !== null) return collectInflated(source, options, lease, options.encoding)
  return options.contentLength === null
    ? collectChunked(source, options, lease)
    : collectSized(source, options, lease, options.contentLength)
}

/** Node's parser delivers exactly Content-Length bytes or fails, so the buffer is filled to its end. */
async function collectSized(
  source: BodySource,
  { gone }: ReadBodyOptions,
  lease: Lease,
  contentLength: number,
): Promise<Buffer> {
  let whole = Buffer.allocUnsafe(Math.min(contentLength, BUFFER_BYTES_MIN))
  let filled = 0
  for (let piece = await source.next(); piece !== null; piece = await source.next()) {
    const neededBytes = filled + piece.length
    const covered = lease.cover(neededBytes, contentLength)
    if (covered !== true) await unlessGone(covered, gone)
    if (neededBytes > whole.length) {
      const larger = Buffer.allocUnsafe(Math.min(contentLength, neededBytes * BUFFER_GROWTH))
      whole.copy(larger, 0, 0, filled)
      whole = larger
    }
    filled += piece.copy(whole, filled)
  }
  if (filled !== contentLength) throw new ClientGone()
  return whole
}

async function collectChunked(source: BodySource, options: ReadBodyOptions, lease: Lease): Promise<Buffer> {
  const pieces = new BodyPieces()
  for (let piece = await source.next(); piece !== null; piece = await source.next()) {
    assertWireBytes(source.bytesRead, options.limits)
    const covered = lease.cover(source.bytesRead, options.limits.bodyBytesMax)
    if (covered !== true) await unlessGone(covered, options.gone)
    pieces.append(piece)
  }
  return pieces.joined()
}

async function collectInflated(
  source: BodySource,
  options: ReadBodyOptions,
  lease: Lease,
  encoding: ContentEncoding,
): Promise<Buffer> {
  const pieces = new BodyPieces()
  let inflatedBytes = 0
  const inflater = new Inflater({
    encoding,
    bytesMax: options.limits.bodyBytesMax,
    onOutput(piece) {
      pieces.append(piece)
      inflatedBytes += piece.length
      const covered = lease.cover(inflatedBytes, options.limits.bodyBytesMax)
      return covered === true ? true : unlessGone(covered, options.gone)
    },
  })
  try {
    for (let piece = await source.next(); piece !== null; piece = await source.next()) {
      assertWireBytes(source.bytesRead, options.limits)
      await inflater.write(piece)
    }
    await inflater.end()
  } finally {
    inflater.close()
  }
  return pieces.joined()
}

function assertWireBytes(bytes: number, limits: HttpLimits): void {
  if (bytes > limits.bodyBytesMax) throw bodyTooLarge(limits)
}

/** The refusal for a body over its limit, stated or met. */
export function bodyTooLarge(limits: HttpLimits): HttpRefusal {
  return new HttpRefusal(
    'body_too_large',
    `a request body may hold at most ${limits.bodyBytesMax} bytes; nothing was stored. Split it over several requests`,
    { facts: { limitBytes: limits.bodyBytesMax } },
  )
}
