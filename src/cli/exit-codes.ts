/** What the process tells the shell. Stable: scripts depend on it. */

import { CommanderError } from 'commander'
import type { ErrorCode } from '../core/errors.ts'
import { GopherShipError } from '../core/errors.ts'

export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3, notReady: 4 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** For `--help` and the README. */
export const EXIT_CODE_MEANINGS: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.ok, 'Done; for "up", stopped when asked to, with everything drained.'],
  [EXIT.failed, 'Failed; the message says why.'],
  [EXIT.usage, 'The command line or the configuration is wrong.'],
  [EXIT.unreachable, 'Nothing answered at the address.'],
  [EXIT.notReady, 'It runs, but its data path does not work ("status").'],
]

const CODES_OF_FAILURES: Partial<Record<ErrorCode, ExitCode>> = {
  GS_CONFIG_INVALID: EXIT.usage,
  GS_TOPOLOGY_INVALID: EXIT.usage,
  GS_TRACE_INVALID: EXIT.usage,
  GS_REPLAY_INVALID: EXIT.usage,
  GS_KAFKA_DISCONNECTED: EXIT.unreachable,
  GS_KAFKA_TIMEOUT: EXIT.unreachable,
  GS_ADMIN_UNREACHABLE: EXIT.unreachable,
}

/** The exit code for a command that threw. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  return error instanceof GopherShipError ? (CODES_OF_FAILURES[error.code] ?? EXIT.failed) : EXIT.failed
}
