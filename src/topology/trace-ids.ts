/** Trace and span ids in the spellings that tracers write, as OpenTelemetry has them: lower-case hexadecimal. */

export const TRACE_ID_DIGITS = 32
export const SPAN_ID_DIGITS = 16

const HEX = /^[0-9a-fA-F]+$/
const DECIMAL = /^\d{1,20}$/

/** True for text of hexadecimal digits that are not all zero: zero means "none" in every tracer. */
function isHexId(text: string): boolean {
  return HEX.test(text) && !/^0+$/.test(text)
}

/**
 * A trace id as 32 digits, null for what is none. Understood: 32 or 16 hexadecimal digits (a 64-bit id is padded on
 * the left), a UUID, AWS X-Ray's `1-5759e988-bd862e3fe1be46a994272793`, Google's `projects/p/traces/<id>`, and a
 * leading `0x`.
 */
export function traceIdOf(text: string): string | null {
  if (text.length > 256) return null
  const last = text.slice(text.lastIndexOf('/') + 1)
  const bare = last.startsWith('0x') ? last.slice(2) : last
  const hex = bare.includes('-')
    ? bare.replace(/^(?:Root=)?1-(?=[0-9a-fA-F]{8}-[0-9a-fA-F]{24}$)/, '').replaceAll('-', '')
    : bare
  if ((hex.length !== TRACE_ID_DIGITS && hex.length !== SPAN_ID_DIGITS) || !isHexId(hex)) return null
  return hex.toLowerCase().padStart(TRACE_ID_DIGITS, '0')
}

/** A span id as 16 digits, with or without a leading `0x`; null for what is none. */
export function spanIdOf(text: string): string | null {
  const hex = text.startsWith('0x') ? text.slice(2) : text
  return hex.length === SPAN_ID_DIGITS && isHexId(hex) ? hex.toLowerCase() : null
}

/** A Datadog id, an unsigned 64-bit decimal, as 16 hexadecimal digits; null for what is none. */
export function decimalIdToHex(text: string): string | null {
  if (!DECIMAL.test(text)) return null
  // Base 2^16, most significant limb first: decimal digits are multiplied in, so no BigInt is made.
  const limbs = [0, 0, 0, 0]
  for (let at = 0; at < text.length; at += 1) {
    let carry = text.charCodeAt(at) - 0x30
    for (let limb = 3; limb >= 0; limb -= 1) {
      const value = (limbs[limb] as number) * 10 + carry
      limbs[limb] = value & 0xffff
      carry = value >>> 16
    }
    if (carry > 0) return null
  }
  const hex = limbs.map((limb) => limb.toString(16).padStart(4, '0')).join('')
  return isHexId(hex) ? hex : null
}

export interface TraceContext {
  readonly traceId: string
  readonly spanId: string
}

/** W3C traceparent `00-<32 hex>-<16 hex>-<2 hex>` at `at`, null for none. Later versions may carry more behind it. */
export function traceParentAt(text: string, at: number): TraceContext | null {
  if (
    text.charCodeAt(at + 2) !== 0x2d ||
    text.charCodeAt(at + 35) !== 0x2d ||
    text.charCodeAt(at + 52) !== 0x2d
  )
    return null
  const version = text.slice(at, at + 2)
  if (!HEX.test(version) || version === 'ff' || !/^[0-9a-f]{2}/.test(text.slice(at + 53, at + 55)))
    return null
  const traceId = traceIdOf(text.slice(at + 3, at + 35))
  const spanId = spanIdOf(text.slice(at + 36, at + 52))
  return traceId === null || spanId === null ? null : { traceId, spanId }
}
