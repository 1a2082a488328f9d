/**
 * The settings of a topic: Kafka's names, which values are taken, and what they mean here. Values are kept as the text
 * the client sent; `effectiveConfig` turns them into numbers once, when they change.
 *
 * A setting that cannot be honoured is refused rather than ignored, except those in `INERT`, which on a single node
 * have nothing to act on and which common tools send with every topic.
 */

import type { PartitionLogOptions } from '../../storage/partition-log.ts'
import type { BrokerOptions } from '../broker-options.ts'

/** What a topic's settings amount to. */
export interface EffectiveConfig {
  readonly log: PartitionLogOptions
  readonly batchBytesMax: number
  /** Records need a key, and of each key the latest one stays. */
  readonly isCompacted: boolean
  readonly compaction: CompactionConfig
  /** The broker's clock stamps the records instead of the producer's. */
  readonly isLogAppendTime: boolean
  /** How far before now a record's timestamp may lie. */
  readonly timestampBeforeMsMax: number
  /** How far after now a record's timestamp may lie. */
  readonly timestampAfterMsMax: number
}

/** When a compacted topic is compacted, and what stays a while. */
export interface CompactionConfig {
  /** The share of a partition's bytes that has to be new before it is compacted, 0 to 1. */
  readonly dirtyRatioMin: number
  /** How long records stay as they are. */
  readonly minLagMs: number
  /** After this long records are compacted even when they are few. */
  readonly maxLagMs: number
  /** How long a tombstone stays after the records that it removes are gone. */
  readonly deleteRetentionMs: number
}

/** Kafka's numbers for the type of a setting (`ConfigDef.Type` on the wire). */
const TYPE = { boolean: 1, string: 2, int: 3, long: 5, double: 6, list: 7 } as const

export interface ConfigKey {
  readonly name: string
  readonly type: number
  readonly documentation: string
  /** The value when a topic does not set it. */
  readonly fallback: (options: BrokerOptions) => string
  /** What is wrong with a value, as a sentence, or null. */
  readonly problem: (value: string) => string | null
}

const INT64_MAX = '9223372036854775807'
const DAY_MS = 86_400_000

function wholeNumber(minimum: number, maximum: number = Number.POSITIVE_INFINITY) {
  return (value: string): string | null => {
    const number = Number(value)
    if (/^-?\d{1,19}$/.test(value) && number >= minimum && number <= maximum) return null
    const range =
      maximum === Number.POSITIVE_INFINITY ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`
    return `expected a whole number ${range}, found "${value}"`
  }
}

function fraction(value: string): string | null {
  const number = Number(value)
  return value.trim() !== '' && number >= 0 && number <= 1
    ? null
    : `expected a number from 0 to 1, found "${value}"`
}

function oneOf(...allowed: string[]) {
  return (value: string): string | null =>
    allowed.includes(value) ? null : `expected ${allowed.join(' or ')}, found "${value}"`
}

/** Every setting that is honoured. */
export const CONFIG_KEYS: readonly ConfigKey[] = [
  {
    name: 'cleanup.policy',
    type: TYPE.list,
    documentation:
      'delete: old segments go by retention. compact: records need keys, and of each key the latest one stays. Or both.',
    fallback: () => 'delete',
    problem: (value) =>
      value.split(',').every((part) => part.trim() === 'delete' || part.trim() === 'compact')
        ? null
        : `expected delete, compact or both, found "${value}"`,
  },
  {
    name: 'compression.type',
    type: TYPE.string,
    documentation: 'Only "producer": batches are stored as they were sent.',
    fallback: () => 'producer',
    problem: oneOf('producer'),
  },
  {
    name: 'delete.retention.ms',
    type: TYPE.long,
    documentation: 'How long a compacted topic keeps a tombstone after the records that it removes are gone.',
    fallback: () => String(DAY_MS),
    problem: wholeNumber(0),
  },
  {
    name: 'max.compaction.lag.ms',
    type: TYPE.long,
    documentation: 'After this long records of a compacted topic are compacted even when they are few.',
    fallback: () => INT64_MAX,
    problem: wholeNumber(1),
  },
  {
    name: 'max.message.bytes',
    type: TYPE.int,
    documentation: 'Largest record batch, as sent.',
    fallback: (options) => String(options.batchBytesMax),
    problem: wholeNumber(1024, 64 * 1024 * 1024),
  },
  {
    name: 'message.timestamp.after.max.ms',
    type: TYPE.long,
    documentation: "How far after the broker's clock a record's timestamp may lie.",
    fallback: () => INT64_MAX,
    problem: wholeNumber(0),
  },
  {
    name: 'message.timestamp.before.max.ms',
    type: TYPE.long,
    documentation: "How far before the broker's clock a record's timestamp may lie.",
    fallback: () => INT64_MAX,
    problem: wholeNumber(0),
  },
  {
    name: 'message.timestamp.type',
    type: TYPE.string,
    documentation:
      "Whose clock stamps the records: the producer's (CreateTime) or the broker's (LogAppendTime).",
    fallback: () => 'CreateTime',
    problem: oneOf('CreateTime', 'LogAppendTime'),
  },
  {
    name: 'min.cleanable.dirty.ratio',
    type: TYPE.double,
    documentation: 'The share of the bytes that has to be new before a compacted topic is compacted, 0 to 1.',
    fallback: () => '0.5',
    problem: fraction,
  },
  {
    name: 'min.compaction.lag.ms',
    type: TYPE.long,
    documentation: 'How long records of a compacted topic stay as they are.',
    fallback: () => '0',
    problem: wholeNumber(0),
  },
  {
    name: 'min.insync.replicas',
    type: TYPE.int,
    documentation: 'Only 1: this broker is a single node.',
    fallback: () => '1',
    problem: oneOf('1'),
  },
  {
    name: 'retention.bytes',
    type: TYPE.long,
    documentation: 'Bytes kept per partition; -1 sets no limit.',
    fallback: (options) => String(options.retentionBytes),
    problem: wholeNumber(-1),
  },
  {
    name: 'retention.ms',
    type: TYPE.long,
    documentation: 'How long records are kept; -1 keeps them for ever.',
    fallback: (options) => String(options.retentionMs),
    problem: wholeNumber(-1),
  },
  {
    name: 'segment.bytes',
    type: TYPE.int,
    documentation: 'Size at which a new segment file is begun.',
    fallback: (options) => String(options.segmentBytesMax),
    problem: wholeNumber(1024 * 1024, 2_147_483_647),
  },
  {
    name: 'segment.ms',
    type: TYPE.long,
    documentation: 'Age at which a new segment file is begun.',
    fallback: (options) => String(options.segmentAgeMsMax),
    problem: wholeNumber(1),
  },
]

/** Settings that are kept and shown, and have nothing to act on here. */
const INERT = new Set([
  'file.delete.delay.ms',
  'flush.messages',
  'flush.ms',
  'follower.replication.throttled.replicas',
  'index.interval.bytes',
  'leader.replication.throttled.replicas',
  'message.downconversion.enable',
  'message.format.version',
  'message.timestamp.difference.max.ms',
  'preallocate',
  'segment.index.bytes',
  'segment.jitter.ms',
  'unclean.leader.election.enable',
])

const keyByName = new Map(CONFIG_KEYS.map((key) => [key.name, key]))

/** Text of each setting that the topic sets itself. */
export type ConfigOverrides = Readonly<Record<string, string>>

/** What is wrong with a setting, as a sentence for the client, or null when it can be set. */
export function configProblem(name: string, value: string | null): string | null {
  if (value === null) return `${name}: expected a value, found none`
  const key = keyByName.get(name)
  if (key === undefined) return INERT.has(name) ? null : `unknown topic setting "${name}"`
  const problem = key.problem(value)
  return problem === null ? null : `${name}: ${problem}`
}

/** The value in force for a setting, and whether the topic set it itself. */
export function configValue(key: ConfigKey, overrides: ConfigOverrides, options: BrokerOptions) {
  const own = overrides[key.name]
  return { value: own ?? key.fallback(options), isDefault: own === undefined }
}

const INDEX_INTERVAL_BYTES = 4096

/** Turns a topic's settings, already checked, into what the broker works with. */
export function effectiveConfig(overrides: ConfigOverrides, options: BrokerOptions): EffectiveConfig {
  const text = (name: string): string => {
    const key = keyByName.get(name)
    if (key === undefined) throw new TypeError(`no setting named ${name}`)
    return configValue(key, overrides, options).value
  }
  const policies = text('cleanup.policy')
    .split(',')
    .map((part) => part.trim())
  const deletes = policies.includes('delete')
  const isCompacted = policies.includes('compact')
  const maxLagMs = Number(text('max.compaction.lag.ms'))
  const segmentAgeMsMax = Number(text('segment.ms'))
  return {
    log: {
      segmentBytesMax: Number(text('segment.bytes')),
      // Only a sealed segment is compacted, so a promise to compact by then is one to seal by then.
      segmentAgeMsMax: isCompacted ? Math.min(segmentAgeMsMax, maxLagMs) : segmentAgeMsMax,
      indexIntervalBytes: INDEX_INTERVAL_BYTES,
      retentionMs: deletes ? Number(text('retention.ms')) : -1,
      retentionBytes: deletes ? Number(text('retention.bytes')) : -1,
      sync: options.sync,
    },
    batchBytesMax: Number(text('max.message.bytes')),
    isCompacted,
    compaction: {
      dirtyRatioMin: Number(text('min.cleanable.dirty.ratio')),
      minLagMs: Number(text('min.compaction.lag.ms')),
      maxLagMs,
      deleteRetentionMs: Number(text('delete.retention.ms')),
    },
    isLogAppendTime: text('message.timestamp.type') === 'LogAppendTime',
    timestampBeforeMsMax: Number(text('message.timestamp.before.max.ms')),
    timestampAfterMsMax: Number(text('message.timestamp.after.max.ms')),
  }
}
