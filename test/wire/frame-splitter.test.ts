import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameSplitter } from '../../src/wire/frame-splitter.ts'
import { WireError } from '../../src/wire/wire-error.ts'

const FRAME_BYTES_MAX = 1024 * 1024

function newSplitter(frameBytesMax = FRAME_BYTES_MAX): FrameSplitter {
  return new FrameSplitter({ frameBytesMax })
}

/** A frame with its size in front, filled with bytes that tell its positions apart. */
function framed(body: Buffer): Buffer {
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}

function bodyOf(bytes: number, seed = 1): Buffer {
  return Buffer.from(Array.from({ length: bytes }, (_, index) => (index * 31 + seed) & 0xff))
}

function failureOf(run: () => unknown): WireError {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(WireError)
    return error as WireError
  }
  throw new Error('expected a WireError, and nothing was thrown')
}

describe('FrameSplitter', () => {
  it('gives the same frames wherever the stream is cut in two', () => {
    const bodies = [bodyOf(37), Buffer.alloc(0), bodyOf(5, 9)]
    const stream = Buffer.concat(bodies.map(framed))
    for (let cut = 0; cut <= stream.length; cut++) {
      const splitter = newSplitter()
      const frames = [...splitter.feed(stream.subarray(0, cut)), ...splitter.feed(stream.subarray(cut))]
      expect(frames, `cut at ${cut}`).toEqual(bodies)
      expect(splitter.isMidFrame).toBe(false)
    }
  })

  it('gives the same frames when the stream comes byte by byte', () => {
    const bodies = [bodyOf(9000), Buffer.alloc(0), bodyOf(1)]
    const splitter = newSplitter()
    const frames: Buffer[] = []
    for (const byte of Buffer.concat(bodies.map(framed))) frames.push(...splitter.feed(Buffer.from([byte])))
    expect(frames).toEqual(bodies)
  })

  it('gives a thousand frames that come in one chunk, as views of it', () => {
    const bodies = Array.from({ length: 1000 }, (_, index) => bodyOf(index % 50, index))
    const chunk = Buffer.concat(bodies.map(framed))
    const frames = newSplitter().feed(chunk)
    expect(frames).toEqual(bodies)
    for (const frame of frames) expect(frame.buffer).toBe(chunk.buffer)
  })

  it('gives the same frames for any bodies and any cuts', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 20 }),
        (bodies, steps) => {
          const stream = Buffer.concat(bodies.map((body) => framed(Buffer.from(body))))
          const splitter = newSplitter()
          const frames: Buffer[] = []
          for (let at = 0, turn = 0; at < stream.length; turn++) {
            const step = steps[turn % steps.length] as number // minLength is 1
            frames.push(...splitter.feed(stream.subarray(at, at + step)))
            at += step
          }
          expect(frames).toEqual(bodies.map((body) => Buffer.from(body)))
        },
      ),
      { seed: 20_001, numRuns: 300 },
    )
  })

  it('tells the declared size of the frame it is in the middle of', () => {
    const splitter = newSplitter()
    const stream = framed(bodyOf(100))
    splitter.feed(stream.subarray(0, 3))
    expect([splitter.pendingFrameBytes, splitter.receivedFrameBytes, splitter.isMidFrame]).toEqual([
      0,
      0,
      true,
    ])
    splitter.feed(stream.subarray(3, 4))
    expect([splitter.pendingFrameBytes, splitter.receivedFrameBytes]).toEqual([100, 0])
    splitter.feed(stream.subarray(4, 50))
    expect([splitter.pendingFrameBytes, splitter.receivedFrameBytes]).toEqual([100, 46])
    splitter.feed(stream.subarray(50))
    expect([splitter.pendingFrameBytes, splitter.receivedFrameBytes, splitter.isMidFrame]).toEqual([
      0,
      0,
      false,
    ])
  })

  it('holds no more than twice the bytes that have come, whatever size was declared', () => {
    const splitter = newSplitter(0x7fffffff)
    const size = Buffer.alloc(4)
    size.writeInt32BE(0x7fffffff)
    const before = process.memoryUsage().arrayBuffers
    splitter.feed(size)
    for (let fed = 0; fed < 100; fed++) splitter.feed(Buffer.alloc(1000))
    expect(splitter.receivedFrameBytes).toBe(100_000)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10 * 1024 * 1024)
  })

  it('takes a frame of exactly the maximum and refuses one byte more, before its first byte has come', () => {
    expect(newSplitter(64).feed(framed(bodyOf(64)))).toHaveLength(1)
    const splitter = newSplitter(64)
    const failure = failureOf(() => splitter.feed(framed(bodyOf(65)).subarray(0, 4)))
    expect(failure.code).toBe('GS_WIRE_MALFORMED')
    expect(failure.facts).toEqual({ size: 65, frameBytesMax: 64 })
  })

  it('refuses a size below zero', () => {
    const failure = failureOf(() => newSplitter().feed(Buffer.from([0xff, 0xff, 0xff, 0xff])))
    expect(failure.facts['size']).toBe(-1)
  })

  it('stays refused: after a bad size the positions are lost', () => {
    const splitter = newSplitter()
    const failure = failureOf(() => splitter.feed(Buffer.from([0x80, 0, 0, 0])))
    expect(failureOf(() => splitter.feed(framed(bodyOf(1))))).toBe(failure)
  })

  it.each([
    ['GET / HTTP/1.1\r\n', 'looks like HTTP'],
    ['POST /v1/streams/a HTTP/1.1\r\n', 'looks like HTTP'],
    ['PRI * HTTP/2.0\r\n', 'looks like HTTP'],
    ['\x16\x03\x01\x02\x00\x01\x00', 'looks like TLS'],
    ['SSH-2.0-OpenSSH_9.2\r\n', 'looks like SSH'],
  ])('says what a peer that begins with %j seems to speak, even byte by byte', (opening, hint) => {
    const bytes = Buffer.from(opening, 'latin1')
    expect(failureOf(() => newSplitter().feed(bytes)).facts['hint']).toBe(hint)
    const splitter = newSplitter()
    const slow = failureOf(() => {
      for (const byte of bytes) splitter.feed(Buffer.from([byte]))
    })
    expect(slow.facts).toEqual({ size: bytes.readInt32BE(0), frameBytesMax: FRAME_BYTES_MAX, hint })
    expect(slow.message).toContain(hint)
  })
})
