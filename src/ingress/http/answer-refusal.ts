/**
 * Answers a refused request so that the client gets to read the answer.
 *
 * A refused body may still be on its way. Closing a socket with unread bytes makes the kernel send a reset, which
 * destroys the answer on the client's side before it is read:
 *   1. The client sends a 20 MiB body. 2. We answer 413 and close. 3. The kernel sees unread bytes and sends RST.
 *   4. The client's kernel drops the answer it had buffered; the client reports "connection reset".
 * So the answer goes out whole, then what still comes is thrown away for a bounded time, then the connection closes.
 */

import type { IncomingMessage } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { Clock } from '../../core/clock.ts'
import type { HttpLimits } from './http-limits.ts'
import type { HttpRefusal, HttpRefusalCode } from './http-refusal.ts'
import { expectsContinue } from './http-server.ts'

/** Refusals after which nothing more is read from the connection, whatever is left of the request. */
const CLOSING: ReadonlySet<HttpRefusalCode> = new Set([
  'stopping',
  'malformed_request',
  'headers_too_large',
  'too_many_pipelined',
])

/** Takes the reply over from fastify. The connection stays open only when nothing of the request is left on it. */
export function answerRefusal(
  request: IncomingMessage,
  reply: FastifyReply,
  refusal: HttpRefusal,
  { clock, limits }: { readonly clock: Clock; readonly limits: HttpLimits },
): void {
  const response = reply.raw
  reply.hijack()
  if (response.destroyed || response.headersSent) {
    response.destroy()
    return
  }
  const bodyRead = request.complete || hasNoBody(request)
  const close = !bodyRead || CLOSING.has(refusal.code)
  const body = refusal.toJson()
  response.statusCode = refusal.status
  response.setHeader('content-type', 'application/json')
  response.setHeader('content-length', Buffer.byteLength(body))
  const { allow } = refusal.facts
  if (typeof allow === 'string') response.setHeader('allow', allow)
  if (refusal.retryAfterSeconds !== null) response.setHeader('retry-after', refusal.retryAfterSeconds)
  if (close) response.setHeader('connection', 'close')
  // A client that still waits for 100 Continue has sent nothing, and now never will.
  if (bodyRead || expectsContinue(request)) {
    response.end(body)
    return
  }
  response.write(body)
  linger(request, () => response.end(), { clock, lingerMsMax: limits.lingerMsMax })
}

function linger(
  request: IncomingMessage,
  finish: () => void,
  { clock, lingerMsMax }: { readonly clock: Clock; readonly lingerMsMax: number },
): void {
  const timer = clock.after(lingerMsMax, finish)
  const done = () => {
    timer.cancel()
    finish()
  }
  request.removeAllListeners('readable')
  request.once('end', done)
  request.once('close', done)
  request.resume()
}

function hasNoBody(request: IncomingMessage): boolean {
  const { headers } = request
  return headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0
}
