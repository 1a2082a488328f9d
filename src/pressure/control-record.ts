/**
 * A record of the control topic: a standing order for every instance, under its name. Key and value are JSON text for
 * people and their tools; a tombstone takes the order back. The topic is compacted, so it holds what stands and no more.
 *
 *   key          value
 *   emergency    {"version":1,"reason":"…","sinceMs":…,"by":"…"}
 *   tier         {"version":1,"tier":"partial","untilMs":…,"reason":"…","by":"…"}
 *   compactor    {"version":1,"isPaused":false,"now":{"requestedMs":…}|null,"by":"…"}
 *
 * Anyone who may write to the cluster can write here, so a record is believed only when all of it is as drawn: no field
 * missing, none that is not known, no order without an end that must have one. One that is not is refused and changes nothing.
 */

import { GopherShipError } from '../core/errors.ts'
import { TIERS, type Tier } from './tiers.ts'

export interface EmergencyOrder {
  readonly reason: string
  /** Wall clock. */
  readonly sinceMs: number
  /** Who gave the order, for people. */
  readonly by: string
}

export interface TierOrder {
  readonly tier: Tier
  /** Wall clock; the order has no effect from then on. */
  readonly untilMs: number
  readonly reason: string
  readonly by: string
}

export interface CompactorOrder {
  readonly isPaused: boolean
  /** Work outside the idle window, once, for what is owed at that time. */
  readonly now: { readonly requestedMs: number } | null
  readonly by: string
}

/** What stands. */
export interface ControlState {
  readonly emergency: EmergencyOrder | null
  readonly override: TierOrder | null
  readonly compactor: CompactorOrder
}

export const NO_CONTROL: ControlState = {
  emergency: null,
  override: null,
  compactor: { isPaused: false, now: null, by: '' },
}

/** An order, or, with null, its end. */
export type ControlChange =
  | { readonly name: 'emergency'; readonly to: EmergencyOrder | null }
  | { readonly name: 'tier'; readonly to: TierOrder | null }
  | { readonly name: 'compactor'; readonly to: CompactorOrder | null }

export type ControlName = ControlChange['name']
export const CONTROL_NAMES: readonly ControlName[] = ['emergency', 'tier', 'compactor']

/** The longest that a tier may be ordered for: an order that somebody forgot must end by itself. */
export const TIER_ORDER_MS_MAX = 7 * 24 * 3_600_000
/** Longest reason, and longest name of who gave an order. */
export const ORDER_TEXT_CHARS_MAX = 200
const RECORD_BYTES_MAX = 4 * 1024
const VERSION = 1

/** The record of a change; a null value is a tombstone. */
export function encodeControl({ name, to }: ControlChange): { key: Buffer; value: Buffer | null } {
  const key = Buffer.from(name)
  return { key, value: to === null ? null : Buffer.from(JSON.stringify({ version: VERSION, ...to })) }
}

/**
 * The change that a record makes. `timestampMs` is the record's own, by which the length of an order is judged. Throws
 * GS_CONTROL_INVALID saying what was expected.
 */
export function decodeControl(
  key: Buffer | null,
  value: Buffer | null,
  { timestampMs }: { readonly timestampMs: number },
): ControlChange {
  const name = CONTROL_NAMES.find((known) => key?.length === known.length && key.toString() === known)
  if (name === undefined) {
    throw invalid(`a key of ${CONTROL_NAMES.join(', ')}`, key === null ? 'none' : clip(key.toString()))
  }
  if (value === null) return { name, to: null }
  if (value.length > RECORD_BYTES_MAX) throw invalid(`at most ${RECORD_BYTES_MAX} bytes`, `${value.length}`)
  const fields = parseObject(value)
  if (fields['version'] !== VERSION) throw invalid(`version ${VERSION}`, clip(fields['version']))
  switch (name) {
    case 'emergency':
      return { name, to: readEmergency(fields) }
    case 'tier':
      return { name, to: readTier(fields, timestampMs) }
    case 'compactor':
      return { name, to: readCompactor(fields) }
  }
}

/** What stands after a change. */
export function applyControl(state: ControlState, change: ControlChange): ControlState {
  switch (change.name) {
    case 'emergency':
      return { ...state, emergency: change.to }
    case 'tier':
      return { ...state, override: change.to }
    case 'compactor':
      return { ...state, compactor: change.to ?? NO_CONTROL.compactor }
  }
}

/** What is wrong with a reason or a name, in words; null when it will do. */
export function orderTextFault(text: unknown): string | null {
  const isText = typeof text === 'string' && text.trim() !== '' && text.length <= ORDER_TEXT_CHARS_MAX
  // A reason is shown on terminals: nothing in it may move a cursor.
  if (isText && !/\p{Cc}/u.test(text)) return null
  return `one line of 1 to ${ORDER_TEXT_CHARS_MAX} characters`
}

type Fields = Readonly<Record<string, unknown>>

function readEmergency(fields: Fields): EmergencyOrder {
  onlyFields(fields, ['reason', 'sinceMs', 'by'])
  return { reason: text(fields, 'reason'), sinceMs: time(fields, 'sinceMs'), by: text(fields, 'by') }
}

function readTier(fields: Fields, timestampMs: number): TierOrder {
  onlyFields(fields, ['tier', 'untilMs', 'reason', 'by'])
  const tier = TIERS.find((known) => known === fields['tier'])
  if (tier === undefined) throw invalid(`tier to be one of ${TIERS.join(', ')}`, clip(fields['tier']))
  const untilMs = time(fields, 'untilMs')
  if (untilMs > timestampMs + TIER_ORDER_MS_MAX) {
    throw invalid('an order that ends within 7 days', `untilMs ${untilMs}`)
  }
  return { tier, untilMs, reason: text(fields, 'reason'), by: text(fields, 'by') }
}

function readCompactor(fields: Fields): CompactorOrder {
  onlyFields(fields, ['isPaused', 'now', 'by'])
  const { isPaused, now } = fields
  if (typeof isPaused !== 'boolean') throw invalid('isPaused to be true or false', clip(isPaused))
  const by = text(fields, 'by')
  if (now === null) return { isPaused, now, by }
  if (typeof now !== 'object' || Array.isArray(now)) throw invalid('now to be an object or null', clip(now))
  onlyFields(now as Fields, ['requestedMs'], [])
  return { isPaused, now: { requestedMs: time(now as Fields, 'requestedMs') }, by }
}

function parseObject(value: Buffer): Fields {
  let parsed: unknown
  try {
    parsed = JSON.parse(value.toString('utf8'))
  } catch {
    throw invalid('JSON', clip(value.toString('utf8')))
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as Fields
  throw invalid('a JSON object', clip(parsed))
}

function onlyFields(fields: Fields, names: readonly string[], shared: readonly string[] = ['version']): void {
  const strange = Object.keys(fields).find((name) => !names.includes(name) && !shared.includes(name))
  if (strange !== undefined) throw invalid(`no fields but ${names.join(', ')}`, clip(strange))
}

function text(fields: Fields, name: string): string {
  const fault = orderTextFault(fields[name])
  if (fault !== null) throw invalid(`${name} to be ${fault}`, clip(fields[name]))
  return fields[name] as string
}

function time(fields: Fields, name: string): number {
  const value = fields[name]
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  throw invalid(`${name} to be milliseconds since 1970`, clip(value))
}

/** Strange text as it may be printed. */
const clip = (value: unknown): string => JSON.stringify(value)?.slice(0, 80) ?? 'nothing'

function invalid(expected: string, found: string): GopherShipError {
  return new GopherShipError('GS_CONTROL_INVALID', `an order expected ${expected}, found ${found}`)
}
