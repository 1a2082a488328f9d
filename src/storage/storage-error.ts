/** The failures of this layer, and the one translation from a disk's errors to ours. */

import type { ErrorOptions } from '../core/errors.ts'
import { GopherShipError, isFailure } from '../core/errors.ts'

export type StorageErrorCode =
  | 'GS_STORAGE_CORRUPT'
  | 'GS_STORAGE_FAILED'
  | 'GS_STORAGE_LOCKED'
  | 'GS_STORAGE_VERSION'
  | 'GS_STORAGE_OFFSET_OUT_OF_RANGE'
  | 'GS_BATCH_TOO_LARGE'
  | 'GS_STOPPED'

/** A failure of stored data or of the disk under it. The facts name path, segment and offset. */
export class StorageError extends GopherShipError {
  declare readonly code: StorageErrorCode

  constructor(code: StorageErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options)
  }
}

/** What the disk refused, as `GS_STORAGE_FAILED`; a failure that is already ours passes through. */
export function storageFailure(doing: string, path: string, cause: unknown): GopherShipError {
  if (isFailure(cause)) return cause
  const text = cause instanceof Error ? cause.message : String(cause)
  return new StorageError('GS_STORAGE_FAILED', `${doing} ${path} failed: ${text}.`, {
    cause,
    facts: { path },
  })
}
