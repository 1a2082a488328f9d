/** Reads the golden messages for the tests that start from them. */

import { readFileSync } from 'node:fs'
import type { AnyApi } from '../../src/wire/api.ts'
import { findApi } from '../../src/wire/apis.ts'

/** One message of `golden/golden-messages.jsonl`; `golden/GoldenMessages.java` tells the variants apart. */
export interface Golden {
  readonly api: number
  readonly version: number
  readonly direction: 'request' | 'response'
  readonly variant: 'full' | 'nulls' | 'long' | 'unknown' | 'defaults'
  readonly header: string
  readonly body: string
  /**
   * Absent in the variant `unknown`, which must decode as `full` does. In the variant `defaults` it holds nothing but arrays of
   * structs that say nothing.
   */
  readonly value?: unknown
  /** In the variant `full`: the paths of all fields that may be null. */
  readonly nullable?: readonly string[]
}

export const goldenFolder = new URL('./golden/', import.meta.url)

const [first, ...lines] = readFileSync(new URL('golden-messages.jsonl', goldenFolder), 'utf8')
  .trim()
  .split('\n')

/** Hash of the generator that made the messages. */
export const { generatorSha256 } = JSON.parse(first as string) as { generatorSha256: string }

export const goldens: readonly Golden[] = lines.map((line) => JSON.parse(line) as Golden)

/** Decodes a body as what the golden message is. */
export function decodeAs({ api: key, version, direction }: Golden, body: Buffer): unknown {
  const api = findApi(key) as AnyApi // the coverage test says that every golden message has a table
  return direction === 'request' ? api.decodeRequest(body, 0, version) : api.decodeResponse(body, 0, version)
}

/** "Produce v9 request full", for failures. */
export function nameOf({ api, version, direction, variant }: Golden): string {
  return `${findApi(api)?.name} v${version} ${direction} ${variant}`
}
