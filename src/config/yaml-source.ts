/** The configuration file: YAML 1.2 to plain data, remembering on which line each key stands. */

import type { Document, Node, Pair } from 'yaml'
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import { ConfigError } from './config-error.ts'

/** Largest configuration file, in characters; far above any real one. */
const FILE_CHARS_MAX = 1_000_000

export interface YamlSource {
  /** The file as data; an empty file is an empty object. */
  readonly data: unknown
  /** `file:line` of the key (or, failing that, of the nearest object around it) at this path. */
  sourceOf(path: readonly PropertyKey[]): string
}

/** Parses the file. Throws ConfigError with the line of every syntax error. */
export function parseYaml(fileName: string, text: string): YamlSource {
  if (text.length > FILE_CHARS_MAX) {
    const message = `expected at most ${FILE_CHARS_MAX} characters, found ${text.length}`
    throw new ConfigError([{ source: fileName, path: '', message }])
  }
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true })
  if (document.errors.length > 0) {
    throw new ConfigError(
      document.errors.map((error) => ({
        source: `${fileName}:${lines.linePos(error.pos[0]).line}`,
        path: '',
        message:
          error.code === 'MULTIPLE_DOCS'
            ? 'expected one YAML document, found a second one after this "---"'
            : `not valid YAML: ${error.message}`,
      })),
    )
  }
  const lineOf = (node: Node | null): number | null =>
    node?.range == null ? null : lines.linePos(node.range[0]).line
  return {
    data: toData(fileName, document),
    sourceOf(path) {
      let line = lineOf(document.contents)
      let at: unknown = document.contents
      for (const key of path) {
        const pair: Pair<unknown, unknown> | undefined = isMap(at)
          ? at.items.find((item) => isScalar(item.key) && item.key.value === key)
          : undefined
        if (pair === undefined) break
        line = lineOf(pair.key as Node) ?? line
        at = pair.value
      }
      return line === null ? fileName : `${fileName}:${line}`
    },
  }
}

/** Aliases are resolved here, and bounded: a few lines of them can stand for gigabytes. */
function toData(fileName: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {}
  } catch (error) {
    const message = `not valid YAML: ${error instanceof Error ? error.message : String(error)}`
    throw new ConfigError([{ source: fileName, path: '', message }])
  }
}
