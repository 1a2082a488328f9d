/**
 * Where in the vault an event comes from, and how fully it was enriched, read off its bytes without parsing it: our own
 * encoder begins every event with its id and ends it with density and coordinates (`schemas/formats/enriched-event.md`), so
 * both ends are compared with what they must be. Whatever lies between belongs to producers and is not looked at.
 *
 *     {"eventId":"raw-vault.web:3:1200", …  ,"density":"full","vault":{"topic":"raw-vault.web","partition":3,"offset":1200}}
 */

/** Tells what is wrong with an event that says it is not one of the expected partition. */
export type EventFault =
  /** The bytes are not what our encoder writes, or name another topic or partition. */
  | 'foreign'
  /** The id names another offset than the coordinates. */
  | 'id-mismatch'

export type EventDensity = 'full' | 'partial'

/** Digits of the largest safe integer. */
const OFFSET_DIGITS_MAX = 16
const DIGIT_0 = 0x30
const DIGIT_9 = 0x39
const QUOTE = 0x22
const BRACE = 0x7d

export class EventPlaceReader {
  /** Of the event read last; -1 when it had a fault. */
  offset = -1
  density: EventDensity = 'full'
  /** Null when the event is what it must be. */
  fault: EventFault | null = null

  readonly #idStart: Buffer
  readonly #full: Buffer
  readonly #partial: Buffer

  /** For events of one vault partition. */
  constructor(vaultTopic: string, partition: number) {
    const quoted = JSON.stringify(vaultTopic)
    const vault = `"vault":{"topic":${quoted},"partition":${partition},"offset":`
    this.#idStart = Buffer.from(`{"eventId":${quoted.slice(0, -1)}:${partition}:`)
    this.#full = Buffer.from(`,"density":"full",${vault}`)
    this.#partial = Buffer.from(`,"density":"partial",${vault}`)
  }

  /** Reads the event in [start, end), and sets the fields. */
  read(bytes: Buffer, start: number, end: number): void {
    this.offset = -1
    this.fault = 'foreign'
    if (end - start < 2 || bytes[end - 1] !== BRACE || bytes[end - 2] !== BRACE) return
    const digitsEnd = end - 2
    let digitsStart = digitsEnd
    let offset = 0
    let scale = 1
    while (digitsStart > start && digitsEnd - digitsStart < OFFSET_DIGITS_MAX) {
      const byte = bytes[digitsStart - 1] as number
      if (byte < DIGIT_0 || byte > DIGIT_9) break
      offset += (byte - DIGIT_0) * scale
      scale *= 10
      digitsStart -= 1
    }
    if (digitsStart === digitsEnd || !Number.isSafeInteger(offset)) return
    if (endsWith(bytes, start, digitsStart, this.#full)) this.density = 'full'
    else if (endsWith(bytes, start, digitsStart, this.#partial)) this.density = 'partial'
    else return
    this.fault = 'id-mismatch'
    const idStart = this.#idStart
    if (!startsWith(bytes, start, end, idStart)) return
    const idAt = start + idStart.length
    const digits = digitsEnd - digitsStart
    for (let at = 0; at < digits; at += 1) {
      if (bytes[idAt + at] !== bytes[digitsStart + at]) return
    }
    if (bytes[idAt + digits] !== QUOTE) return
    this.fault = null
    this.offset = offset
  }
}

function startsWith(bytes: Buffer, start: number, end: number, text: Buffer): boolean {
  return end - start >= text.length && isTextAt(bytes, start, text)
}

function endsWith(bytes: Buffer, start: number, end: number, text: Buffer): boolean {
  return end - start >= text.length && isTextAt(bytes, end - text.length, text)
}

/** A loop, because for so few bytes a call into the runtime takes several times as long. */
function isTextAt(bytes: Buffer, at: number, text: Buffer): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (bytes[at + index] !== text[index]) return false
  }
  return true
}
