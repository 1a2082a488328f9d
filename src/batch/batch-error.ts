/**
 * The one failure of this layer. Callers test `code`; the edge that answers a client translates it once:
 * corrupt is Kafka's 2 (CORRUPT_MESSAGE), invalid 87 (INVALID_RECORD), too large 10 (MESSAGE_TOO_LARGE), unsupported
 * compression 76 (UNSUPPORTED_COMPRESSION_TYPE).
 */

import type { ErrorOptions } from '../core/errors.ts'
import { GopherShipError } from '../core/errors.ts'

export type BatchErrorCode =
  | 'GS_BATCH_CORRUPT'
  | 'GS_BATCH_INVALID'
  | 'GS_BATCH_TOO_LARGE'
  | 'GS_BATCH_UNSUPPORTED_COMPRESSION'

/** A record batch that cannot be used. Never retriable here: the same bytes fail the same way. */
export class BatchError extends GopherShipError {
  declare readonly code: BatchErrorCode

  constructor(code: BatchErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options)
  }
}

/** The bytes break the record batch format (`GS_BATCH_INVALID`). */
export const invalidBatch = (message: string, facts: ErrorOptions['facts'] = {}): BatchError =>
  new BatchError('GS_BATCH_INVALID', message, { facts })

/** The bytes are damaged (`GS_BATCH_CORRUPT`). */
export const corruptBatch = (
  message: string,
  facts: ErrorOptions['facts'] = {},
  cause?: unknown,
): BatchError => new BatchError('GS_BATCH_CORRUPT', message, { facts, cause })

/** The bytes, or what they inflate to, pass a limit (`GS_BATCH_TOO_LARGE`). */
export const batchTooLarge = (message: string, facts: ErrorOptions['facts'] = {}): BatchError =>
  new BatchError('GS_BATCH_TOO_LARGE', message, { facts })
