#!/usr/bin/env node
/** The executable: arguments, signals, exit code. Everything else is below. */

import { readFileSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

/** Shells read 128 plus the signal's number as "ended by that signal". */
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const
/** A stop that takes longer than this is cut; the parts' own limits add up to less. */
const STOP_MS_MAX = 29_000

// Compiled code is kept beside the packages it comes from, which only their owner can write to (the default, the
// system's temporary folder, is anyone's). Worker threads learn of it from the environment. Without leave to write
// there is no cache, and nothing else changes.
const compileCache = fileURLToPath(new URL('../node_modules/.cache/gophership', import.meta.url))
enableCompileCache(compileCache)
process.env['NODE_COMPILE_CACHE'] ??= compileCache

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // Nothing that was acknowledged depends on a clean end, so a second signal is obeyed at once.
    if (stop.signal.aborted) process.exit(SIGNAL_EXIT_CODES[signal])
    stop.abort()
    setTimeout(() => {
      process.stderr.write(`error: stopping took longer than ${STOP_MS_MAX} ms; ending without the rest\n`)
      process.exit(1)
    }, STOP_MS_MAX).unref()
  })
}

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
}
// Imported only now: what a static import names is loaded before the cache is on.
const [{ runCli }, { openTerminal }] = await Promise.all([
  import('./cli/program.ts'),
  import('./cli/terminal.ts'),
])
const exitCode = await runCli(process.argv.slice(2), openTerminal(process, stop.signal), version)
// Not left to the event loop: a handle that something forgot must not keep a finished command alive.
process.exit(exitCode)
