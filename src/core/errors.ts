/**
 * Every failure of ours: one base class and one table of codes. A code is stable for ever; callers test `code`,
 * never the message. Each code is thrown in a test, and a retired one is never used again.
 */

/** Every failure code, with what it means to the person who reads it. */
export const ERROR_CODES = {
  GS_BATCH_CORRUPT:
    'A record batch whose bytes are damaged: bad CRC, or a compressed stream that does not inflate.',
  GS_BATCH_INVALID: 'A record batch that breaks the format: counts, lengths, magic, or reserved attributes.',
  GS_BATCH_TOO_LARGE: 'A record batch, or what it inflates to, is over its limit.',
  GS_BATCH_UNSUPPORTED_COMPRESSION: 'A record batch names a compression codec that does not exist.',
  GS_WIRE_MALFORMED: 'A Kafka message that does not follow its schema.',
  GS_WIRE_UNSUPPORTED_VERSION: 'A Kafka message in a version that is not offered.',
  GS_STORAGE_CORRUPT: 'Bytes on disk that do not check out.',
  GS_STORAGE_FAILED:
    'The operating system refused a read, write or sync; the file is not trusted until recovered.',
  GS_STORAGE_LOCKED: 'The data directory is in use by another process.',
  GS_STORAGE_VERSION: 'The data directory was written by a newer version than this one.',
  GS_STORAGE_OFFSET_OUT_OF_RANGE: 'A read from an offset that is not, or no longer, in the partition.',
  GS_CONFIG_INVALID: 'The configuration does not follow its schema.',
  GS_KAFKA_DISCONNECTED: 'The connection to a Kafka broker was lost, or could not be made.',
  GS_KAFKA_TIMEOUT: 'A Kafka broker did not answer in time.',
  GS_KAFKA_RESPONSE: 'A Kafka broker answered with an error code.',
  GS_KAFKA_UNSUPPORTED: 'A Kafka broker does not offer an API or version that is needed.',
  GS_KAFKA_FENCED:
    'Another producer took over the transactional id, or the transaction timed out; this producer is finished.',
  GS_KAFKA_TRANSACTION: 'A Kafka transaction that can only be aborted, or a call that it does not allow now.',
  GS_KAFKA_QUEUE_FULL: 'The bounded queue of batches on their way to Kafka has no room.',
  GS_VAULT_STREAMS_MAX: 'A stream that does not exist yet and would be one too many.',
  GS_TOPOLOGY_INVALID: 'A declared topology that cannot run.',
  GS_LEDGER_CONFLICT:
    'A booking of debt that contradicts the ledger: owed twice, or settled though not owed.',
  GS_LEDGER_CORRUPT: 'A record of the ledger that does not follow its format.',
  GS_LEDGER_VERSION: 'A record of the ledger written by a newer version than this one.',
  GS_CONTROL_INVALID:
    'An order to all instances (emergency, tier, compactor) that does not follow its format; it has no effect.',
  GS_REPLAY_INVALID: 'A replay that was asked for in a way that cannot be carried out.',
  GS_REPLAY_TARGET: 'The target of a replay does not take what it is given.',
  GS_DEAD_LETTER_INVALID: 'A dead letter that is not there, or that cannot be sent back.',
  GS_TRACE_INVALID: 'A recorded arrival trace that cannot be simulated.',
  GS_ADMIN_UNREACHABLE: 'The admin port of a running GopherShip did not answer.',
  GS_LISTEN_FAILED: 'An address or port could not be listened on.',
  GS_THREAD_FAILED: 'A worker thread stopped without being asked to.',
  GS_STOPPED: 'The operation was refused or abandoned because the service is stopping.',
} as const satisfies Record<string, string>

export type ErrorCode = keyof typeof ERROR_CODES

export interface ErrorOptions {
  /** What went wrong underneath. */
  readonly cause?: unknown
  /** True when the very same call may succeed later with nothing changed by the caller. */
  readonly retriable?: boolean
  /** The facts, as typed fields: path, segment, offset, limit. */
  readonly facts?: Readonly<Record<string, string | number | boolean | null>>
}

/** The base of every failure. The message says what was expected, what was found, and what to do. */
export class GopherShipError extends Error {
  readonly code: ErrorCode
  readonly retriable: boolean
  readonly facts: Readonly<Record<string, string | number | boolean | null>>

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.retriable = options.retriable ?? false
    this.facts = options.facts ?? {}
  }
}

/** Narrows an unknown caught value to a failure of ours, optionally of one code. */
export function isFailure(error: unknown, code?: ErrorCode): error is GopherShipError {
  return error instanceof GopherShipError && (code === undefined || error.code === code)
}
