import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BatchEncoder, encodeHeaders, NO_HEADERS } from '../../src/batch/batch-encoder.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import type { BodyFraming } from '../../src/ingress/http/body-splitter.ts'
import { BodySplitter } from '../../src/ingress/http/body-splitter.ts'
import { framingOf } from '../../src/ingress/http/stream-request.ts'

function split(
  body: Buffer,
  {
    framing = 'lines',
    key = null,
    recordBytesMax = 1000,
    batchBytesMax = 4096,
  }: {
    framing?: BodyFraming
    key?: Buffer | null
    recordBytesMax?: number
    batchBytesMax?: number
  } = {},
): { value: Buffer; key: string | null; batch: number }[] {
  const encoder = new BatchEncoder({ bytesMax: batchBytesMax })
  const headers = encodeHeaders([{ key: 'content-type', value: Buffer.from('text/plain') }])
  const splitter = new BodySplitter(body, {
    framing,
    key,
    headers,
    timestampMs: 1_700_000_000_000,
    recordBytesMax,
  })
  const cursor = new RecordCursor()
  const found: { value: Buffer; key: string | null; batch: number }[] = []
  for (let batch = 0; !splitter.done; batch += 1) {
    encoder.start()
    const recordCount = splitter.fill(encoder)
    const bytes = encoder.finish()
    expect(bytes.length).toBeLessThanOrEqual(batchBytesMax)
    expect(cursor.open(bytes).recordCount).toBe(recordCount)
    while (cursor.next()) {
      found.push({
        value: Buffer.from(cursor.valueBytes() ?? ''),
        key: cursor.keyBytes()?.toString() ?? null,
        batch,
      })
    }
  }
  return found
}

const texts = (body: string | Buffer) => split(Buffer.from(body)).map(({ value }) => value.toString('latin1'))

describe('lines', () => {
  test('end at LF; a CR, and every other byte, stays in the record', () => {
    expect(texts('a\r\nb\n\rc')).toEqual(['a\r', 'b', '\rc'])
    expect(texts(Buffer.from([0, 255, 10, 13, 10, 0]))).toEqual(['\0\xff', '\r', '\0'])
  })

  test('without a last LF still count, and lines of no bytes do not', () => {
    expect(texts('\n\na\n\n\nb')).toEqual(['a', 'b'])
    expect(texts('\n'.repeat(1000))).toEqual([])
    expect(texts('')).toEqual([])
  })

  test('are exactly what splitting at LF and dropping empties gives, in order, whatever the bytes and batch size', () => {
    const piece = fc.oneof(
      fc.constant(Buffer.from('\n')),
      fc.uint8Array({ maxLength: 60 }).map((b) => Buffer.from(b)),
    )
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 60 }).map((pieces) => Buffer.concat(pieces)),
        fc.option(
          fc.string({ maxLength: 20 }).map((key) => Buffer.from(key)),
          { nil: null },
        ),
        (body, key) => {
          const expected = body
            .toString('latin1')
            .split('\n')
            .filter((line) => line !== '')
          const found = split(body, { key, recordBytesMax: 4000, batchBytesMax: 5000 })
          expect(found.map(({ value }) => value.toString('latin1'))).toEqual(expected)
          for (const record of found) expect(record.key).toBe(key?.toString() ?? null)
        },
      ),
    )
  })

  test('fill several batches in order when one is not enough', () => {
    const lines = Array.from({ length: 500 }, (_, index) => `line ${index} ${'x'.repeat(index % 50)}`)
    const found = split(Buffer.from(lines.join('\n')), { batchBytesMax: 2048 })
    expect(found.map(({ value }) => value.toString())).toEqual(lines)
    expect(found.at(-1)?.batch).toBeGreaterThan(3)
  })
})

describe('the record limit', () => {
  test.each([
    ['the first line', `${'x'.repeat(1001)}\nshort`, 0],
    ['a line in the middle', `short\n${'x'.repeat(1001)}\nshort`, 6],
    ['the last line, without LF', `short\n${'x'.repeat(1001)}`, 6],
    ['a line after many short ones', `${'ab\n'.repeat(5000)}${'x'.repeat(1001)}`, 15_000],
  ])('refuses the whole body for %s, and says where it is', (_, body, atByte) => {
    expect(() => split(Buffer.from(body))).toThrow(
      expect.objectContaining({ code: 'record_too_large', facts: { limitBytes: 1000, atByte } }),
    )
  })

  test('takes a line of exactly the limit, with and without LF', () => {
    const line = 'x'.repeat(1000)
    expect(texts(`${line}\n${line}\nab\n${line}`)).toEqual([line, line, 'ab', line])
  })

  test('holds for a body that is one record', () => {
    expect(() => split(Buffer.alloc(1001), { framing: 'whole' })).toThrow(
      expect.objectContaining({ code: 'record_too_large' }),
    )
    expect(split(Buffer.from('a\nb\n'), { framing: 'whole' }).map(({ value }) => value.toString())).toEqual([
      'a\nb\n',
    ])
  })
})

test.each([
  ['application/x-ndjson', 'lines'],
  ['Application/X-NDJSON; charset=utf-8', 'lines'],
  ['application/jsonlines', 'lines'],
  ['text/plain', 'lines'],
  [' text/csv ;header=present', 'lines'],
  ['application/json', 'whole'],
  ['application/octet-stream', 'whole'],
  ['application/x-www-form-urlencoded', 'whole'],
  ['nonsense', 'whole'],
  [undefined, 'whole'],
] as const)('content type %j means %s', (contentType, framing) => {
  expect(framingOf(contentType)).toBe(framing)
})

test('an empty header list is not needed for a batch', () => {
  const splitter = new BodySplitter(Buffer.from('a'), {
    framing: 'lines',
    key: null,
    headers: NO_HEADERS,
    timestampMs: 0,
    recordBytesMax: 10,
  })
  const encoder = new BatchEncoder()
  encoder.start()
  expect(splitter.fill(encoder)).toBe(1)
})
