/**
 * Breaks the code on purpose and watches the tests. Each mutant is one replacement in a copy of the checkout; the
 * named tests are run there, and must fail. A mutant whose text is no longer found is an error: the list has rotted.
 */

import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const COPIED = ['src', 'test', 'topologies', 'schemas', 'package.json', 'tsconfig.json']

export interface Mutant {
  /** What is broken, as a sentence fragment. */
  readonly name: string
  readonly file: string
  /** Text that occurs exactly once in `file`. */
  readonly find: string
  readonly replace: string
  /** The test files that must notice. */
  readonly tests: readonly string[]
}

export interface MutantResult {
  readonly caught: boolean
  readonly output: string
}

/** Runs one mutant in a copy of its own. */
export async function runMutant(mutant: Mutant): Promise<MutantResult> {
  const directory = await mkdtemp(join(tmpdir(), 'gophership-mutant-'))
  try {
    for (const entry of COPIED) await cp(join(ROOT, entry), join(directory, entry), { recursive: true })
    await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
    const path = join(directory, mutant.file)
    const source = await readFile(path, 'utf8')
    const parts = source.split(mutant.find)
    if (parts.length !== 2) {
      throw new Error(
        `mutant '${mutant.name}': expected its text once in ${mutant.file}, found it ${parts.length - 1} times`,
      )
    }
    await writeFile(path, parts.join(mutant.replace))
    return await runTests(directory, mutant.tests)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function runTests(directory: string, tests: readonly string[]): Promise<MutantResult> {
  return new Promise((resolve, reject) => {
    const vitest = join(directory, 'node_modules/vitest/vitest.mjs')
    const child = spawn(
      process.execPath,
      [vitest, 'run', '--config', 'test/vitest.config.ts', '--bail', '1', ...tests],
      {
        cwd: directory,
        env: { ...process.env, GOPHERSHIP_TEST_LONG: '0' },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    let output = ''
    const collect = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-20_000)
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    child.on('error', reject)
    child.on('close', (code) => {
      // A run that found no test, or could not load a file, proves nothing.
      const ranTests = /Tests\s+.*\d+ (failed|passed)/.test(output)
      if (!ranTests) reject(new Error(`the mutant's tests did not run:\n${output}`))
      else resolve({ caught: code !== 0, output })
    })
  })
}
