/** kafkajs brings gzip only; these are the usual add-ons for the other codecs. */

import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs from 'kafkajs'
import { compressFrame, decompressFrame } from 'lz4-napi'
import snappy from 'snappy'

interface Encoder {
  readonly buffer: Buffer
}

/** Teaches kafkajs snappy, lz4 and zstd, for the whole process. */
export function addKafkajsCodecs(): void {
  const { CompressionCodecs, CompressionTypes } = kafkajs
  CompressionCodecs[CompressionTypes.Snappy] = () => ({
    compress: (encoder: Encoder) => snappy.compress(encoder.buffer),
    decompress: (buffer: Buffer) => snappy.uncompress(buffer),
  })
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: (encoder: Encoder) => compressFrame(encoder.buffer),
    decompress: (buffer: Buffer) => decompressFrame(buffer),
  })
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: (encoder: Encoder) => promisify(zstdCompress)(encoder.buffer),
    decompress: (buffer: Buffer) => promisify(zstdDecompress)(buffer),
  })
}
