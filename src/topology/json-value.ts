/**
 * The values that events are made of: what JSON can say, and numbers that a double cannot hold.
 */

/** What a JSON document can hold, and so what an attribute or a body can be. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject
/** A JSON object. Read its own keys only: `__proto__` and `constructor` are data like any other key. */
export interface JsonObject {
  readonly [key: string]: JsonValue
}

/** A number kept as it was written, because a double cannot hold it: 64-bit ids, nanosecond epochs. */
interface RawNumber {
  readonly rawJSON: string
}

interface JsonWithRawText {
  rawJSON(text: string): RawNumber
  isRawJSON(value: unknown): value is RawNumber
}
/** ES2026 source text access, in every Node this project supports; TypeScript's es2024 library lacks its types. */
const jsonWithRawText = JSON as unknown as JsonWithRawText

/** A number in its own digits, to be written into the output verbatim. `text` is a JSON number. */
export function rawNumber(text: string): JsonValue {
  return jsonWithRawText.rawJSON(text) as unknown as JsonValue
}

/** The digits of a number that `rawNumber` made, null for any other value. */
export function rawNumberText(value: JsonValue): string | null {
  return typeof value === 'object' && jsonWithRawText.isRawJSON(value) ? value.rawJSON : null
}

/** True for a JSON object that is neither an array nor a number kept in its own digits. */
export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && rawNumberText(value) === null
}

/** The object's own member, undefined for none: names such as `constructor` are inherited by every object. */
export function ownMember(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

/** The object's own member when it is a string. */
export function ownString(object: JsonObject, key: string): string | undefined {
  const value = ownMember(object, key)
  return typeof value === 'string' ? value : undefined
}

/** `object[key] = value`, also for the one name that JavaScript takes for something else than data. */
export function assignMember(
  object: Record<string, JsonValue | undefined>,
  key: string,
  value: JsonValue | undefined,
): void {
  if (key === '__proto__')
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  else object[key] = value
}
