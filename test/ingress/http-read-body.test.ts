import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import type { ContentEncoding } from '../../src/ingress/http/content-decoding.ts'
import { DEFAULT_HTTP_LIMITS } from '../../src/ingress/http/http-limits.ts'
import { readBody } from '../../src/ingress/http/read-body.ts'
import { Admission } from '../../src/listener/admission.ts'

/** A chunked body that arrives in just these pieces. */
async function read(pieces: Iterable<Buffer>, encoding: ContentEncoding | null = null): Promise<Buffer> {
  const arriving = pieces[Symbol.iterator]()
  let turn = 0
  const request = new Readable({
    highWaterMark: 1,
    async read() {
      // What a long run of microtasks leaves behind is collected only after it.
      turn += 1
      if (turn % 1_000 === 0) await setImmediate()
      const { value, done } = arriving.next()
      this.push(done === true ? null : value)
    },
  })
  const { bytes } = await readBody({
    request: request as unknown as IncomingMessage,
    contentLength: null,
    encoding,
    limits: DEFAULT_HTTP_LIMITS,
    budgets: {
      overhead: new Admission({ bytesMax: 4_096 }),
      bodies: new Admission({ bytesMax: 64_000_000 }),
    },
    clock: systemClock,
    onAdmitted: () => {},
    gone: new AbortController().signal,
  })
  return bytes
}

test('a body is its pieces in order, whatever their sizes', async () => {
  const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 20_000 })))
  await fc.assert(
    fc.asyncProperty(lengths, async (sizes) => {
      const pieces = sizes.map((size, index) => Buffer.alloc(size, index))
      const whole = Buffer.concat(pieces)
      expect((await read(pieces)).equals(whole)).toBe(true)
      if (whole.length === 0) return
      const compressed = gzipSync(whole)
      const halves = [compressed.subarray(0, 7), compressed.subarray(7)]
      expect((await read(halves, 'gzip')).equals(whole)).toBe(true)
    }),
    { seed: 1, numRuns: 50 },
  )
})

test('S1: a body that comes byte by byte takes about the memory that admission counts for it', async () => {
  const bytes = 300_000
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const usedBytes = () => {
    collectGarbage()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const before = usedBytes()
  let atEnd = before
  function* singleBytes() {
    for (let count = 0; count < bytes; count += 1) yield Buffer.alloc(1, count)
    atEnd = usedBytes()
  }
  expect(await read(singleBytes())).toHaveLength(bytes)
  expect(atEnd - before).toBeLessThan(8 * bytes)
})
