/**
 * The tables against an outside encoder: every API, version and direction, as Apache Kafka's own generated classes write it
 * (`golden/GoldenMessages.java`). Each message must decode to the value Kafka was given and encode to the very same bytes.
 */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { AnyApi } from '../../src/wire/api.ts'
import { ALL_APIS, findApi } from '../../src/wire/apis.ts'
import {
  decodeRequestHeader,
  decodeResponse,
  encodeRequestFrame,
  encodeResponseFrame,
} from '../../src/wire/frame.ts'
import { WireError } from '../../src/wire/wire-error.ts'
import type { Golden } from './goldens.ts'
import { decodeAs, generatorSha256, goldenFolder, goldens, nameOf } from './goldens.ts'

const REQUEST_CORRELATION_ID = 0x01020304
const RESPONSE_CORRELATION_ID = -2

/** Encodes without regard for static types: the values come from fixtures. */
function encodeFrame(api: AnyApi, golden: Golden, value: unknown): string {
  const parts =
    golden.direction === 'request'
      ? encodeRequestFrame(
          api,
          golden.version,
          {
            correlationId: REQUEST_CORRELATION_ID,
            clientId: golden.variant === 'nulls' ? null : 'client-é',
          },
          value as never,
        )
      : encodeResponseFrame(api, golden.version, RESPONSE_CORRELATION_ID, value as never)
  return Buffer.concat(parts).toString('hex')
}

function decode(golden: Golden): unknown {
  return decodeAs(golden, Buffer.from(golden.body, 'hex'))
}

/** The decoded value in the fixture's JSON form, without the fields that the fixture's version lacks. */
function asJson(value: unknown, like: unknown): unknown {
  if (Buffer.isBuffer(value)) {
    const isUuid = value.length === 16 && typeof like === 'string' && like.length === 22
    return value.toString(isUuid ? 'base64url' : 'base64')
  }
  if (Array.isArray(value) && Array.isArray(like)) {
    return value.map((element, index) => asJson(element, like[index]))
  }
  if (value !== null && typeof value === 'object' && like !== null && typeof like === 'object') {
    const likeStruct = like as Record<string, unknown>
    const struct = value as Record<string, unknown>
    return Object.fromEntries(
      Object.keys(likeStruct).map((name) => [name, asJson(struct[name], likeStruct[name])]),
    )
  }
  return value
}

function sized(hex: string): string {
  const size = Buffer.alloc(4)
  size.writeInt32BE(hex.length / 2)
  return size.toString('hex') + hex
}

/**
 * Visits the value once for each text, byte field and array that the version has, with null in that field's place. What the
 * version lacks (and the fixture, `like`, does not hold) may be anything, and is not visited.
 */
function forEachNullCandidate(
  root: unknown,
  like: unknown,
  visit: (path: string, value: unknown) => void,
): void {
  const walk = (value: unknown, shape: unknown, path: string, rebuild: (changed: unknown) => unknown) => {
    if (
      typeof value === 'string' ||
      Array.isArray(value) ||
      (Buffer.isBuffer(value) && value.length !== 16)
    ) {
      visit(path, rebuild(null))
    }
    if (Array.isArray(value)) {
      if (typeof value[0] !== 'object' || Buffer.isBuffer(value[0])) return
      walk(value[0], (shape as unknown[])[0], path, (changed) => rebuild([changed, ...value.slice(1)]))
    } else if (value !== null && typeof value === 'object' && !Buffer.isBuffer(value)) {
      const struct = value as Record<string, unknown>
      for (const [name, inner] of Object.entries(shape as Record<string, unknown>)) {
        const innerPath = path === '' ? name : `${path}.${name}`
        walk(struct[name], inner, innerPath, (changed) => rebuild({ ...struct, [name]: changed }))
      }
    }
  }
  walk(root, like, '', (changed) => changed)
}

function isEncodable(encode: () => unknown): boolean {
  try {
    encode()
    return true
  } catch (error) {
    expect(error).toBeInstanceOf(WireError)
    return false
  }
}

describe('golden messages of Apache Kafka', () => {
  it('were made by the generator that lies beside them', () => {
    const source = readFileSync(new URL('GoldenMessages.java', goldenFolder))
    expect(createHash('sha256').update(source).digest('hex')).toBe(generatorSha256)
  })

  it('cover every API, version, direction and variant of the tables', () => {
    const wanted: string[] = []
    for (const api of ALL_APIS) {
      for (let version = api.versionMin; version <= api.versionMax; version++) {
        for (const direction of ['request', 'response']) {
          const unknown = version >= api.flexibleFrom ? ['unknown'] : []
          for (const variant of ['full', 'nulls', 'long', ...unknown, 'defaults']) {
            wanted.push(`${api.key} ${version} ${direction} ${variant}`)
          }
        }
      }
    }
    const found = goldens.map(
      ({ api, version, direction, variant }) => `${api} ${version} ${direction} ${variant}`,
    )
    expect(found.sort()).toEqual(wanted.sort())
  })

  for (const api of ALL_APIS) {
    const own = goldens.filter((golden) => golden.api === api.key)

    it(`${api.name} decodes to the values that Kafka encoded`, () => {
      for (const golden of own) {
        if (golden.value === undefined || golden.variant === 'defaults') continue
        expect(asJson(decode(golden), golden.value), nameOf(golden)).toEqual(golden.value)
      }
    })

    it(`${api.name} encodes to the bytes that Kafka encoded, header and size included`, () => {
      for (const golden of own) {
        if (golden.variant === 'unknown') continue
        expect(encodeFrame(api, golden, decode(golden)), nameOf(golden)).toBe(
          sized(golden.header + golden.body),
        )
      }
    })

    it(`${api.name} gives a field that is left out the default that Kafka gives it`, () => {
      for (const golden of own) {
        if (golden.variant !== 'defaults') continue
        expect(encodeFrame(api, golden, golden.value), nameOf(golden)).toBe(
          sized(golden.header + golden.body),
        )
      }
    })

    it(`${api.name} takes null where Kafka does and refuses it everywhere else`, () => {
      for (const golden of own) {
        if (golden.nullable === undefined) continue
        const encodable: string[] = []
        forEachNullCandidate(decode(golden), golden.value, (path, value) => {
          if (isEncodable(() => encodeFrame(api, golden, value))) encodable.push(path)
        })
        expect([...new Set(encodable)].sort(), nameOf(golden)).toEqual([...golden.nullable].sort())
      }
    })

    it(`${api.name} reads the header and finds the message behind it`, () => {
      for (const golden of own) {
        const frame = Buffer.from(golden.header + golden.body, 'hex')
        if (golden.direction === 'request') {
          const header = decodeRequestHeader(frame)
          expect(header).toEqual({
            apiKey: api.key,
            apiVersion: golden.version,
            correlationId: REQUEST_CORRELATION_ID,
            clientId: golden.variant === 'nulls' ? null : 'client-é',
            bodyStart: golden.header.length / 2,
          })
        } else {
          const { correlationId, value } = decodeResponse(api, golden.version, frame)
          expect(correlationId).toBe(RESPONSE_CORRELATION_ID)
          expect(value).toEqual(decode(golden))
        }
      }
    })

    it(`${api.name} steps over tagged fields that it does not know, in every struct`, () => {
      for (const golden of own) {
        if (golden.variant !== 'unknown') continue
        const full = own.find(
          ({ variant, version, direction }) =>
            variant === 'full' && version === golden.version && direction === golden.direction,
        ) as Golden // there is one: the coverage test says so
        expect(golden.body.length).toBeGreaterThan(full.body.length)
        expect(decode(golden)).toEqual(decode(full))
      }
    })
  }

  it('are told apart by every API: the lookup by number finds each table', () => {
    for (const api of ALL_APIS) expect(findApi(api.key)).toBe(api)
  })
})
