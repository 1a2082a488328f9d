import fc from 'fast-check'
import { compressSync } from 'snappy'
import { describe, expect, test } from 'vitest'
import { compress, inflate } from '../../src/batch/compression/codecs.ts'
import { compressLz4 } from '../../src/batch/compression/lz4-frame.ts'
import { xxHash32 } from '../../src/batch/compression/xxhash32.ts'
import type { Compression } from '../../src/batch/record-batch.ts'
import { COMPRESSION } from '../../src/batch/record-batch.ts'
import { seededRandom } from '../../src/core/random.ts'
import { bytesUpTo, fuzz } from './fuzzing.ts'
import { codeOf } from './samples.ts'

const CODECS = Object.entries(COMPRESSION).filter(([name]) => name !== 'none')
const LIMIT = 1 << 20

/** Plain bytes that make codecs work: noise, runs, repeated pieces, and sizes around the block sizes. */
const plainBytes = fc.oneof(
  bytesUpTo(2_000),
  fc
    .array(fc.tuple(bytesUpTo(40), fc.integer({ min: 1, max: 3_000 })), { minLength: 1, maxLength: 6 })
    .map((pieces) => Buffer.concat(pieces.flatMap(([piece, times]) => Array<Buffer>(times).fill(piece)))),
  fc
    .tuple(fc.constantFrom(32_768, 65_536, 131_072), fc.integer({ min: -2, max: 2 }), fc.nat(255))
    .map(([size, around, fill]) => Buffer.alloc(size + around, fill)),
)

for (const [name, codec] of CODECS) {
  describe(name, () => {
    test('any bytes come back, within exactly their size as the limit', () => {
      fuzz(
        80,
        fc.property(plainBytes, (plain) => {
          const packed = compress(codec, plain)
          expect(inflate(codec, packed, Math.max(plain.length, 1)).equals(plain)).toBe(true)
          if (plain.length > 1) {
            expect(codeOf(() => inflate(codec, packed, plain.length - 1))).toBe('GS_BATCH_TOO_LARGE')
          }
        }),
      )
    })

    test('any bytes in any pieces come back, one after the other', () => {
      const pieces = fc.array(fc.oneof(bytesUpTo(30), bytesUpTo(900), plainBytes), { maxLength: 12 })
      fuzz(
        60,
        fc.property(pieces, (plains) => {
          const plain = Buffer.concat(plains)
          const packed = Buffer.concat([Buffer.alloc(0), ...plains].map((piece) => compress(codec, piece)))
          expect(inflate(codec, packed, Math.max(plain.length, 1)).equals(plain)).toBe(true)
          if (plain.length > 1) {
            expect(codeOf(() => inflate(codec, packed, plain.length - 1))).toBe('GS_BATCH_TOO_LARGE')
          }
        }),
      )
    })

    test('a stream cut off anywhere is GS_BATCH_CORRUPT, or less than the whole', () => {
      const plain = Buffer.from('some text, some more text, '.repeat(30))
      const packed = compress(codec, plain)
      for (let bytes = 0; bytes < packed.length; bytes += 1) {
        const outcome = codeOf(() => {
          const inflated = inflate(codec, packed.subarray(0, bytes), LIMIT)
          expect(inflated.length).toBeLessThan(plain.length)
        })
        // The framing of snappy has no end mark: cut at its start it is an empty stream, as it is for snappy-java.
        expect(outcome).toBe(codec === COMPRESSION.snappy && bytes === 16 ? 'returned' : 'GS_BATCH_CORRUPT')
      }
    })

    test('any damage gives bytes within the limit or a declared failure', () => {
      fuzz(
        400,
        fc.property(
          plainBytes,
          fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
          (plain, changes) => {
            const packed = Buffer.from(compress(codec, plain.subarray(0, 3_000)))
            for (const [position, byte] of changes) packed[position % packed.length] = byte
            expectBytesOrFailure(codec, packed)
          },
        ),
      )
    })

    test('damage to any of many pieces gives bytes within the limit or a declared failure', () => {
      const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
      fuzz(
        200,
        fc.property(fc.array(bytesUpTo(60), { minLength: 2, maxLength: 8 }), changes, (plains, damage) => {
          const packed = Buffer.concat(plains.map((piece) => compress(codec, piece)))
          for (const [position, byte] of damage) packed[position % packed.length] = byte
          expectBytesOrFailure(codec, packed)
        }),
      )
    })

    test('any bytes at all give bytes within the limit or a declared failure', () => {
      const starts: Record<string, string> = {
        gzip: '1f8b0800000000000003',
        snappy: '82534e41505059000000000100000001',
        lz4: '04224d18604082',
        zstd: '28b52ffd',
      }
      fuzz(
        800,
        fc.property(fc.boolean(), bytesUpTo(120), (started, bytes) => {
          const start = Buffer.from(started ? starts[name] : '', 'hex')
          expectBytesOrFailure(codec, Buffer.concat([start, bytes]))
        }),
      )
    })
  })
}

function expectBytesOrFailure(codec: Compression, packed: Buffer): void {
  const code = codeOf(() => expect(inflate(codec, packed, 10_000).length).toBeLessThanOrEqual(10_000))
  expect(['returned', 'GS_BATCH_CORRUPT', 'GS_BATCH_TOO_LARGE']).toContain(code)
}

test('a codec from 5 to 7 is GS_BATCH_UNSUPPORTED_COMPRESSION both ways', () => {
  for (const codec of [5, 6, 7]) {
    expect(codeOf(() => inflate(codec as Compression, Buffer.alloc(1), 1))).toBe(
      'GS_BATCH_UNSUPPORTED_COMPRESSION',
    )
    expect(codeOf(() => compress(codec as Compression, Buffer.alloc(1)))).toBe(
      'GS_BATCH_UNSUPPORTED_COMPRESSION',
    )
  }
})

test('xxHash32 gives its published values', () => {
  const cases: [string, number][] = [
    ['', 0x02cc5d05],
    ['a', 0x550d7456],
    ['abc', 0x32d153ff],
    ['Nobody inspects the spammish repetition', 0xe2293b2f],
  ]
  for (const [text, hash] of cases) expect(xxHash32(Buffer.from(text), 0, text.length)).toBe(hash)
})

describe('LZ4 frames', () => {
  const packed = compressLz4(Buffer.from('abcabcabc'.repeat(100)))
  const inflateLz4 = (bytes: Buffer) => codeOf(() => inflate(COMPRESSION.lz4, bytes, LIMIT))
  const changed = (at: number, byte: number) => {
    const bytes = Buffer.from(packed)
    bytes[at] = byte
    return bytes
  }

  test('a block that does not shrink is stored as it is', () => {
    const noise = seededRandom(1).bytes(500)
    const stored = compressLz4(noise)
    expect(stored.readUInt32LE(7)).toBe((0x80000000 | 500) >>> 0)
    expect(inflate(COMPRESSION.lz4, stored, LIMIT)).toEqual(noise)
  })

  test('a wrong header checksum, version, block size or reserved bit, or a dictionary, is GS_BATCH_CORRUPT', () => {
    expect(inflateLz4(packed)).toBe('returned')
    for (const [at, byte] of [
      [0, 0x03],
      [4, 0xa0],
      [4, 0x62],
      [4, 0x61],
      [5, 0x30],
      [5, 0xc0],
      [6, 0x83],
    ]) {
      expect(inflateLz4(changed(at, byte))).toBe('GS_BATCH_CORRUPT')
    }
  })

  test('a match that reaches before its block is GS_BATCH_CORRUPT where blocks are independent, and only there', () => {
    // The second block: one literal, then a match of 5 bytes 2 back (one byte into the first block), then literals.
    const blocks = [Buffer.from('506161616161', 'hex'), Buffer.from('11610200506161616161', 'hex')]
    const body = blocks.flatMap((block) => [Buffer.from([block.length, 0, 0, 0]), block])
    const frame = (header: string) => Buffer.concat([Buffer.from(header, 'hex'), ...body, Buffer.alloc(4)])
    const descriptor = Buffer.from('4040', 'hex')
    const checksum = (xxHash32(descriptor, 0, 2) >>> 8) & 0xff
    const dependent = frame(`04224d184040${checksum.toString(16).padStart(2, '0')}`)
    expect(inflate(COMPRESSION.lz4, dependent, LIMIT).toString()).toBe('a'.repeat(16))
    expect(inflateLz4(frame('04224d18604082'))).toBe('GS_BATCH_CORRUPT')
  })

  test('skippable frames are skipped', () => {
    const skippable = Buffer.from('5a2a4d1803000000aabbcc', 'hex')
    expect(inflate(COMPRESSION.lz4, Buffer.concat([skippable, packed, skippable]), LIMIT)).toHaveLength(900)
  })
})

describe('snappy blocks', () => {
  // Small ones are inflated here, large ones by the library: both must take, and refuse, the same.
  const framed = (...blocks: Buffer[]) =>
    Buffer.concat([
      compress(COMPRESSION.snappy, Buffer.alloc(0)),
      ...blocks.flatMap((block) => {
        const size = Buffer.alloc(4)
        size.writeInt32BE(block.length)
        return [size, block]
      }),
    ])
  const empty = Buffer.from([0])

  test('damaged in any way give what the library makes of them', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 })
    fuzz(
      2_000,
      fc.property(plainBytes, changes, fc.nat(), (plain, damage, cut) => {
        const block = Buffer.from(compressSync(plain.subarray(0, 900)))
        for (const [position, byte] of damage) block[position % block.length] = byte
        const kept = cut % 8 === 0 ? block.subarray(0, cut % block.length) : block
        const outcome = (blocks: Buffer[]) => {
          let bytes = ''
          const code = codeOf(() => {
            bytes = inflate(COMPRESSION.snappy, framed(...blocks), LIMIT).toString('hex')
          })
          return [code, bytes]
        }
        // A block that is alone goes to the library.
        expect(outcome([kept, empty])).toEqual(outcome([kept]))
      }),
    )
  })
})

describe('zstd frames', () => {
  const inflateZstd = (hex: string) => codeOf(() => inflate(COMPRESSION.zstd, Buffer.from(hex, 'hex'), LIMIT))

  test('a reserved bit, a dictionary, a reserved block type or a block over the window is GS_BATCH_CORRUPT', () => {
    for (const hex of [
      '28b52ffd0800010000', // reserved bit
      '28b52ffd010005010000', // dictionary 5
      '28b52ffd0000070000', // block type 3
      '28b52ffd000001ffff', // raw block of 2 MiB
      '28b52ffd2005090000aabb', // 5 bytes stated, 1 held
    ]) {
      expect(inflateZstd(hex)).toBe('GS_BATCH_CORRUPT')
    }
  })

  test('empty and skippable frames make no bytes', () => {
    expect(
      inflate(COMPRESSION.zstd, Buffer.from('502a4d1801000000ff28b52ffd2000010000', 'hex'), LIMIT),
    ).toHaveLength(0)
  })
})
