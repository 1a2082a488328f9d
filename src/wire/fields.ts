/**
 * The words a message table is written in: one constructor per type of the Kafka protocol. A table is a plain object
 * whose keys are the field names of Kafka's message definitions (in camel case) and whose order is the order on the wire;
 * the static types of decoded and encodable values are inferred from it.
 */

/** Where and how a field appears. Versions count from the API's own; both bounds are inclusive. */
export interface FieldOptions<Value> {
  /** First version that has the field; without it, every version has. */
  readonly since?: number
  /** Last version that has the field. */
  readonly until?: number
  /** True when null is allowed in all versions, or the first version that allows it. */
  readonly nullable?: true | number
  /** The field's number when it is written among the tagged fields (KIP-482) instead of in order. */
  readonly tag?: number
  /** What a version without the field, or a sender that leaves it out, means. Otherwise zero, empty or false. */
  readonly default?: Value | null
  /**
   * The message would mean something else without this field: encoding a value other than the default in a version that
   * lacks it throws `GS_WIRE_UNSUPPORTED_VERSION`. Other fields are left out silently, so that a caller may fill in all
   * it knows and let the version decide.
   */
  readonly essential?: true
}

/** What a field is made of; compiled to a decoder and an encoder by `compile.ts`. */
export type FieldShape =
  | { readonly kind: 'bool' | 'int8' | 'int16' | 'int32' | 'int64' | 'string' | 'bytes' | 'uuid' }
  | { readonly kind: 'array'; readonly element: FieldShape }
  | { readonly kind: 'struct'; readonly table: FieldTable }

/** One field of a table. The two type parameters are what decoding gives and what encoding takes. */
export class Field<out Decoded, out Encodable> {
  declare readonly decoded: Decoded
  declare readonly encodable: Encodable
  readonly shape: FieldShape
  readonly options: FieldOptions<unknown>

  constructor(shape: FieldShape, options: FieldOptions<unknown>) {
    this.shape = shape
    this.options = options
  }
}

export type FieldTable = { readonly [name: string]: Field<unknown, unknown> }

/** What decoding a table gives: every field present, with its default where the version lacks it. */
export type DecodedOf<Table extends FieldTable> = { [Name in keyof Table]: Table[Name]['decoded'] }
/** What encoding a table takes: any field may be left out and is then sent as its default. */
export type EncodableOf<Table extends FieldTable> = {
  readonly [Name in keyof Table]?: Table[Name]['encodable'] | undefined
}

type OrNull<Options, Value> = Options extends { readonly nullable: true | number } ? Value | null : Value
type Element = Field<unknown, unknown> | FieldTable
type DecodedElement<E extends Element> =
  E extends Field<infer Decoded, unknown> ? Decoded : E extends FieldTable ? DecodedOf<E> : never
type EncodableElement<E extends Element> =
  E extends Field<unknown, infer Encodable> ? Encodable : E extends FieldTable ? EncodableOf<E> : never

/** Sixteen zero bytes: "no id" on the wire. */
export const ZERO_UUID: Buffer = Buffer.alloc(16)

/** True for the id that stands for none. */
export function isZeroUuid(uuid: Buffer): boolean {
  return uuid.equals(ZERO_UUID)
}

type Plain<Value> = FieldOptions<Value> & { readonly nullable?: never }

/** One byte; anything but zero decodes as true. */
export const bool = (options: Plain<boolean> = {}): Field<boolean, boolean> =>
  new Field({ kind: 'bool' }, options)
/** A signed number of 8 bits. */
export const int8 = (options: Plain<number> = {}): Field<number, number> =>
  new Field({ kind: 'int8' }, options)
/** A signed number of 16 bits. */
export const int16 = (options: Plain<number> = {}): Field<number, number> =>
  new Field({ kind: 'int16' }, options)
/** A signed number of 32 bits. */
export const int32 = (options: Plain<number> = {}): Field<number, number> =>
  new Field({ kind: 'int32' }, options)
/** A signed number of 64 bits, as a double: exact up to 2^53 either way, rounded beyond. */
export const int64 = (options: Plain<number> = {}): Field<number, number> =>
  new Field({ kind: 'int64' }, options)
/** An id of 16 bytes; decoding gives a view of the message. */
export const uuid = (options: Plain<Buffer> = {}): Field<Buffer, Buffer> =>
  new Field({ kind: 'uuid' }, options)

/** UTF-8 text of at most 32,767 bytes. */
export function string<const Options extends FieldOptions<string>>(
  options: Options = {} as Options,
): Field<OrNull<Options, string>, OrNull<Options, string>> {
  return new Field({ kind: 'string' }, options)
}

/** Any bytes; decoding gives a view of the message. */
export function bytes<const Options extends FieldOptions<Buffer>>(
  options: Options = {} as Options,
): Field<OrNull<Options, Buffer>, OrNull<Options, Buffer>> {
  return new Field({ kind: 'bytes' }, options)
}

/** Record batches, nullable in every version; decoding gives a view, and a list is encoded end to end without copying. */
export function records(
  options: FieldOptions<Buffer> = {},
): Field<Buffer | null, Buffer | readonly Buffer[] | null> {
  return new Field({ kind: 'bytes' }, { nullable: true, default: null, ...options })
}

/** An array of fields (`array(int32())`) or of structs (`array({ index: int32() })`). */
export function array<E extends Element, const Options extends FieldOptions<never>>(
  element: E,
  options: Options = {} as Options,
): Field<OrNull<Options, readonly DecodedElement<E>[]>, OrNull<Options, readonly EncodableElement<E>[]>> {
  const shape: FieldShape =
    element instanceof Field ? element.shape : { kind: 'struct', table: element as FieldTable }
  return new Field({ kind: 'array', element: shape }, options)
}

/** A struct within a message. */
export function struct<Table extends FieldTable>(
  table: Table,
  options: Plain<never> = {},
): Field<DecodedOf<Table>, EncodableOf<Table>> {
  return new Field({ kind: 'struct', table }, options)
}
