/** An HTTP ingress on a free port before a fake vault, and clients that send exactly the bytes a test writes. */

import { connect } from 'node:net'
import { Registry } from 'prom-client'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import type { HttpIngressOptions } from '../../src/ingress/http/http-ingress.ts'
import { HttpIngress } from '../../src/ingress/http/http-ingress.ts'
import { IngressMetrics } from '../../src/ingress/ingress-metrics.ts'
import { Admission } from '../../src/listener/admission.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { FakeVault } from './fake-vault.ts'

export interface HttpFixture {
  readonly ingress: HttpIngress
  readonly vault: FakeVault
  readonly admission: Admission
  readonly registry: Registry
  readonly port: number
  /** `http://127.0.0.1:port/v1/streams/<stream>`. */
  readonly url: (stream: string) => string
  /** The value of `gophership_ingress_rejected_total` for a reason. */
  readonly rejected: (reason: string) => Promise<number>
}

export interface HttpFixtureOptions extends Pick<HttpIngressOptions, 'limits' | 'diagnostics'> {
  readonly admissionBytesMax: number
  readonly port: number
}

export async function startHttp(options: Partial<HttpFixtureOptions> = {}): Promise<HttpFixture> {
  const vault = new FakeVault()
  const registry = new Registry()
  const admission = new Admission({ bytesMax: options.admissionBytesMax ?? 64 * 1024 * 1024 })
  const ingress = await HttpIngress.start({
    host: '127.0.0.1',
    port: options.port ?? 0,
    vault,
    admission,
    metrics: new IngressMetrics(registry, admission),
    clock: systemClock,
    diagnostics: options.diagnostics ?? silentDiagnostics,
    limits: { connectionsCheckMs: 50, lingerMsMax: 200, ...options.limits },
  })
  onTestFinished(() => ingress.stop({ drainMs: 0 }))
  return {
    ingress,
    vault,
    admission,
    registry,
    port: ingress.port,
    url: (stream) => `http://127.0.0.1:${ingress.port}/v1/streams/${stream}`,
    async rejected(reason) {
      const metric = await registry.getSingleMetric('gophership_ingress_rejected_total')?.get()
      return metric?.values.find(({ labels }) => labels['reason'] === reason)?.value ?? 0
    },
  }
}

export interface RawAnswer {
  /** 0 when the connection was closed without an answer. */
  readonly status: number
  readonly head: string
  readonly body: string
  /** Whether the server closed (or reset) the connection by itself. */
  readonly closed: boolean
}

/** Sends bytes as they are, piece by piece, and gives everything that comes back until the server closes or goes silent. */
export function rawExchange(
  port: number,
  pieces: readonly (string | Buffer)[],
  {
    pieceDelayMs = 0,
    silentMs = 150,
    waitMs = 5_000,
    end = false,
    untilClosed = false,
  }: { pieceDelayMs?: number; silentMs?: number; waitMs?: number; end?: boolean; untilClosed?: boolean } = {},
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const received: Buffer[] = []
    let silence: NodeJS.Timeout | undefined
    let closed = false
    const finish = () => {
      clearTimeout(silence)
      clearTimeout(limit)
      socket.destroy()
      const text = Buffer.concat(received).toString('latin1')
      const headEnd = text.indexOf('\r\n\r\n')
      resolve({
        status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0),
        head: headEnd < 0 ? text : text.slice(0, headEnd),
        body: headEnd < 0 ? '' : text.slice(headEnd + 4),
        closed,
      })
    }
    const limit = setTimeout(finish, waitMs)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk)
      clearTimeout(silence)
      // An answer that keeps the connection open is over when it is complete; one that closes it, when it closes.
      if (!untilClosed && isWholeKeepAliveAnswer(Buffer.concat(received).toString('latin1'))) finish()
      else if (!untilClosed) silence = setTimeout(finish, silentMs)
    })
    socket.on('close', () => {
      closed = true
      finish()
    })
    const send = async () => {
      for (const piece of pieces) {
        if (socket.destroyed) return
        socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece)
        if (pieceDelayMs > 0) await new Promise((wake) => setTimeout(wake, pieceDelayMs))
      }
      if (end) socket.end()
    }
    socket.on('connect', () => void send())
  })
}

function isWholeKeepAliveAnswer(text: string): boolean {
  const headEnd = text.indexOf('\r\n\r\n')
  const headText = text.slice(0, headEnd).toLowerCase()
  const length = /\r\ncontent-length: (\d+)/.exec(headText)?.[1]
  if (headEnd < 0 || length === undefined || headText.includes('connection: close')) return false
  return text.length >= headEnd + 4 + Number(length)
}

/** A request's head, with Host; the body is the caller's. */
export function head(requestLine: string, headers: readonly string[] = []): string {
  return `${[requestLine, 'Host: gophership', ...headers].join('\r\n')}\r\n\r\n`
}

/** The machine-readable part of an error answer. */
export function errorOf(
  body: string,
): { readonly code: string; readonly message: string } & Record<string, unknown> {
  return JSON.parse(body).error
}
