/**
 * The attributes (or the resource) of the event being built: an ordered map from name to JSON value, reused from
 * line to line. Two arrays and a linear search beat a Map for the ten fields a line has; past `INDEXED_FROM` fields
 * an index is kept, so a hostile line with a hundred thousand keys costs no more per key than a friendly one.
 */

import type { JsonValue } from './json-text.ts'
import { encodeJson, encodeKey } from './json-text.ts'

const INDEXED_FROM = 24

export class FieldMap {
  readonly #keys: string[] = []
  readonly #values: JsonValue[] = []
  #count = 0
  #index: Map<string, number> | null = null

  /** How many fields there are. */
  get count(): number {
    return this.#count
  }

  /** Sets a field; one of the same name is replaced in its place. */
  set(key: string, value: JsonValue): void {
    const at = this.#find(key)
    if (at >= 0) this.#values[at] = value
    else this.#push(key, value)
  }

  /** Sets a field unless it is there already. True when it was set. */
  setIfAbsent(key: string, value: JsonValue): boolean {
    if (this.#find(key) >= 0) return false
    this.#push(key, value)
    return true
  }

  /**
   * Adds a field that the caller knows is not there yet: a parser's own constant names, or the keys of one parsed
   * object added to an empty map. Skips the search that `set` makes.
   */
  add(key: string, value: JsonValue): void {
    this.#push(key, value)
  }

  get(key: string): JsonValue | undefined {
    const at = this.#find(key)
    return at < 0 ? undefined : this.#values[at]
  }

  has(key: string): boolean {
    return this.#find(key) >= 0
  }

  /** Removes a field, keeping the order of the rest. True when there was one. */
  delete(key: string): boolean {
    const at = this.#find(key)
    if (at < 0) return false
    this.#keys.splice(at, 1)
    this.#values.splice(at, 1)
    this.#count -= 1
    this.#index = null
    return true
  }

  /** Removes every field. */
  clear(): void {
    // Wide lines must not leave their arrays behind for the life of the enricher.
    if (this.#keys.length > 4 * INDEXED_FROM) {
      this.#keys.length = 0
      this.#values.length = 0
    }
    this.#count = 0
    this.#index = null
  }

  /** Every field in order. Do not set or delete while walking. */
  *entries(): IterableIterator<[key: string, value: JsonValue]> {
    for (let at = 0; at < this.#count; at += 1)
      yield [this.#keys[at] as string, this.#values[at] as JsonValue]
  }

  /** The fields as the text of a JSON object. */
  encode(): string {
    if (this.#count === 0) return '{}'
    let text = `{${encodeKey(this.#keys[0] as string)}${encodeJson(this.#values[0] as JsonValue)}`
    for (let at = 1; at < this.#count; at += 1) {
      text += `,${encodeKey(this.#keys[at] as string)}${encodeJson(this.#values[at] as JsonValue)}`
    }
    return `${text}}`
  }

  #push(key: string, value: JsonValue): void {
    this.#keys[this.#count] = key
    this.#values[this.#count] = value
    if (this.#index !== null) this.#index.set(key, this.#count)
    this.#count += 1
  }

  #find(key: string): number {
    if (this.#count <= INDEXED_FROM) {
      for (let at = 0; at < this.#count; at += 1) if (this.#keys[at] === key) return at
      return -1
    }
    if (this.#index === null) {
      this.#index = new Map()
      for (let at = 0; at < this.#count; at += 1) this.#index.set(this.#keys[at] as string, at)
    }
    return this.#index.get(key) ?? -1
  }
}
