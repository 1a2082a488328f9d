/**
 * An entry of the ledger as a record of its compacted topic, and back. The layout is drawn in
 * `schemas/formats/debt-ledger.md`; this file alone knows it. Key and value are JSON, for people and their tools to read;
 * the writer's bytes for one key are always the same, which is what compaction goes by.
 */

import { asOffset, asPartitionId } from '../core/brands.ts'
import { LEDGER_RECORD_BYTES_MAX } from '../core/limits.ts'
import { type DebtEntry, type DebtPartition, faultOf } from './debt-entry.ts'
import { LedgerError } from './ledger-error.ts'
import type { OffsetRange } from './offset-range.ts'

/** The version of the value that is written, and the highest that is read. */
const VALUE_VERSION = 1

/**
 * Who writes a record. `owed` is the account of the processor that has the vault partition, `repaid` that of the compactor
 * that has it: each key has one writer, so an entry may grow at one end while a part of it is being repaid.
 */
export const DEBT_ACCOUNTS = ['owed', 'repaid'] as const
export type DebtAccount = (typeof DEBT_ACCOUNTS)[number]

/** What a key names: the books, the account in them, and the entry that begins at `first`. */
export type DebtKey = DebtPartition & Pick<OffsetRange, 'first'> & { readonly account: DebtAccount }

/** A record for the topic; a null value is a tombstone and removes the key. */
export interface DebtRecord {
  readonly key: Buffer
  readonly value: Buffer | null
}

export function encodeDebtKey({ topology, topic, partition, first, account }: DebtKey): Buffer {
  return Buffer.from(JSON.stringify([topology, topic, partition, first, account]))
}

export function encodeDebtValue(entry: DebtEntry): Buffer {
  const { last, state, tier, recordCount, bytes, timestampMinMs, timestampMaxMs, reason } = entry
  const { openedMs, closedMs } = entry
  return Buffer.from(
    JSON.stringify({
      version: VALUE_VERSION,
      last,
      state,
      tier,
      recordCount,
      bytes,
      timestampMinMs,
      timestampMaxMs,
      zone: reason.zone,
      driver: reason.driver,
      openedMs,
      closedMs,
    }),
  )
}

/** Decodes a key. Throws `GS_LEDGER_CORRUPT`. */
export function decodeDebtKey(bytes: Buffer): DebtKey {
  const parts = parse('key', bytes)
  if (!Array.isArray(parts) || parts.length !== 5) {
    throw corrupt('key', bytes, 'expected a list of topology, topic, partition, first offset and account')
  }
  const [topology, topic, partition, first, account] = parts
  const isKey =
    typeof topology === 'string' &&
    typeof topic === 'string' &&
    isCount(partition) &&
    isCount(first) &&
    topology !== '' &&
    topic !== '' &&
    DEBT_ACCOUNTS.includes(account)
  if (!isKey) {
    throw corrupt(
      'key',
      bytes,
      `expected two names, a partition, an offset and ${DEBT_ACCOUNTS.join(' or ')}`,
    )
  }
  return { topology, topic, partition: asPartitionId(partition), first: asOffset(first), account }
}

/**
 * Decodes a record that is no tombstone. Fields that are not known here are passed over, so that a later release may add
 * some without a new version. Throws `GS_LEDGER_CORRUPT`, or `GS_LEDGER_VERSION` for a value of a later version.
 */
export function decodeDebtEntry(key: Buffer, value: Buffer): DebtEntry {
  const { account: _, ...name } = decodeDebtKey(key)
  const fields = parse('value', value)
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    throw corrupt('value', value, 'expected an object')
  }
  // Every field is checked by `faultOf` below; until then the types are a hope.
  const { version, zone, driver, ...rest } = fields as Record<string, unknown>
  if (isCount(version) && version > VALUE_VERSION) {
    throw new LedgerError(
      'GS_LEDGER_VERSION',
      `a debt entry has version ${version}, this release reads up to ${VALUE_VERSION}: run the newer release.`,
      { facts: { version, versionMax: VALUE_VERSION } },
    )
  }
  if (version !== VALUE_VERSION) throw corrupt('value', value, `expected version ${VALUE_VERSION}`)
  const { last, state, tier, recordCount, bytes, timestampMinMs, timestampMaxMs, openedMs, closedMs } = rest
  const entry = {
    ...name,
    last,
    state,
    tier,
    recordCount,
    bytes,
    timestampMinMs,
    timestampMaxMs,
    reason: { zone, driver },
    openedMs,
    closedMs,
  } as DebtEntry
  const fault = faultOf(entry)
  if (fault !== null) throw corrupt('value', value, fault)
  return entry
}

function parse(part: string, bytes: Buffer): unknown {
  if (bytes.length > LEDGER_RECORD_BYTES_MAX) {
    throw corrupt(part, bytes, `expected at most ${LEDGER_RECORD_BYTES_MAX} bytes`)
  }
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw corrupt(part, bytes, 'expected JSON', cause)
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** Characters of a bad record that a message shows. */
const EXCERPT_CHARS_MAX = 80

function corrupt(part: string, bytes: Buffer, expected: string, cause?: unknown): LedgerError {
  const excerpt = JSON.stringify(bytes.toString('utf8', 0, EXCERPT_CHARS_MAX))
  return new LedgerError(
    'GS_LEDGER_CORRUPT',
    `the ${part} of a debt entry cannot be read: ${expected}, found ${excerpt} (${bytes.length} bytes).`,
    { cause, facts: { part, bytes: bytes.length } },
  )
}
