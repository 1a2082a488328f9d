/**
 * The attributes (or the resource) of the event being built: a map from name to JSON value over one plain object,
 * because `JSON.parse` makes one and `JSON.stringify` writes one faster than anything else there is. A parsed line's
 * object becomes the attributes as it is; a field that is taken out of it is set to undefined, which is not written.
 */

import type { JsonObject, JsonValue } from './json-value.ts'

type Fields = Record<string, JsonValue | undefined>

const NO_FIELDS: Fields = Object.freeze({})

export class FieldMap {
  #fields: Fields | null = null

  /** True when nothing was ever set since the last `clear`. */
  get isUntouched(): boolean {
    return this.#fields === null
  }

  /** Sets a field; one of the same name is replaced. */
  set(key: string, value: JsonValue): void {
    this.#fields ??= {}
    // The one name that an assignment takes for something else than data.
    if (key === '__proto__') define(this.#fields, key, value)
    else this.#fields[key] = value
  }

  /** Sets a field unless it is there already. True when it was set. */
  setIfAbsent(key: string, value: JsonValue): boolean {
    if (this.has(key)) return false
    this.set(key, value)
    return true
  }

  /**
   * Sets every field of `object`, in its order; undefined members are none. The object is the map's own from then on:
   * the caller does not touch it again.
   */
  adopt(object: JsonObject | Fields): void {
    if (this.#fields === null) {
      this.#fields = object as Fields
      return
    }
    for (const key in object) {
      const value = object[key]
      if (value !== undefined) this.set(key, value)
    }
  }

  get(key: string): JsonValue | undefined {
    const fields = this.#fields
    return fields !== null && Object.hasOwn(fields, key) ? fields[key] : undefined
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  /** Removes a field. True when there was one. */
  delete(key: string): boolean {
    const fields = this.#fields
    if (fields === null || !Object.hasOwn(fields, key) || fields[key] === undefined) return false
    if (key === '__proto__') define(fields, key, undefined)
    else fields[key] = undefined
    return true
  }

  /** Removes a field that is known to be there. */
  drop(key: string): void {
    if (this.#fields !== null) this.#fields[key] = undefined
  }

  /** Removes every field, by letting go of the object. */
  clear(): void {
    this.#fields = null
  }

  /** Every field in order. Do not set or delete while walking. */
  *entries(): IterableIterator<[key: string, value: JsonValue]> {
    const fields = this.#fields ?? NO_FIELDS
    for (const key of Object.keys(fields)) {
      const value = fields[key]
      if (value !== undefined) yield [key, value]
    }
  }

  /** The fields as the text of a JSON object. Throws for what JSON cannot say (a cycle). */
  encode(): string {
    return this.#fields === null ? '{}' : JSON.stringify(this.#fields)
  }
}

function define(fields: Fields, key: string, value: JsonValue | undefined): void {
  Object.defineProperty(fields, key, { value, writable: true, enumerable: true, configurable: true })
}
