/**
 * What our own process prints. One line a fact: an object of fields, then one short sentence.
 * This file owns the shape that every module takes as an argument; `logger.ts` owns the pino behind it.
 */

export type DiagnosticFields = Readonly<Record<string, unknown>>

/** A pino logger satisfies this. Text that came from outside goes into fields, never into the message. */
export interface Diagnostics {
  debug(fields: DiagnosticFields, message: string): void
  info(fields: DiagnosticFields, message: string): void
  warn(fields: DiagnosticFields, message: string): void
  error(fields: DiagnosticFields, message: string): void
  child(fields: Record<string, unknown>): Diagnostics
}

/** Says nothing: for tests and for library use. */
export const silentDiagnostics: Diagnostics = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentDiagnostics,
}
