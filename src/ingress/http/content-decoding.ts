/**
 * Content-Encoding: gzip, deflate, zstd and br, inflated chunk by chunk with the output counted as it appears, so that
 * a bomb is cut off at the limit and not after it. The work is done by Node's own codecs, off the event loop.
 *
 * A body must be exactly what its encoding says: a stream that ends early, or bytes after its end, are refused. Several
 * gzip members or zstd frames in a row are one body and share one budget (RFC 1952 §2.2, RFC 8878 §3).
 */

import type { Transform } from 'node:stream'
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib'
import { HttpRefusal } from './http-refusal.ts'

export type ContentEncoding = 'gzip' | 'deflate' | 'zstd' | 'br'

const ENCODINGS: Readonly<Record<string, ContentEncoding>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  zstd: 'zstd',
  br: 'br',
}
const OUTPUT_CHUNK_BYTES = 128 * 1024
/** 16 MiB: no body may be larger, so no honest frame needs a larger window; it bounds what a frame can make us allocate. */
const ZSTD_WINDOW_LOG_MAX = 24

/** What the header asks for; null for none. Throws `unsupported_encoding` for an unknown or stacked one. */
export function parseContentEncoding(header: string | undefined): ContentEncoding | null {
  const name = (header ?? '').trim().toLowerCase()
  if (name === '' || name === 'identity') return null
  const encoding = Object.hasOwn(ENCODINGS, name) ? ENCODINGS[name] : undefined
  if (encoding === undefined) {
    throw new HttpRefusal(
      'unsupported_encoding',
      'Content-Encoding must be one of gzip, deflate, zstd, br or identity, and only one; send the body with one of these or as it is',
      { facts: { accepted: 'gzip, deflate, zstd, br, identity' } },
    )
  }
  return encoding
}

/** Throws `unsupported_encoding` for any transfer coding but `chunked`, which the parser has taken off. */
export function assertTransferEncoding(header: string | undefined): void {
  if (header === undefined || header.trim().toLowerCase() === 'chunked') return
  throw new HttpRefusal(
    'unsupported_encoding',
    'Transfer-Encoding may only be chunked; say how the body is compressed in Content-Encoding',
    { facts: { accepted: 'chunked' } },
  )
}

type Engine = Transform & { readonly bytesWritten: number }

export interface InflaterOptions {
  readonly encoding: ContentEncoding
  /** Output beyond this is refused with `body_too_large`. */
  readonly bytesMax: number
  /** Takes each piece of output. While a returned promise is pending, inflating pauses. */
  readonly onOutput: (piece: Buffer) => true | Promise<void>
}

/** Inflates one body. Close it whatever happens: the codec holds native memory. */
export class Inflater {
  readonly #options: InflaterOptions
  #engine: Engine | null = null
  #bytesIn = 0
  #bytesOut = 0
  #failure: Error | null = null
  #wake: (() => void) | null = null
  #ended = false

  constructor(options: InflaterOptions) {
    this.#options = options
  }

  /** Feeds one chunk; resolves when the codec has taken it. Rejects with HttpRefusal `invalid_body` or `body_too_large`. */
  async write(chunk: Buffer): Promise<void> {
    const first = chunk[0]
    if (first === undefined) return
    const engine = this.#engine ?? this.#open(first)
    this.#bytesIn += chunk.length
    await this.#run((done) => engine.write(chunk, done))
  }

  /** Ends the input; resolves when all output has been handed out. An empty body inflates to nothing. */
  async end(): Promise<void> {
    const engine = this.#engine
    if (engine === null) return
    engine.end()
    while (!this.#ended && this.#failure === null) {
      await this.#run((done) => {
        if (this.#ended) done()
      })
    }
    if (this.#failure !== null) throw this.#failure
    if (engine.bytesWritten !== this.#bytesIn) {
      const extraBytes = this.#bytesIn - engine.bytesWritten
      throw new HttpRefusal(
        'invalid_body',
        `the ${this.#options.encoding} body ends ${extraBytes} bytes before the request does; send nothing after it`,
        { facts: { extraBytes } },
      )
    }
  }

  /** Frees the codec. */
  close(): void {
    this.#engine?.destroy()
  }

  #open(firstByte: number): Engine {
    const engine = openEngine(this.#options.encoding, firstByte)
    this.#engine = engine
    engine.on('data', (piece: Buffer) => this.#onOutput(engine, piece))
    engine.on('end', () => {
      this.#ended = true
      this.#wake?.()
    })
    engine.on('error', (cause) => {
      this.#fail(
        new HttpRefusal(
          'invalid_body',
          `the body is not a whole ${this.#options.encoding} stream; check that it is not cut short and matches Content-Encoding`,
          { cause },
        ),
      )
    })
    return engine
  }

  #onOutput(engine: Engine, piece: Buffer): void {
    if (this.#failure !== null) return
    this.#bytesOut += piece.length
    const { bytesMax, onOutput } = this.#options
    if (this.#bytesOut > bytesMax) {
      this.#fail(
        new HttpRefusal(
          'body_too_large',
          `the body inflates to more than ${bytesMax} bytes; split it over several requests`,
          { facts: { limitBytes: bytesMax } },
        ),
      )
      engine.destroy()
      return
    }
    const taken = onOutput(piece)
    if (taken === true) return
    engine.pause()
    taken.then(
      () => engine.resume(),
      (error) => this.#fail(error as Error),
    )
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#wake?.()
  }

  /** Runs one step; it is over when the codec calls back, fails, or (for the last one) has ended. */
  async #run(step: (done: () => void) => void): Promise<void> {
    if (this.#failure !== null) throw this.#failure
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      step(resolve)
    })
    this.#wake = null
    if (this.#failure !== null) throw this.#failure
  }
}

function openEngine(encoding: ContentEncoding, firstByte: number): Engine {
  const chunkSize = OUTPUT_CHUNK_BYTES
  switch (encoding) {
    case 'gzip':
      return createGunzip({ chunkSize })
    case 'zstd':
      return createZstdDecompress({
        chunkSize,
        params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX },
      })
    case 'br':
      return createBrotliDecompress({ chunkSize })
    case 'deflate':
      // RFC 9110 says zlib; several clients send bare deflate. A zlib stream's first byte names method 8.
      return (firstByte & 0x0f) === 8 ? createInflate({ chunkSize }) : createInflateRaw({ chunkSize })
  }
}
