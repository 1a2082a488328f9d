/**
 * The pino behind `Diagnostics`: readable lines on a terminal, one JSON object a line anywhere else.
 *
 * Every thread has its own logger on the same file descriptor and writes synchronously: a line is one `write`, so
 * lines of different threads do not mix, and the last words before a crash are not lost in a buffer.
 */

import { createRequire } from 'node:module'
import { pino } from 'pino'
import { GopherShipError } from '../core/errors.ts'
import type { Diagnostics } from './diagnostics.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export type LogFormat = 'pretty' | 'json'

/** Plain data: it is handed to worker threads as it is. */
export interface LoggerOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  /** Colours in `pretty`. */
  readonly isColored: boolean
  /** Put on every line as `thread`. */
  readonly thread: string
  /** 1, standard output, unless a command's own result goes there. */
  readonly fileDescriptor?: 1 | 2
}

/** Opens diagnostics for this thread. A reader that goes away (EPIPE) is not an error. */
export function openDiagnostics(options: LoggerOptions): Diagnostics {
  const fileDescriptor = options.fileDescriptor ?? 1
  const settings = {
    level: options.level,
    base: { thread: options.thread },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: describeError, err: describeError },
  }
  if (options.format === 'json') {
    return pino(settings, pino.destination({ fd: fileDescriptor, sync: true }))
  }
  // Loaded only where it is used: each thread would hold a copy of it.
  const pretty = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty')
  const stream = pretty({
    colorize: options.isColored,
    destination: fileDescriptor,
    sync: true,
    singleLine: true,
    translateTime: 'HH:MM:ss.l',
    ignore: 'pid,hostname,thread',
    messageFormat: '{thread}: {msg}',
    // Errors stay on the line of their fact; a bug's stack comes as a field.
    errorLikeObjectKeys: [],
  })
  return pino(settings, stream)
}

/** An expected failure is its code, text and facts; anything else is a bug and brings its stack. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const cause = error.cause instanceof Error ? { cause: error.cause.message } : {}
  if (error instanceof GopherShipError) {
    return { code: error.code, message: error.message, ...error.facts, ...cause }
  }
  return { message: error.message, ...cause, stack: error.stack }
}
