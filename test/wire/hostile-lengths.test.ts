/**
 * Every length field of every message, set to every value an attacker would try. The positions are found by watching the
 * reader while it decodes the golden messages, so that no length field of any table is forgotten.
 */

import { afterEach, describe, expect, it, vi } from 'vitest'
import { ALL_APIS } from '../../src/wire/apis.ts'
import { WireError } from '../../src/wire/wire-error.ts'
import { WireReader } from '../../src/wire/wire-reader.ts'
import { WireWriter } from '../../src/wire/wire-writer.ts'
import type { Golden } from './goldens.ts'
import { decodeAs, goldens, nameOf } from './goldens.ts'

/** A length, count or size within a message. */
interface LengthField {
  readonly start: number
  readonly end: number
  readonly form: 'int16' | 'int32' | 'uvarint'
}

/** What reads a length, by the form it has on the wire. */
const CLASSIC = { length16: 'int16', length32: 'int32' } as const

/** Decodes the message and notes where its lengths lie. Varints are lengths, counts, sizes or tags. */
function lengthFieldsOf(golden: Golden): LengthField[] {
  const fields: LengthField[] = []
  const note = (reader: WireReader, start: number, form: LengthField['form']) => {
    fields.push({ start, end: reader.position, form })
  }
  const { uvarint, count } = WireReader.prototype
  for (const [method, form] of Object.entries(CLASSIC) as ['length16' | 'length32', 'int16' | 'int32'][]) {
    const original = WireReader.prototype[method]
    vi.spyOn(WireReader.prototype, method).mockImplementation(function (this: WireReader) {
      const start = this.position
      const length = original.call(this)
      note(this, start, form)
      return length
    })
  }
  vi.spyOn(WireReader.prototype, 'uvarint').mockImplementation(function (this: WireReader) {
    const start = this.position
    const value = uvarint.call(this)
    note(this, start, 'uvarint')
    return value
  })
  vi.spyOn(WireReader.prototype, 'count').mockImplementation(function (
    this: WireReader,
    compact,
    elementBytesMin,
  ) {
    const start = this.position
    const value = count.call(this, compact, elementBytesMin)
    if (!compact) note(this, start, 'int32')
    return value
  })
  decodeAs(golden, Buffer.from(golden.body, 'hex'))
  vi.restoreAllMocks()
  return fields
}

function encodedLength(form: LengthField['form'], value: number): Buffer | null {
  if (form === 'int16') return value > 0x7fff ? null : int(2, value)
  if (form === 'int32') return value > 0x7fffffff ? null : int(4, value)
  const writer = new WireWriter()
  writer.uvarint(value)
  return Buffer.concat(writer.finish())
}

function int(bytes: number, value: number): Buffer {
  const encoded = Buffer.alloc(bytes)
  encoded.writeIntBE(value, 0, bytes)
  return encoded
}

function withReplaced(body: Buffer, { start, end }: LengthField, replacement: Buffer): Buffer {
  return Buffer.concat([body.subarray(0, start), replacement, body.subarray(end)])
}

/** 'value' or 'refused'; anything else that is thrown fails the test. */
function outcomeOf(golden: Golden, body: Buffer): 'value' | 'refused' {
  try {
    decodeAs(golden, body)
    return 'value'
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    return 'refused'
  }
}

const OVERLONG = Buffer.from('ffffffffff01', 'hex')
const ABOVE_32_BITS = Buffer.from('ffffffff1f', 'hex')

afterEach(() => {
  vi.restoreAllMocks()
})

describe('a hostile length', () => {
  const subjects = goldens.filter(({ variant }) => variant === 'full')

  for (const api of ALL_APIS) {
    it(`in any field of ${api.name} gives a value or a WireError, and never a value where it says more than remains`, () => {
      let fieldCount = 0
      for (const golden of subjects) {
        if (golden.api !== api.key) continue
        const body = Buffer.from(golden.body, 'hex')
        for (const field of lengthFieldsOf(golden)) {
          fieldCount++
          const remaining = body.length - field.end
          const name = `${nameOf(golden)}, ${field.form} at byte ${field.start}`
          // The null form, nothing, and all that remains may be right by chance; a tag may be any number.
          for (const length of field.form === 'uvarint'
            ? [0, 1, remaining, remaining + 1]
            : [-1, 0, remaining]) {
            const bytes = encodedLength(field.form, length)
            if (bytes !== null) outcomeOf(golden, withReplaced(body, field, bytes))
          }
          if (field.form === 'uvarint') {
            for (const bytes of [OVERLONG, ABOVE_32_BITS]) {
              expect(outcomeOf(golden, withReplaced(body, field, bytes)), name).toBe('refused')
            }
            for (const length of [0x7fffffff, 0x80000000, 0xffffffff]) {
              const bytes = encodedLength('uvarint', length) as Buffer // a varint holds them all
              const hostile = withReplaced(body, field, bytes)
              // Tags are the one varint that is not a length: any tag is allowed and then unknown.
              if (outcomeOf(golden, hostile) === 'value') expect(isTag(golden, field), name).toBe(true)
            }
          } else {
            for (const length of [-2, remaining + 1, 0x7fff, 0x7fffffff]) {
              const bytes = encodedLength(field.form, length)
              if (bytes === null || (length > 0 && length <= remaining)) continue
              expect(outcomeOf(golden, withReplaced(body, field, bytes)), `${name} set to ${length}`).toBe(
                'refused',
              )
            }
          }
        }
      }
      if (api.name !== 'EndTxn' && api.name !== 'Heartbeat') expect(fieldCount).toBeGreaterThan(5)
    })
  }

  it('costs no memory: an array of two thousand million elements is refused in place', () => {
    const golden = subjects.find(
      ({ api, version, direction }) => api === 3 && version === 8 && direction === 'request',
    )
    const body = Buffer.concat([int(4, 0x7fffffff), Buffer.alloc(1024 * 1024)])
    const before = process.memoryUsage()
    for (let turn = 0; turn < 100; turn++) expect(outcomeOf(golden as Golden, body)).toBe('refused')
    const after = process.memoryUsage()
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(
      8 * 1024 * 1024,
    )
  })

  it('is refused for every golden message that is cut short anywhere', () => {
    for (const golden of goldens) {
      if (golden.variant === 'long') continue
      const body = Buffer.from(golden.body, 'hex')
      for (let length = 0; length < body.length; length++) {
        if (outcomeOf(golden, body.subarray(0, length)) === 'value') {
          expect.fail(`${nameOf(golden)} decoded from its first ${length} bytes of ${body.length}`)
        }
      }
    }
  })

  it('is refused for every golden message with one byte more than it has, but for Metadata requests', () => {
    for (const golden of goldens) {
      const body = Buffer.from(`${golden.body}00`, 'hex')
      const isIgnored = nameOf(golden).startsWith('Metadata v') && nameOf(golden).includes('request')
      expect(outcomeOf(golden, body), nameOf(golden)).toBe(isIgnored ? 'value' : 'refused')
    }
  })
})

/** True when the varint is a tag: setting it to another unknown number still decodes. */
function isTag(golden: Golden, field: LengthField): boolean {
  const body = Buffer.from(golden.body, 'hex')
  return outcomeOf(golden, withReplaced(body, field, Buffer.from('e807', 'hex'))) === 'value'
}
