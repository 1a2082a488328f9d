import { runCli } from '../../src/cli/program.ts'
import type { Terminal } from '../../src/cli/terminal.ts'
import { GopherShipError } from '../../src/core/errors.ts'

/** Runs one command line against a terminal that remembers. `files` are what the user has on disk; what the command writes goes there. */
export async function run(
  args: readonly string[],
  {
    files = {},
    environment = {},
  }: { files?: Record<string, string>; environment?: Record<string, string> } = {},
): Promise<{ exitCode: number; out: string; err: string }> {
  let out = ''
  let err = ''
  const terminal: Terminal = {
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    isInteractive: false,
    isColored: false,
    environment,
    readText: async (path) => {
      const text = files[path]
      if (text === undefined)
        throw new GopherShipError('GS_CONFIG_INVALID', `could not read ${path}: no such file`)
      return text
    },
    writeText: async (path, text) => {
      files[path] = text
    },
    stopRequested: new AbortController().signal,
    onUserSignal: () => {},
  }
  const exitCode = await runCli(args, terminal, '1.2.3')
  return { exitCode, out, err }
}
