/** The bombs of `bombs.test.ts`: small batches that inflate to far more than they are. */

import { constants, deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { compressLz4 } from '../../src/batch/compression/lz4-frame.ts'
import { compressSnappy } from '../../src/batch/compression/snappy.ts'
import { xxHash32 } from '../../src/batch/compression/xxhash32.ts'
import type { Compression } from '../../src/batch/record-batch.ts'
import { COMPRESSION, RECORD_BATCH_HEADER_BYTES } from '../../src/batch/record-batch.ts'
import { batchOf, plainRecords } from './samples.ts'

const MIB = 1024 * 1024
const GIB = 1024 * MIB

export interface Bomb {
  readonly codec: Compression
  /** Builds the compressed records. */
  readonly build: () => Buffer
  readonly recordCount?: number
  /** A limit other than the default, for what the format does not declare: that is inflated up to the limit. */
  readonly inflatedBytesMax?: number
  /** Default `GS_BATCH_TOO_LARGE`. */
  readonly code?: string
}

const { gzip, snappy, lz4, zstd } = COMPRESSION

export const BOMBS: Record<string, Bomb> = {
  'gzip of 10 GiB in one member that states it': { codec: gzip, build: () => gzipOf(10 * GIB) },
  'gzip of 10 GiB in one member that states 1 byte': {
    codec: gzip,
    build: () => Buffer.concat([gzipOf(10 * GIB).subarray(0, -4), Buffer.from('01000000', 'hex')]),
    inflatedBytesMax: 16 * MIB,
  },
  'gzip of 10 GiB in 10,240 members': {
    codec: gzip,
    build: () => repeated(gzipSync(Buffer.alloc(MIB)), 10_240),
    inflatedBytesMax: 16 * MIB,
  },
  'raw snappy that declares 4 GiB': { codec: snappy, build: () => Buffer.from('ffffffff0f00', 'hex') },
  'raw snappy that declares 15 MiB and holds nothing': {
    codec: snappy,
    build: () => Buffer.from('8080c00700', 'hex'),
    code: 'GS_BATCH_CORRUPT',
  },
  'framed snappy whose blocks sum to 10 GiB': {
    codec: snappy,
    build: () => {
      const block = Buffer.concat([Buffer.from('00000006', 'hex'), Buffer.from('808080800400', 'hex')])
      return Buffer.concat([compressSnappy(Buffer.alloc(0)), repeated(block, 10)])
    },
  },
  'framed snappy of 1 GiB, every block true': {
    codec: snappy,
    build: () => {
      const whole = compressSnappy(Buffer.alloc(32_768))
      return Buffer.concat([whole.subarray(0, 16), repeated(whole.subarray(16), 32_768)])
    },
  },
  'lz4 of 10 GiB in one frame': { codec: lz4, build: () => lz4Of(10 * GIB) },
  'lz4 of 10 GiB in 10,240 frames': {
    codec: lz4,
    build: () => repeated(compressLz4(Buffer.alloc(MIB)), 10_240),
  },
  'lz4 that declares 10 GiB of content': {
    codec: lz4,
    build: () => lz4Header('6840', 10 * GIB),
  },
  'zstd of 10 GiB in one frame of run-length blocks': { codec: zstd, build: () => zstdRuns(10 * GIB) },
  'zstd of 10 GiB in one frame of compressed blocks': {
    codec: zstd,
    build: () => zstdBlocks(81_920),
    inflatedBytesMax: 16 * MIB,
  },
  'zstd of 10 GiB in 10,240 frames': {
    codec: zstd,
    build: () => repeated(zstdCompressSync(Buffer.alloc(MIB)), 10_240),
  },
  'zstd that states 10 GiB of content': {
    codec: zstd,
    build: () => Buffer.from('28b52ffde00000008002000000010000', 'hex'),
  },
  'zstd with a window of 2 GiB': { codec: zstd, build: () => Buffer.from('28b52ffd00a8010000', 'hex') },
  'a million empty records in 7 KiB': {
    codec: gzip,
    build: () => gzipSync(Buffer.alloc(7_000_000)),
    recordCount: 1_000_000,
  },
  'two thousand million records': { codec: zstd, build: () => zstdRuns(MIB), recordCount: 2_000_000_000 },
}

/** Batches that are what they say, in as many pieces as fit: what a piece costs must not matter. */
export const MANY_PIECES: Record<string, Bomb> = {
  'zstd of 1 MiB in frames of one byte': {
    codec: zstd,
    build: () => repeated(Buffer.from('28b52ffd200109000061', 'hex'), MIB / 10),
  },
  'zstd of 1 MiB in frames of one run': {
    codec: zstd,
    build: () => repeated(Buffer.from('28b52ffd201f1d0000f96100', 'hex'), MIB / 12),
  },
  'framed snappy of 2 MiB in blocks of one byte': {
    codec: snappy,
    build: () =>
      Buffer.concat([
        compressSnappy(Buffer.alloc(0)),
        repeated(Buffer.from('00000003010061', 'hex'), MIB / 3.5),
      ]),
  },
  'gzip of 1 MiB in members of one byte': {
    codec: gzip,
    build: () => repeated(gzipSync(Buffer.from('a')), MIB / 21),
  },
  'lz4 of 1 MiB in frames of one byte': {
    codec: lz4,
    build: () => repeated(compressLz4(Buffer.from('a')), MIB / 16),
  },
}

function repeated(piece: Buffer, times: number): Buffer {
  return Buffer.alloc(piece.length * Math.floor(times), piece)
}

/** One member of zeros: a deflate block flushed to a byte boundary can be repeated as it is. */
function gzipOf(bytes: number): Buffer {
  const block = deflateRawSync(Buffer.alloc(MIB), { finishFlush: constants.Z_FULL_FLUSH })
  const stated = Buffer.alloc(8)
  stated.writeUInt32LE(bytes % (4 * GIB), 4)
  const header = Buffer.from('1f8b0800000000000003', 'hex')
  return Buffer.concat([header, repeated(block, bytes / MIB), Buffer.from('0300', 'hex'), stated])
}

/** One frame of 4 MiB blocks of zeros: a literal, then one match of the rest, then five literals. */
function lz4Of(bytes: number): Buffer {
  const matchBytes = 4 * MIB - 6
  const lengthBytes = Math.floor((matchBytes - 19) / 255)
  const block = Buffer.concat([
    Buffer.from('1f000100', 'hex'),
    Buffer.alloc(lengthBytes, 0xff),
    Buffer.from([(matchBytes - 19) % 255]),
    Buffer.from('500000000000', 'hex'),
  ])
  const size = Buffer.alloc(4)
  size.writeUInt32LE(block.length)
  const header = Buffer.from('04224d18607073', 'hex')
  return Buffer.concat([header, repeated(Buffer.concat([size, block]), bytes / (4 * MIB)), Buffer.alloc(4)])
}

/** The header of an LZ4 frame that states its content size, its checksum right. */
function lz4Header(flags: string, contentBytes: number): Buffer {
  const descriptor = Buffer.concat([Buffer.from(flags, 'hex'), Buffer.alloc(8)])
  descriptor.writeBigUInt64LE(BigInt(contentBytes), 2)
  const checksum = (xxHash32(descriptor, 0, descriptor.length) >>> 8) & 0xff
  return Buffer.concat([Buffer.from('04224d18', 'hex'), descriptor, Buffer.from([checksum, 0, 0, 0, 0])])
}

/** A frame without a stated size whose blocks are runs of 128 KiB. */
function zstdRuns(bytes: number): Buffer {
  const header = Buffer.from('28b52ffd0058', 'hex')
  const run = Buffer.from('02001000', 'hex')
  return Buffer.concat([header, repeated(run, bytes / 131_072), Buffer.from('010000', 'hex')])
}

/** A frame without a stated size whose blocks are really compressed: the second block of a text, over and over. */
function zstdBlocks(count: number): Buffer {
  const text = Buffer.alloc(3 * 131_072, 'the same line over and over, ')
  const frame = zstdCompressSync(text, { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } })
  const blocks: Buffer[] = []
  for (let at = 6; at < frame.length; ) {
    const header = frame.readUIntLE(at, 3)
    const end = at + 3 + (((header >>> 1) & 3) === 1 ? 1 : header >>> 3)
    blocks.push(frame.subarray(at, end))
    at = end
  }
  return Buffer.concat([
    frame.subarray(0, 6),
    blocks[0],
    repeated(blocks[1], count),
    Buffer.from('010000', 'hex'),
  ])
}

/** Puts the compressed records behind a header. */
export function batchAround(bomb: Bomb): Buffer {
  const packed = bomb.build()
  const header = batchOf(plainRecords(1)).subarray(0, RECORD_BATCH_HEADER_BYTES)
  const batch = Buffer.concat([header, packed])
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt16BE(bomb.codec, 21)
  batch.writeInt32BE(bomb.recordCount ?? 1, 57)
  return batch
}
