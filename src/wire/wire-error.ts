/** The one failure of this layer: bytes, or values, that do not follow the Kafka protocol. Never retriable. */

import { GopherShipError } from '../core/errors.ts'

/** The typed facts of a `WireError`; which ones are present depends on what was being read. */
export type WireFacts = Readonly<Record<string, string | number | boolean | null>>

/**
 * A message that does not follow its schema (`GS_WIRE_MALFORMED`), or a version that is not in the table
 * (`GS_WIRE_UNSUPPORTED_VERSION`). After one of these a connection has no known position any more: close it.
 */
export class WireError extends GopherShipError {
  constructor(
    code: 'GS_WIRE_MALFORMED' | 'GS_WIRE_UNSUPPORTED_VERSION',
    message: string,
    facts: WireFacts = {},
  ) {
    super(code, message, { retriable: false, facts })
  }
}
