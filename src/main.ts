#!/usr/bin/env node
/** The executable: arguments, signals, exit code. Everything else is below. */

import { readFileSync } from 'node:fs'
import { runCli } from './cli/program.ts'
import { openTerminal } from './cli/terminal.ts'

/** Shells read 128 plus the signal's number as "ended by that signal". */
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const
/** A stop that takes longer than this is cut; the parts' own limits add up to less. */
const STOP_MS_MAX = 29_000

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
const exitCode = await runCli(process.argv.slice(2), openTerminal(process, stop.signal), version)
// Not set as `process.exitCode`: a handle that something forgot must not keep a finished command alive.
process.exit(exitCode)
