// What the documents and the headers of the source point at is there.

import { existsSync } from 'node:fs'
import { glob, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../src/config/load-config.ts'
import { CONFIG_OPTIONS } from '../src/config/options.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Files of this repository in backticks or links: `kafka/fetcher.ts`, [x](HACKING.md), and the like. */
const FILE = /[`(]((?:[\w.-]+\/)*[\w-]+(?:\.[\w-]+)*\.(?:ts|md|json|yaml))[`)]/g
/** Beside the root, because prose about the source leaves out where it all is. */
const BASES = ['', 'src/', 'schemas/formats/']

/** Names that stand for any, and one of Kafka's. */
const EXAMPLES = ['gophership.yaml', 'mine.yaml', 'src/a/b.ts', 'test/a/b.test.ts', 'OffsetCommitKey.json']

async function pathsUnder(...patterns: string[]): Promise<string[]> {
  const paths: string[] = []
  for await (const path of glob(patterns, { cwd: ROOT })) paths.push(path)
  return paths.sort()
}

/** Files mentioned in these files that are nowhere, as `where: what`. */
async function missingMentions(paths: readonly string[]): Promise<string[]> {
  const missing: string[] = []
  // A file named without its folder is one that the text around it makes clear.
  const sources = new Set(
    (await pathsUnder('src/**/*.ts')).map((path) => path.slice(path.lastIndexOf('/') + 1)),
  )
  for (const path of paths) {
    const text = await readFile(ROOT + path, 'utf8')
    const beside = path.slice(0, path.lastIndexOf('/') + 1)
    for (const [, name = ''] of text.matchAll(FILE)) {
      const isThere = sources.has(name) || [...BASES, beside].some((base) => existsSync(ROOT + base + name))
      if (!isThere && !EXAMPLES.includes(name)) missing.push(`${path}: ${name}`)
    }
  }
  return missing
}

test('every file that a document mentions exists', async () => {
  const missing = await missingMentions(await pathsUnder('*.md', 'src/*.md', 'schemas/**/*.md'))

  expect(missing).toEqual([])
})

test('every drawing that the source refers to exists, and each is referred to by somebody', async () => {
  const drawings = await pathsUnder('schemas/formats/*.md')
  const texts = await Promise.all(
    (await pathsUnder('src/**/*.ts', '*.md', 'src/*.md')).map((path) => readFile(ROOT + path, 'utf8')),
  )
  const mentioned = new Set(texts.flatMap((text) => text.match(/schemas\/formats\/[\w-]+\.md/g) ?? []))

  expect([...mentioned].filter((path) => !drawings.includes(path))).toEqual([])
  expect(drawings.filter((path) => !mentioned.has(path))).toEqual([])
})

test('the source explains itself to a reader who has nothing but the repository', async () => {
  const strangers = /\bDESIGN\b|PROMISES|KAFKA-WIRE|\b(?:row|promise) [A-Z]\d/
  const paths = await pathsUnder('src/**/*.ts', '*.md', 'src/*.md', 'schemas/**/*.md')
  const found: string[] = []
  for (const path of paths) {
    const lines = (await readFile(ROOT + path, 'utf8')).split('\n')
    found.push(...lines.filter((line) => strangers.test(line)).map((line) => `${path}: ${line.trim()}`))
  }

  expect(found).toEqual([])
})

test('what the container files set is what the configuration knows', async () => {
  const known = CONFIG_OPTIONS.map(({ environmentName }) => environmentName)
  const dockerfile = await readFile(`${ROOT}docker/Dockerfile`, 'utf8')
  const compose = parse(await readFile(`${ROOT}docker/compose.yaml`, 'utf8')) as {
    services: { gophership: { environment: Record<string, string> } }
  }
  const inDockerfile = Object.fromEntries(
    [...dockerfile.matchAll(/(GOPHERSHIP_\w+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value]),
  )
  const environment = { ...inDockerfile, ...compose.services.gophership.environment }

  expect(Object.keys(environment).filter((name) => !known.includes(name))).toEqual([])
  expect(Object.keys(environment)).not.toHaveLength(0)
  expect(loadConfig({ environment }).warnings).toEqual([])
})
