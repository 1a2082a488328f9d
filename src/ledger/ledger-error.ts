/** The failures of this layer. */

import type { ErrorOptions } from '../core/errors.ts'
import { GopherShipError } from '../core/errors.ts'

export type LedgerErrorCode = 'GS_LEDGER_CONFLICT' | 'GS_LEDGER_CORRUPT' | 'GS_LEDGER_VERSION'

/** A booking that contradicts the books, or a record of the ledger's topic that cannot be read. */
export class LedgerError extends GopherShipError {
  declare readonly code: LedgerErrorCode

  constructor(code: LedgerErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options)
  }
}
