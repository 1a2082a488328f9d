/** Where a command reads and writes. The commands take it as an argument, so that tests can look at what they print. */

import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { GopherShipError } from '../core/errors.ts'

export interface Terminal {
  /** Results: what a script would read. */
  out(text: string): void
  /** Everything else that is said to the person. */
  err(text: string): void
  /** True when `out` is a screen and not a file or pipe. */
  readonly isInteractive: boolean
  /** True when `out` may be coloured. */
  readonly isColored: boolean
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Reads a file that the user named, or standard input for `-`. Throws GS_CONFIG_INVALID with the reason. */
  readText(path: string): Promise<string>
  /** Writes a file that the user named. Throws GS_CONFIG_INVALID with the reason. */
  writeText(path: string, text: string): Promise<void>
  /** Aborted when the process is asked to stop. */
  readonly stopRequested: AbortSignal
  /** Calls `run` whenever the process gets SIGUSR2, from now on; before, the signal would end it. */
  onUserSignal(run: () => void): void
}

/** The terminal of this process. A reader that goes away (`gophership topics | head`) ends it quietly. */
export function openTerminal(process: NodeJS.Process, stopRequested: AbortSignal): Terminal {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
  }
  const isInteractive = process.stdout.isTTY === true
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isInteractive,
    isColored: isColored(process.env, isInteractive),
    environment: process.env,
    readText,
    writeText,
    stopRequested,
    onUserSignal: (run) => void process.on('SIGUSR2', run),
  }
}

/** https://no-color.org: NO_COLOR wins when it is there and not empty; FORCE_COLOR colours a pipe. */
export function isColored(environment: Terminal['environment'], isInteractive: boolean): boolean {
  if ((environment['NO_COLOR'] ?? '') !== '' || environment['TERM'] === 'dumb') return false
  const forced = environment['FORCE_COLOR']
  return forced === undefined ? isInteractive : forced !== '0'
}

async function readText(path: string): Promise<string> {
  try {
    // Descriptor 0 has no promise API; a configuration piped in is small and read once.
    return path === '-' ? readFileSync(0, 'utf8') : await readFile(path, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new GopherShipError('GS_CONFIG_INVALID', `could not read ${path}: ${reason}`, {
      cause: error,
      facts: { path },
    })
  }
}

async function writeText(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new GopherShipError('GS_CONFIG_INVALID', `could not write ${path}: ${reason}`, {
      cause: error,
      facts: { path },
    })
  }
}
