/**
 * A failure as plain data, so that it can cross a thread boundary and keep its code. Structured clone would turn a
 * `GopherShipError` into a bare `Error` and drop the fields that callers test.
 */

import type { ErrorCode } from './errors.ts'
import { ERROR_CODES, GopherShipError } from './errors.ts'

/** What survives of an error: its text, and for failures of ours the code and the facts. */
export interface PlainFailure {
  readonly code: ErrorCode | null
  readonly message: string
  readonly retriable: boolean
  readonly facts: Readonly<Record<string, string | number | boolean | null>>
  readonly stack: string | null
  readonly cause: PlainFailure | null
}

/** How many causes deep a failure is carried; an error may name itself as its own cause. */
const CAUSE_DEPTH_MAX = 4

/** Writes any caught value down as plain data. Never throws. */
export function encodeFailure(error: unknown, depth = 0): PlainFailure {
  const ours = error instanceof GopherShipError ? error : null
  const isError = error instanceof Error
  const hasCause = isError && error.cause !== undefined && depth < CAUSE_DEPTH_MAX
  return {
    code: ours?.code ?? null,
    message: isError ? error.message : String(error),
    retriable: ours?.retriable ?? false,
    facts: ours?.facts ?? {},
    stack: isError ? (error.stack ?? null) : null,
    cause: hasCause ? encodeFailure(error.cause, depth + 1) : null,
  }
}

/** The failure again: a `GopherShipError` with the same code where it was one, otherwise a plain `Error`. */
export function decodeFailure(plain: PlainFailure): Error {
  const cause = plain.cause === null ? undefined : decodeFailure(plain.cause)
  const isOurs = plain.code !== null && Object.hasOwn(ERROR_CODES, plain.code)
  const error = isOurs
    ? new GopherShipError(plain.code as ErrorCode, plain.message, {
        cause,
        retriable: plain.retriable,
        facts: plain.facts,
      })
    : new Error(plain.message, { cause })
  if (plain.stack !== null) error.stack = plain.stack
  return error
}
