import { describe, expect, it } from 'vitest'
import { produceApi } from '../../src/wire/00-produce.ts'
import { metadataApi } from '../../src/wire/03-metadata.ts'
import { apiVersionsApi } from '../../src/wire/18-api-versions.ts'
import {
  correlationIdOf,
  decodeRequestHeader,
  decodeResponse,
  encodeRequestFrame,
  encodeResponseFrame,
} from '../../src/wire/frame.ts'
import { WireError } from '../../src/wire/wire-error.ts'

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
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

describe('decodeRequestHeader', () => {
  it('reads header v1 before the first flexible version and v2 from it on, with the client id in its classic form', () => {
    expect(decodeRequestHeader(bytes('0003 0008 00000007 0002 6869'))).toMatchObject({
      clientId: 'hi',
      bodyStart: 12,
    })
    expect(decodeRequestHeader(bytes('0003 0009 00000007 0002 6869 00'))).toMatchObject({
      clientId: 'hi',
      bodyStart: 13,
    })
    expect(decodeRequestHeader(bytes('0003 0009 00000007 ffff 01 05 02 aabb'))).toMatchObject({
      clientId: null,
      bodyStart: 15,
    })
  })

  it('takes any correlation id, and a client id that is not UTF-8', () => {
    const header = decodeRequestHeader(bytes('0003 0001 ffffff00 0001 ff'))
    expect([header.correlationId, header.clientId]).toEqual([-256, '\ufffd'])
  })

  it('reads the header of a version above the table, for the caller to refuse', () => {
    expect(decodeRequestHeader(bytes('0003 0063 00000007 ffff 00'))).toMatchObject({
      apiVersion: 99,
      bodyStart: 11,
    })
  })

  it('reads an ApiVersions request of an unknown version as far as it goes, whatever follows', () => {
    const header = decodeRequestHeader(bytes('0012 0063 00000007 ff'))
    expect(header).toEqual({ apiKey: 18, apiVersion: 99, correlationId: 7, clientId: null, bodyStart: 9 })
  })

  it('refuses an API without a table, naming it', () => {
    const failure = failureOf(() => decodeRequestHeader(bytes('03e7 0001 00000007 ffff')))
    expect(failure.code).toBe('GS_WIRE_UNSUPPORTED_VERSION')
    expect(failure.facts).toEqual({ apiKey: 999, apiVersion: 1, correlationId: 7 })
  })

  it('refuses every header that is cut short, the empty frame included', () => {
    const whole = bytes('0003 0009 00000007 0002 6869 00')
    for (let length = 0; length < whole.length; length++) {
      const failure = failureOf(() => decodeRequestHeader(whole.subarray(0, length)))
      expect(failure.code).toBe('GS_WIRE_MALFORMED')
    }
  })

  it('refuses a client id that is longer than the frame', () => {
    expect(failureOf(() => decodeRequestHeader(bytes('0003 0001 00000007 7fff 61'))).code).toBe(
      'GS_WIRE_MALFORMED',
    )
  })
})

describe('frames', () => {
  it('carry record batches without copying them, and the right size', () => {
    const records = [Buffer.alloc(5000, 1), Buffer.alloc(9000, 2)]
    const topicData = [{ name: 'orders', partitionData: [{ index: 3, records }] }]
    const parts = encodeRequestFrame(
      produceApi,
      11,
      { correlationId: 1, clientId: 'c' },
      { acks: -1, topicData },
    )
    expect(parts[1]).toBe(records[0])
    expect(parts[2]).toBe(records[1])
    const whole = Buffer.concat(parts)
    expect(whole.readInt32BE(0)).toBe(whole.length - 4)
    const frame = whole.subarray(4)
    const request = produceApi.decodeRequest(frame, decodeRequestHeader(frame).bodyStart, 11)
    const decoded = request.topicData[0]?.partitionData[0]?.records
    expect(decoded).toEqual(Buffer.concat(records))
    expect(decoded?.buffer).toBe(whole.buffer)
  })

  it('answer ApiVersions with response header v0 in every version, others with v1 once flexible', () => {
    const apiVersions = Buffer.concat(encodeResponseFrame(apiVersionsApi, 3, 7, {}))
    expect(apiVersions.subarray(4).toString('hex')).toBe('00000007 0000 01 00000000 00'.replaceAll(' ', ''))
    const metadata = Buffer.concat(encodeResponseFrame(metadataApi, 9, 7, {}))
    expect(metadata.subarray(4, 9).toString('hex')).toBe('0000000700')
  })

  it('give their correlation id without the message being read', () => {
    expect(correlationIdOf(bytes('fffffffe 99'))).toBe(-2)
    expect(() => correlationIdOf(bytes('fffffe'))).toThrow(WireError)
  })

  it('refuse a response with bytes left over', () => {
    const frame = Buffer.concat(encodeResponseFrame(metadataApi, 9, 7, {})).subarray(4)
    expect(decodeResponse(metadataApi, 9, frame).correlationId).toBe(7)
    const failure = failureOf(() => decodeResponse(metadataApi, 9, Buffer.concat([frame, Buffer.alloc(1)])))
    expect(failure.message).toContain('Metadata response v9: found 1 bytes left over')
  })
})
