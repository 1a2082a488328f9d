/** The layer table of `src/README.md` is the rule; this reads it, and every import there is. */

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const SRC = fileURLToPath(new URL('../src/', import.meta.url))

interface Layer {
  readonly row: number
  readonly paths: readonly string[]
  readonly mayImport: string
}

interface Import {
  readonly from: string
  readonly to: string
}

const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .sort()
const text = new Map(sources.map((file) => [file, readFileSync(join(SRC, file), 'utf8')]))
const readme = readFileSync(join(SRC, 'README.md'), 'utf8')
const layers = readme
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .filter((cells) => /^\d+$/.test(cells[1] ?? ''))
  .map(
    (cells): Layer => ({
      row: Number(cells[1]),
      paths: [...(cells[2] ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''),
      mayImport: cells[4] ?? '',
    }),
  )
const imports: Import[] = sources.flatMap((from) => importsOf(from))

/** Static, type-only, re-exporting and dynamic imports of our own files, and worker modules named as URLs. */
function importsOf(from: string): Import[] {
  const code = (text.get(from) ?? '').replaceAll(/^\s*(\/\*\*?[\s\S]*?\*\/|\/\/.*)$/gm, '')
  const specifiers = [...code.matchAll(/(?:\bfrom|\bimport|\bimport\(|moduleUrl\()\s*'(\.[^']+)'/g)]
  return specifiers.map((match) => ({
    from,
    to: relative(SRC, resolve(SRC, dirname(from), match[1] ?? '')),
  }))
}

function layerOf(file: string): Layer | undefined {
  return layers.find(({ paths }) =>
    paths.some((path) => (path.endsWith('/') ? file.startsWith(path) : file === path)),
  )
}

function nameOf(layer: Layer): string {
  return (layer.paths[0] ?? '').replace(/(\.ts|\/)$/, '')
}

function mayImport(from: Layer, to: Layer): boolean {
  if (from === to) return true
  if (to.row <= from.row) return false
  if (from.mayImport.startsWith('every layer below')) return true
  if (from.mayImport.includes('every layer below app')) return true
  return from.mayImport.split(/,\s*/).includes(nameOf(to))
}

test('every source file belongs to a layer of the table, and every layer exists', () => {
  const homeless = sources.filter((file) => layerOf(file) === undefined)
  const empty = layers.flatMap(({ paths }) =>
    paths.filter(
      (path) => !sources.some((file) => file === path || (path.endsWith('/') && file.startsWith(path))),
    ),
  )

  expect(homeless).toEqual([])
  expect(empty).toEqual([])
})

test('imports point down the table, type imports included', () => {
  const wrong = imports.filter(({ from, to }) => {
    const fromLayer = layerOf(from)
    const toLayer = layerOf(to)
    return fromLayer !== undefined && (toLayer === undefined || !mayImport(fromLayer, toLayer))
  })

  expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
})

test('there are no import cycles, type imports included', () => {
  const cycles: string[] = []
  const targets = Map.groupBy(imports, ({ from }) => from)
  const state = new Map<string, 'open' | 'done'>()
  const visit = (file: string, path: readonly string[]) => {
    if (state.get(file) === 'done') return
    if (state.get(file) === 'open') {
      cycles.push([...path.slice(path.indexOf(file)), file].join(' > '))
      return
    }
    state.set(file, 'open')
    for (const { to } of targets.get(file) ?? []) visit(to, [...path, file])
    state.set(file, 'done')
  }
  for (const file of sources) visit(file, [])

  expect(cycles).toEqual([])
})

test('every import names an existing file', () => {
  expect(imports.filter(({ to }) => !text.has(to)).map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
})

test('below app.ts nobody but the named files touches clock, randomness, disk or process', () => {
  const appRow = layers.find(({ paths }) => paths.includes('app.ts'))?.row ?? 0
  const real = [...readme.matchAll(/^\| `([a-z/-]+\.ts)` \|/gm)].map((match) => match[1] ?? '')
  const below = sources.filter((file) => (layerOf(file)?.row ?? 0) > appRow && !real.includes(file))
  const touches: readonly [name: string, pattern: RegExp][] = [
    ['node:fs', /from 'node:fs(\/promises)?'/],
    ['process', /(?<![.\w'"`-])process\.\w|from 'node:process'/],
    ['Date.now', /\bDate\.now\(|\bnew Date\(\)/],
    ['performance.now', /\bperformance\.now\(/],
    ['Math.random', /\bMath\.random\(/],
    ['timers', /(?<![.\w])(setTimeout|setInterval)\(/],
  ]
  const found = below.flatMap((file) => {
    const code = (text.get(file) ?? '').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    return touches.filter(([, pattern]) => pattern.test(code)).map(([name]) => `${file} touches ${name}`)
  })

  expect(real.length).toBeGreaterThan(0)
  expect(real.filter((file) => !text.has(file))).toEqual([])
  expect(found).toEqual([])
})
