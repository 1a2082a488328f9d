/**
 * Turns a message table into a decoder and an encoder for one version: closures composed once, so that a message costs no
 * look-up of versions, types or options. What a version lacks is decided here and nowhere else.
 *
 * A decoded struct is made by a constructor of its own per table and version, so that all of them share one hidden class;
 * its prototype is the plain object's, so that it compares and prints like a literal.
 */

import { strict as assert } from 'node:assert'
import type { FieldOptions, FieldShape, FieldTable } from './fields.ts'
import { type Field, ZERO_UUID } from './fields.ts'
import { WireError } from './wire-error.ts'
import type { WireReader } from './wire-reader.ts'
import type { WireWriter } from './wire-writer.ts'

type Struct = Record<string, unknown>
type Decode = (reader: WireReader) => unknown
type Encode = (writer: WireWriter, value: unknown) => void

/** A compiled value: what it reads, what it writes, and the fewest bytes it can take. */
interface Codec {
  readonly decode: Decode
  readonly encode: Encode
  readonly bytesMin: number
}

/** A version of an API, as far as the encoding of its fields goes. */
interface Format {
  readonly version: number
  readonly flexible: boolean
}

/** A compiled table. */
export interface TableCodec {
  readonly decode: (reader: WireReader) => Struct
  readonly encode: (writer: WireWriter, value: Struct) => void
}

const EMPTY_BYTES = Buffer.alloc(0)
const EMPTY_ARRAY: readonly never[] = Object.freeze([])

/** Compiles one version of a table. */
export function compileTable(table: FieldTable, format: Format): TableCodec {
  return compileStruct(table, format) as unknown as TableCodec // a struct's codec takes and gives structs
}

function compileStruct(table: FieldTable, format: Format): Codec {
  const fields = Object.entries(table).map(([name, field]) => compileField(name, field, format))
  const ordered = fields.filter((field) => field.place === 'ordered')
  const tagged = fields.filter((field) => field.place === 'tagged').sort((a, b) => a.tag - b.tag)
  const essentials = fields.filter((field) => field.place === 'absent' && field.essential)
  assert(tagged.length === 0 || format.flexible, 'tagged fields need a flexible version')
  return {
    decode: structDecoder(fields, tagged, format),
    encode: structEncoder(ordered, tagged, essentials, format),
    bytesMin: ordered.reduce((sum, field) => sum + field.codec.bytesMin, format.flexible ? 1 : 0),
  }
}

interface CompiledField {
  readonly name: string
  readonly place: 'ordered' | 'tagged' | 'absent'
  readonly tag: number
  readonly essential: boolean
  readonly codec: Codec
  readonly defaultValue: unknown
  readonly isDefault: (value: unknown) => boolean
}

function compileField(name: string, field: Field<unknown, unknown>, format: Format): CompiledField {
  const { options, shape } = field
  const present =
    format.version >= (options.since ?? 0) && format.version <= (options.until ?? Number.POSITIVE_INFINITY)
  const nullable =
    options.nullable === true || format.version >= (options.nullable ?? Number.POSITIVE_INFINITY)
  const defaultValue = defaultOf(shape, options, format)
  return {
    name,
    place: !present ? 'absent' : options.tag === undefined ? 'ordered' : 'tagged',
    tag: options.tag ?? -1,
    essential: options.essential === true,
    codec: compileShape(name, shape, nullable, format),
    defaultValue,
    isDefault: defaultTest(shape, defaultValue, format),
  }
}

function structDecoder(
  fields: readonly CompiledField[],
  tagged: readonly CompiledField[],
  { flexible }: Format,
): Decode {
  const names = fields.map((field) => field.name)
  const decoders = fields.map((field): Decode => {
    const { defaultValue } = field
    return field.place === 'ordered' ? field.codec.decode : () => defaultValue
  })
  const count = fields.length
  const Decoded = function (this: Struct, reader: WireReader) {
    for (let index = 0; index < count; index++) {
      this[names[index] as string] = (decoders[index] as Decode)(reader)
    }
    if (flexible) decodeTags(reader, this, tagged)
  } as unknown as new (
    reader: WireReader,
  ) => Struct
  ;(Decoded as { prototype: object }).prototype = Object.prototype
  return (reader) => new Decoded(reader)
}

/** Known tags must fill their declared size exactly; unknown ones are stepped over, as KIP-482 asks. */
function decodeTags(reader: WireReader, into: Struct, tagged: readonly CompiledField[]): void {
  for (let left = reader.tagCount(); left > 0; left--) {
    const tag = reader.uvarint()
    const size = reader.uvarint()
    reader.need(size)
    const field = tagged.find((candidate) => candidate.tag === tag)
    if (field === undefined) {
      reader.skip(size)
      continue
    }
    const end = reader.end
    reader.end = reader.position + size
    into[field.name] = field.codec.decode(reader)
    reader.finish()
    reader.end = end
  }
}

function structEncoder(
  ordered: readonly CompiledField[],
  tagged: readonly CompiledField[],
  essentials: readonly CompiledField[],
  { version, flexible }: Format,
): Encode {
  const names = ordered.map((field) => field.name)
  const encoders = ordered.map((field) => field.codec.encode)
  const defaults = ordered.map((field) => field.defaultValue)
  const count = ordered.length
  const encodeTags = (writer: WireWriter, struct: Struct) => {
    let present = 0
    for (const field of tagged) if (isTold(field, struct)) present++
    writer.uvarint(present)
    if (present === 0) return
    for (const field of tagged) {
      if (isTold(field, struct)) writer.tagged(field.tag, field.codec.encode, struct[field.name])
    }
  }
  return (writer, value) => {
    const struct = value as Struct
    for (const field of essentials) if (isTold(field, struct)) failEssential(field.name, version)
    for (let index = 0; index < count; index++) {
      const field = struct[names[index] as string]
      ;(encoders[index] as Encode)(writer, field === undefined ? defaults[index] : field)
    }
    if (!flexible) return
    if (tagged.length === 0) writer.uvarint(0)
    else encodeTags(writer, struct)
  }
}

/** True when the struct says something else about the field than its default. */
function isTold({ name, isDefault }: CompiledField, struct: Struct): boolean {
  const value = struct[name]
  return value !== undefined && !isDefault(value)
}

function compileShape(name: string, shape: FieldShape, nullable: boolean, format: Format): Codec {
  const { flexible } = format
  switch (shape.kind) {
    case 'bool':
      return number(
        (r) => r.bool(),
        (w, v) => w.bool(v as boolean),
        1,
      )
    case 'int8':
      return number(
        (r) => r.int8(),
        (w, v) => w.int8(v as number),
        1,
      )
    case 'int16':
      return number(
        (r) => r.int16(),
        (w, v) => w.int16(v as number),
        2,
      )
    case 'int32':
      return number(
        (r) => r.int32(),
        (w, v) => w.int32(v as number),
        4,
      )
    case 'int64':
      return number(
        (r) => r.int64(),
        (w, v) => w.int64(v as number),
        8,
      )
    case 'uuid':
      return number(
        (r) => r.uuid(),
        (w, v) => writeUuid(w, v as Buffer, name),
        16,
      )
    case 'string':
      return {
        decode: (reader) => {
          const length = flexible ? reader.lengthCompact() : reader.length16()
          if (length >= 0) return reader.string(length)
          return nullable ? null : failNull(reader, name)
        },
        encode: nullChecked(name, nullable, format, (w, v) => w.string(v as string | null, flexible)),
        bytesMin: flexible ? 1 : 2,
      }
    case 'bytes':
      return {
        decode: (reader) => {
          const length = flexible ? reader.lengthCompact() : reader.length32()
          if (length >= 0) return reader.view(length)
          return nullable ? null : failNull(reader, name)
        },
        encode: nullChecked(name, nullable, format, (w, v) => w.bytes(v as Buffer | null, flexible)),
        bytesMin: flexible ? 1 : 4,
      }
    case 'array':
      return compileArray(name, compileShape(name, shape.element, false, format), nullable, format)
    case 'struct':
      return compileStruct(shape.table, format)
  }
}

function number(decode: Decode, encode: Encode, bytesMin: number): Codec {
  return { decode, encode, bytesMin }
}

function compileArray(name: string, element: Codec, nullable: boolean, format: Format): Codec {
  const { flexible } = format
  const { decode, encode, bytesMin } = element
  assert(bytesMin > 0, 'an element takes at least one byte, or its count could not be checked')
  return {
    decode: (reader) => {
      const count = reader.count(flexible, bytesMin)
      if (count <= 0) return count === 0 ? EMPTY_ARRAY : nullable ? null : failNull(reader, name)
      const values = new Array<unknown>(count)
      for (let index = 0; index < count; index++) values[index] = decode(reader)
      return values
    },
    encode: nullChecked(name, nullable, format, (writer, value) => {
      if (value === null) {
        writer.count(-1, flexible)
        return
      }
      const values = value as readonly unknown[]
      writer.count(values.length, flexible)
      for (let index = 0; index < values.length; index++) encode(writer, values[index])
    }),
    bytesMin: flexible ? 1 : 4,
  }
}

function nullChecked(name: string, nullable: boolean, { version }: Format, encode: Encode): Encode {
  if (nullable) return encode
  return (writer, value) => {
    if (value === null) {
      throw new WireError(
        'GS_WIRE_MALFORMED',
        `cannot encode ${name}: it is null, which version ${version} does not allow`,
        { field: name, version },
      )
    }
    encode(writer, value)
  }
}

function writeUuid(writer: WireWriter, value: Buffer, name: string): void {
  if (value.length !== 16) {
    throw new WireError(
      'GS_WIRE_MALFORMED',
      `cannot encode ${name}: a UUID has 16 bytes, not ${value.length}`,
      {
        field: name,
        bytes: value.length,
      },
    )
  }
  writer.raw(value)
}

/** What a field means when it is not there. Nullable fields default to null only where their table says so, as in Kafka. */
function defaultOf(shape: FieldShape, options: FieldOptions<unknown>, format: Format): unknown {
  if (options.default !== undefined) return options.default
  switch (shape.kind) {
    case 'bool':
      return false
    case 'string':
      return ''
    case 'bytes':
      return EMPTY_BYTES
    case 'uuid':
      return ZERO_UUID
    case 'array':
      return EMPTY_ARRAY
    case 'struct': {
      const value: Struct = {}
      for (const [name, field] of Object.entries(shape.table)) {
        value[name] = defaultOf(field.shape, field.options, format)
      }
      return Object.freeze(value)
    }
    default:
      return 0
  }
}

function defaultTest(shape: FieldShape, defaultValue: unknown, format: Format): (value: unknown) => boolean {
  switch (shape.kind) {
    case 'array':
      return defaultValue === null
        ? (value) => value === null
        : (value) => value !== null && (value as readonly unknown[]).length === 0
    case 'bytes':
    case 'uuid':
      return (value) =>
        value === defaultValue ||
        (Buffer.isBuffer(value) && Buffer.isBuffer(defaultValue) && value.equals(defaultValue))
    case 'struct': {
      const fields = Object.entries(shape.table).map(([name, field]) => {
        const fieldDefault = defaultOf(field.shape, field.options, format)
        return { name, isDefault: defaultTest(field.shape, fieldDefault, format) }
      })
      return (value) => {
        const struct = value as Struct
        return fields.every(({ name, isDefault }) => struct[name] === undefined || isDefault(struct[name]))
      }
    }
    default:
      return (value) => value === defaultValue
  }
}

function failNull(reader: WireReader, name: string): never {
  reader.fail(`null for ${name}, which may not be null`)
}

function failEssential(name: string, version: number): never {
  throw new WireError(
    'GS_WIRE_UNSUPPORTED_VERSION',
    `cannot encode ${name}: version ${version} has no such field, and without it the message would mean something else`,
    { field: name, version },
  )
}
