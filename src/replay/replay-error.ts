/** The failures of this layer. */

import type { ErrorOptions } from '../core/errors.ts'
import { GopherShipError } from '../core/errors.ts'

export type ReplayErrorCode = 'GS_REPLAY_INVALID' | 'GS_REPLAY_TARGET'

/** A replay that was asked for wrongly, or whose target does not take it. */
export class ReplayError extends GopherShipError {
  declare readonly code: ReplayErrorCode

  constructor(code: ReplayErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options)
  }
}

/** A request that cannot be carried out; says what was expected, what was found, and what to write. */
export const invalidReplay = (message: string): ReplayError => new ReplayError('GS_REPLAY_INVALID', message)
