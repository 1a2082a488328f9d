import type { Terminal } from './terminal.ts'

/** What each command is made with. */
export interface CommandContext {
  readonly terminal: Terminal
  readonly version: string
  /** Sets the exit code of a command that did its work and found something wrong. */
  readonly setExitCode: (exitCode: number) => void
}
