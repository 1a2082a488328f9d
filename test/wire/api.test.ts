import { describe, expect, expectTypeOf, it } from 'vitest'
import type { produceApi } from '../../src/wire/00-produce.ts'
import type { fetchApi } from '../../src/wire/01-fetch.ts'
import { listOffsetsApi } from '../../src/wire/02-list-offsets.ts'
import { metadataApi } from '../../src/wire/03-metadata.ts'
import { apiVersionsApi } from '../../src/wire/18-api-versions.ts'
import { deleteTopicsApi } from '../../src/wire/20-delete-topics.ts'
import type { Api, RequestInputOf, RequestOf, ResponseOf } from '../../src/wire/api.ts'
import { defineApi, NEVER_FLEXIBLE } from '../../src/wire/api.ts'
import { ALL_APIS, findApi } from '../../src/wire/apis.ts'
import { array, int8, int32, isZeroUuid, string, struct, uuid, ZERO_UUID } from '../../src/wire/fields.ts'
import type { WireError } from '../../src/wire/wire-error.ts'
import { WireWriter } from '../../src/wire/wire-writer.ts'

function encoded<Input>(
  api: Pick<Api<unknown, unknown, Input, never>, 'encodeRequest'>,
  version: number,
  value: Input,
): Buffer {
  const writer = new WireWriter()
  api.encodeRequest(version, value, writer)
  return Buffer.concat(writer.finish())
}

function codeOf(run: () => unknown): string {
  try {
    run()
    return 'nothing thrown'
  } catch (error) {
    return (error as WireError).code
  }
}

/** A made-up API with a field of every placement. */
const sampleApi = defineApi({
  key: 999,
  name: 'Sample',
  versions: [1, 3],
  flexibleFrom: 2,
  request: {
    old: int8({ until: 1, default: 5 }),
    kept: string({ nullable: 2, default: null }),
    mode: int8({ since: 2, essential: true }),
    hint: int8({ since: 2 }),
    late: array({ index: int32() }, { since: 3, tag: 1 }),
    place: struct({ rack: string(), id: uuid() }, { since: 2, tag: 0 }),
  },
  response: {},
})

describe('an API', () => {
  it('decodes a field that the version lacks as its default', () => {
    expect(sampleApi.decodeRequest(Buffer.from('050001 61'.replaceAll(' ', ''), 'hex'), 0, 1)).toEqual({
      old: 5,
      kept: 'a',
      mode: 0,
      hint: 0,
      late: [],
      place: { rack: '', id: ZERO_UUID },
    })
  })

  it('decodes to plain objects that compare and print like literals', () => {
    const request = sampleApi.decodeRequest(Buffer.from('050000', 'hex'), 0, 1)
    expect(Object.getPrototypeOf(request)).toBe(Object.prototype)
    expect(Object.keys(request)).toEqual(['old', 'kept', 'mode', 'hint', 'late', 'place'])
  })

  it('writes tagged fields in the order of their tags and leaves out those at their default', () => {
    const place = { rack: 'r' }
    expect(encoded(sampleApi, 3, { late: [{ index: 1 }], place }).toString('hex')).toBe(
      `00 00 00 02 00 13 0272 ${'00'.repeat(16)} 00 01 06 02 00000001 00`.replaceAll(' ', ''),
    )
    const asDefault = { late: [], place: { rack: '', id: Buffer.alloc(16) } }
    expect(encoded(sampleApi, 3, asDefault).toString('hex')).toBe('00000000')
  })

  it('refuses a known tagged field that does not fill its declared size, or goes beyond it', () => {
    const withTag = (tag: string) => Buffer.from(`000000 01 ${tag}`.replaceAll(' ', ''), 'hex')
    expect(sampleApi.decodeRequest(withTag('01 06 02 00000001 00'), 0, 3).late).toEqual([{ index: 1 }])
    expect(codeOf(() => sampleApi.decodeRequest(withTag('01 07 02 00000001 00 00'), 0, 3))).toBe(
      'GS_WIRE_MALFORMED',
    )
    expect(codeOf(() => sampleApi.decodeRequest(withTag('01 05 02 00000001 00'), 0, 3))).toBe(
      'GS_WIRE_MALFORMED',
    )
    expect(codeOf(() => sampleApi.decodeRequest(withTag('01 7f 02 00000001 00'), 0, 3))).toBe(
      'GS_WIRE_MALFORMED',
    )
  })

  it('refuses a known tagged field whose last bytes would pass for the next tagged field', () => {
    const body = Buffer.from('000000 02 01 08 02 00000001 00 05 00'.replaceAll(' ', ''), 'hex')
    expect(codeOf(() => sampleApi.decodeRequest(body, 0, 3))).toBe('GS_WIRE_MALFORMED')
  })

  it('leaves out what a version lacks, but not what would change the meaning of the message', () => {
    expect(encoded(sampleApi, 1, { hint: 1, kept: '' }).toString('hex')).toBe('050000')
    expect(encoded(sampleApi, 1, { mode: 0, kept: '' }).toString('hex')).toBe('050000')
    expect(codeOf(() => encoded(sampleApi, 1, { mode: 1, kept: '' }))).toBe('GS_WIRE_UNSUPPORTED_VERSION')
  })

  it('never sends a read-committed look-up, or a ban on making topics, in a version that cannot say so', () => {
    expect(codeOf(() => encoded(listOffsetsApi, 1, { isolationLevel: 1 }))).toBe(
      'GS_WIRE_UNSUPPORTED_VERSION',
    )
    expect(codeOf(() => encoded(metadataApi, 3, { allowAutoTopicCreation: false }))).toBe(
      'GS_WIRE_UNSUPPORTED_VERSION',
    )
    expect(encoded(metadataApi, 3, { allowAutoTopicCreation: true, topics: null }).toString('hex')).toBe(
      'ffffffff',
    )
  })

  it('refuses null, and an id of another length, before anything is sent', () => {
    expect(codeOf(() => encoded(sampleApi, 1, { kept: null }))).toBe('GS_WIRE_MALFORMED')
    expect(codeOf(() => encoded(sampleApi, 2, { kept: null }))).toBe('nothing thrown')
    expect(codeOf(() => encoded(sampleApi, 2, { place: { id: Buffer.alloc(15) } }))).toBe('GS_WIRE_MALFORMED')
  })

  it('refuses versions outside its table in both directions', () => {
    for (const version of [-1, 0, 4, 1.5, Number.NaN]) {
      const attempts = [
        () => sampleApi.decodeRequest(Buffer.alloc(3), 0, version),
        () => sampleApi.decodeResponse(Buffer.alloc(3), 0, version),
        () => encoded(sampleApi, version, {}),
      ]
      for (const attempt of attempts)
        expect(codeOf(attempt), `${version}`).toBe('GS_WIRE_UNSUPPORTED_VERSION')
    }
  })

  it('refuses bytes that are left over', () => {
    expect(codeOf(() => sampleApi.decodeRequest(Buffer.from('05000000', 'hex'), 0, 1))).toBe(
      'GS_WIRE_MALFORMED',
    )
  })

  it('refuses a request with more array elements than its limit, before making room for them', () => {
    const names = 300_000
    const body = Buffer.concat([Buffer.from('e1a712', 'hex'), Buffer.alloc(names, 1), Buffer.alloc(5)])
    expect(() => deleteTopicsApi.decodeRequest(body, 0, 4)).toThrow('more array elements than the 200000')
  })

  it('gives what was decoded as absent in a form that cannot be changed for everyone', () => {
    const request = sampleApi.decodeRequest(Buffer.from('050000', 'hex'), 0, 1)
    expect(Object.isFrozen(request.late)).toBe(true)
    expect(Object.isFrozen(request.place)).toBe(true)
  })

  it('has static types that follow the table', () => {
    expectTypeOf<RequestOf<typeof produceApi>['transactionalId']>().toEqualTypeOf<string | null>()
    expectTypeOf<RequestOf<typeof produceApi>['topicData'][number]['name']>().toEqualTypeOf<string>()
    expectTypeOf<ResponseOf<typeof fetchApi>['responses'][number]['topicId']>().toEqualTypeOf<Buffer>()
    expectTypeOf<RequestOf<typeof metadataApi>['topics']>().extract<null>().toEqualTypeOf<null>()
    expectTypeOf<RequestInputOf<typeof listOffsetsApi>['replicaId']>().toEqualTypeOf<number | undefined>()
    expectTypeOf<ResponseOf<typeof produceApi>>().toExtend<Parameters<typeof produceApi.encodeResponse>[1]>()
  })
})

describe('the list of APIs', () => {
  it('is in the order of the numbers, without doubles, and finds each', () => {
    const keys = ALL_APIS.map((api) => api.key)
    expect(keys).toEqual([...new Set(keys)].sort((a, b) => a - b))
    for (const api of ALL_APIS) expect(findApi(api.key)).toBe(api)
    expect(findApi(999)).toBeUndefined()
  })

  it('has versions and first flexible versions within each other', () => {
    for (const api of ALL_APIS) {
      expect(api.versionMin).toBeLessThanOrEqual(api.versionMax)
      expect(api.flexibleFrom === NEVER_FLEXIBLE || api.flexibleFrom <= api.versionMax, api.name).toBe(true)
    }
    expect([apiVersionsApi.versionMin, apiVersionsApi.versionMax, apiVersionsApi.flexibleFrom]).toEqual([
      0, 4, 3,
    ])
  })
})

describe('ZERO_UUID', () => {
  it('is the id that stands for none', () => {
    expect(isZeroUuid(ZERO_UUID)).toBe(true)
    expect(isZeroUuid(Buffer.alloc(16, 1))).toBe(false)
  })
})
