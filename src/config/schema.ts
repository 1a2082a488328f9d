/**
 * The configuration, once. From this schema come the static type, the defaults, the checks, the flags, the
 * environment names, the JSON Schema and the reference: see `options.ts`.
 *
 * Every option has a type, a default, a unit where it is a quantity, and one sentence of help. A size is an integer
 * of bytes and a duration an integer of milliseconds; both may be written with a unit (`64MiB`, `7d`).
 */

import { z } from 'zod'
import { ADMISSION_BYTES_MAX, HTTP_BODY_BYTES_MAX, TOPIC_NAME_CHARS_MAX } from '../core/limits.ts'
import { idleWindowProblem } from './idle-windows.ts'

/** What an option's number counts. */
export type Unit = 'bytes' | 'ms' | 'count' | 'port' | 'records' | 'seconds' | 'percent'

/** A name, an IPv4 address or a bracketed IPv6 one, and a port from 1 to 65535. */
const HOST_AND_PORT =
  /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])$/

const MIB = 1024 * 1024
const DAY_MS = 24 * 60 * 60 * 1000

const text = (value: string, description: string) => z.string().default(value).meta({ description })
/** Text that means something: a variable that is not set gives an empty one. */
const given = (value: string, expected: string, description: string) =>
  z.string().regex(/\S/, `expected ${expected}`).default(value).meta({ description })
const address = (value: string, description: string) =>
  given(value, 'an address, such as 127.0.0.1 or, for every address of this machine, 0.0.0.0', description)
const choice = <const Names extends readonly [string, ...string[]]>(
  names: Names,
  value: Names[number],
  description: string,
) => z.enum(names).default(value).meta({ description })
const quantity = (unit: Unit, [min, max]: readonly [number, number], value: number, description: string) =>
  z.int().min(min).max(max).default(value).meta({ description, unit })
const toggle = (value: boolean, description: string) => z.boolean().default(value).meta({ description })
const port = (value: number, description: string) => quantity('port', [0, 65_535], value, description)
// `prefault` wants the input type, which is generic here; an empty object is always right, as every member has a default.
const group = <Shape extends z.ZodRawShape>(shape: Shape) => z.strictObject(shape).prefault({} as never)

/** The parts of GopherShip that one process may run. */
export const ROLES = ['broker', 'ingress', 'processor', 'compactor', 'admin'] as const
export type Role = (typeof ROLES)[number]

type SensorNames =
  | 'lagRecords'
  | 'lagSeconds'
  | 'lagVelocity'
  | 'upstreamAckMs'
  | 'bytesInFlight'
  | 'spillFill'
  | 'eventLoopDelayMs'
  | 'eventLoopUtilization'
  | 'residentMemory'
  | 'stallCpu'
  | 'stallMemory'
  | 'stallIo'
type ThresholdDefaults = Readonly<Record<SensorNames, number>>
const THRESHOLD_MAX = 1_000_000_000_000

export const configSchema = z.strictObject({
  dataDir: given(
    './data',
    'a directory',
    'Directory for everything that must survive a restart; one process at a time may use it.',
  ),
  roles: z
    .array(z.enum(ROLES))
    .default([...ROLES])
    .meta({
      description: 'What this process runs; the broker starts only while kafka.bootstrapServers is empty.',
    }),
  drainMs: quantity(
    'ms',
    [0, 12_000],
    10_000,
    'After SIGTERM, how long requests under way may take to finish before they are cut.',
  ),
  kafka: group({
    bootstrapServers: z
      .array(z.string().regex(HOST_AND_PORT, 'expected host:port, with a port from 1 to 65535'))
      .default([])
      .meta({
        description:
          'Brokers of the cluster that holds the vault, as host:port; empty starts the embedded broker.',
      }),
    clientId: text('gophership', 'Name under which this process appears to the cluster.'),
  }),
  broker: group({
    host: address('127.0.0.1', 'Address the embedded broker listens on; it asks nobody for a password.'),
    port: port(
      19_092,
      'Port of the embedded broker, where consumers and tools connect; 0 takes any free one.',
    ),
    advertisedHost: text(
      '',
      'Host told to clients of the embedded broker; empty takes the one they connected to.',
    ),
    partitionCount: quantity(
      'count',
      [1, 1_024],
      4,
      'Partitions of a topic that is created without saying how many.',
    ),
    syncPolicy: choice(
      ['every-ack', 'interval', 'never'],
      'every-ack',
      'When appended bytes are forced to disk: before each acknowledgement, at intervals, or when the system likes.',
    ),
    syncIntervalMs: quantity('ms', [1, 60_000], 50, 'Time between two syncs under the policy "interval".'),
    segmentBytes: quantity(
      'bytes',
      [MIB, 2_000 * MIB],
      128 * MIB,
      'Size at which a partition starts its next file.',
    ),
    segmentMs: quantity(
      'ms',
      [1_000, 3_650 * DAY_MS],
      7 * DAY_MS,
      'Age at which a partition starts its next file.',
    ),
    retentionMs: quantity(
      'ms',
      [-1, 36_500 * DAY_MS],
      7 * DAY_MS,
      'Age at which whole files are deleted; -1 keeps them for ever.',
    ),
    retentionBytes: quantity(
      'bytes',
      [-1, Number.MAX_SAFE_INTEGER],
      -1,
      'Size of a partition above which its oldest files are deleted; -1 sets no limit.',
    ),
  }),
  ingress: group({
    host: address('127.0.0.1', 'Address that every door listens on; 0.0.0.0 opens them to other machines.'),
    admissionBytesMax: quantity(
      'bytes',
      [16 * MIB, 4_096 * MIB],
      ADMISSION_BYTES_MAX,
      'Bytes of producers held in memory over all doors; at the limit sockets are not read until some are durable.',
    ),
    kafka: group({
      host: text('', 'Address of the Kafka door; empty takes ingress.host.').meta({
        shortFlag: '--kafka-host',
      }),
      port: port(9_092, 'Port of the Kafka door, where producers connect; 0 takes any free one.').meta({
        shortFlag: '--kafka-port',
      }),
      advertisedHost: text('', 'Host told to Kafka producers; empty takes the one they connected to.'),
      advertisedPort: port(0, 'Port told to Kafka producers; 0 takes the port listened on.'),
    }),
    http: group({
      host: text('', 'Address of the HTTP door; empty takes ingress.host.').meta({
        shortFlag: '--http-host',
      }),
      port: port(8_080, 'Port of the HTTP door; 0 takes any free one.').meta({ shortFlag: '--http-port' }),
      bodyBytesMax: quantity(
        'bytes',
        [1_024, 1_024 * MIB],
        HTTP_BODY_BYTES_MAX,
        'Largest request body, before and after decompression; a larger one is answered with 413.',
      ),
      ackMsMax: quantity(
        'ms',
        [100, 120_000],
        30_000,
        'How long a request may wait for its records to become durable before its client is told to try again.',
      ),
    }),
  }),
  streams: group({
    vaultTemplate: z
      .string()
      .max(TOPIC_NAME_CHARS_MAX)
      .regex(
        /^(?!$)[A-Za-z0-9._-]*(\{stream\}[A-Za-z0-9._-]*)?$/,
        'expected a topic name, with {stream} in it at most once',
      )
      .default('raw-vault.{stream}')
      .meta({
        description:
          'Topic that holds the raw bytes of a stream; without {stream}, one topic carries them all.',
      }),
    streamCountMax: quantity(
      'count',
      [1, 100_000],
      1_000,
      'Streams that producers may make by naming them; with the embedded broker also no more than it has room for.',
    ),
  }),
  vault: group({
    partitionCount: quantity('count', [1, 1_024], 4, 'Partitions of a vault topic that GopherShip creates.'),
  }),
  processor: group({
    workerCount: quantity(
      'count',
      [0, 64],
      0,
      'Worker threads that enrich, sharing out the partitions; 0 lets pressure choose, between the next two.',
    ),
    workerCountMin: quantity('count', [1, 64], 1, 'Fewest worker threads, kept also when nothing arrives.'),
    workerCountMax: quantity(
      'count',
      [0, 64],
      0,
      'Most worker threads under pressure; 0 takes one less than there are cores, and at least the fewest.',
    ),
    passthrough: choice(
      ['forward', 'defer'],
      'forward',
      'What passthrough does with batches: forward them untouched to passthrough.{stream}, or only book them as debt.',
    ),
    groupId: given(
      'gophership',
      'the name of a group',
      'Consumer group of the processors; its offsets say what has been enriched.',
    ),
    topology: given(
      'density-tier',
      'the name or the file of a topology',
      'Topology to run: the name of one that ships, or the path of a file.',
    ),
    timeZone: z
      .string()
      .refine(isTimeZone, 'expected a time zone name such as UTC or Europe/Berlin')
      .default('UTC')
      .meta({ description: 'Time zone of event times that name none.' }),
    commitIntervalMs: quantity(
      'ms',
      [10, 600_000],
      100,
      'Time from the first work that is not committed to its commit; events are visible to readers after it.',
    ),
    guarantee: choice(
      ['exactly-once', 'at-least-once'],
      'exactly-once',
      'Each event once for readers with read_committed, or after a failure perhaps again under the same eventId.',
    ),
    transactionTimeoutMs: quantity(
      'ms',
      [2_000, 900_000],
      15_000,
      'How long a dead worker can hold up readers: after it, what the worker left open is aborted.',
    ),
  }),
  compactor: group({
    idleWindows: z
      .array(
        z.string().superRefine((text, context) => {
          const message = idleWindowProblem(text)
          if (message !== null) context.addIssue({ code: 'custom', message })
        }),
      )
      .default([])
      .meta({
        description:
          'Hours in which debt is repaid, as 22:00-06:00 or as a cron expression with a duration, "0 22 * * 1-5 for 8h"; empty means every hour, and one with commas goes into the file.',
      }),
    timeZone: z
      .string()
      .refine(isTimeZone, 'expected a time zone name such as UTC or Europe/Berlin')
      .default('UTC')
      .meta({ description: 'Time zone of the idle windows.' }),
    steadyMs: quantity(
      'ms',
      [0, DAY_MS],
      10_000,
      'How long pressure must have been green before debt is repaid.',
    ),
    rateRecords: quantity(
      'records',
      [0, 1_000_000_000],
      0,
      'Most records repaid in a second; 0 sets no limit.',
    ),
    rateBytes: z
      .int()
      .max(1_000_000 * MIB)
      .refine((bytes) => bytes === 0 || bytes >= 1_024, 'expected at least 1KiB a second, or 0 for no limit')
      .default(0)
      .meta({ description: 'Most bytes of the vault repaid in a second; 0 sets no limit.', unit: 'bytes' }),
    urgentPercent: quantity(
      'percent',
      [1, 90],
      20,
      'Debt with less than this share of the retention left is urgent: repaid outside the windows and in yellow.',
    ),
    urgentRateRecords: quantity(
      'records',
      [1, 1_000_000_000],
      20_000,
      'Most records of urgent debt repaid in a second while other debt has to wait.',
    ),
  }),
  pressure: group({
    observeOnly: toggle(
      false,
      'Work out and publish every decision, and keep to full density; orders of a person still hold.',
    ),
    lagObjectiveMs: quantity(
      'ms',
      [1_000, DAY_MS],
      60_000,
      'No record should wait longer than this to be processed; density is given up to keep to it.',
    ),
    dwellMs: quantity(
      'ms',
      [500, 3_600_000],
      5_000,
      'Shortest time in a zone or tier before a calmer zone, or a denser tier, is taken up.',
    ),
    lookIntervalMs: quantity(
      'ms',
      [50, 10_000],
      250,
      'Time between two looks at the sensors while there is work; at rest they are looked at every second.',
    ),
    checkRecordCount: quantity(
      'count',
      [1, 1_000_000],
      1_000,
      'Records after which a worker looks at the tier again; the emergency switch is looked at for every batch.',
    ),
    yellowExitPercent: quantity('percent', [1, 39], 30, 'Score below which yellow may be left for green.'),
    redExitPercent: quantity('percent', [1, 79], 60, 'Score below which red may be left for yellow.'),
    soft: thresholds('yellow', {
      lagRecords: 5_000_000,
      lagSeconds: 0,
      lagVelocity: 25,
      upstreamAckMs: 1_500,
      bytesInFlight: 60,
      spillFill: 50,
      eventLoopDelayMs: 200,
      eventLoopUtilization: 98,
      residentMemory: 80,
      stallCpu: 120,
      stallMemory: 10,
      stallIo: 60,
    }),
    hard: thresholds('red', {
      lagRecords: 50_000_000,
      lagSeconds: 0,
      lagVelocity: 400,
      upstreamAckMs: 5_000,
      bytesInFlight: 90,
      spillFill: 85,
      eventLoopDelayMs: 1_000,
      eventLoopUtilization: 102,
      residentMemory: 92,
      stallCpu: 150,
      stallMemory: 40,
      stallIo: 95,
    }),
  }),
  admin: group({
    host: text(
      '127.0.0.1',
      'Address of metrics, health and status; only loopback, because nobody is asked for a password.',
    ),
    port: port(9_464, 'Port of metrics, health and status; 0 takes any free one.'),
    allowedHosts: z
      .array(z.string())
      .default([])
      .meta({ description: 'Further names, beside loopback, that a request may carry in its Host header.' }),
  }),
  log: group({
    level: choice(
      ['debug', 'info', 'warn', 'error', 'silent'],
      'info',
      'Least serious diagnostics that are printed.',
    ),
    format: choice(
      ['auto', 'pretty', 'json'],
      'auto',
      'How diagnostics look; auto is pretty on a terminal, else JSON.',
    ),
  }),
})

/** The whole configuration, checked, with every default filled in. */
export type Config = z.output<typeof configSchema>

/** The readings at which each sensor asks for a zone. Above 100, a sensor that reads percent never does. */
function thresholds(zone: 'yellow' | 'red', defaults: ThresholdDefaults) {
  const ofObjective = zone === 'yellow' ? 'a quarter of the lag objective' : 'the lag objective'
  const reading = (unit: Unit, name: keyof ThresholdDefaults, what: string) =>
    quantity(unit, [1, THRESHOLD_MAX], defaults[name], `Asks for ${zone}: ${what}.`)
  return group({
    lagRecords: reading('records', 'lagRecords', 'records in the vault that have not been processed'),
    lagSeconds: quantity(
      'seconds',
      [0, 86_400],
      defaults.lagSeconds,
      `Asks for ${zone}: how long the next record to be processed has waited; 0 takes ${ofObjective}.`,
    ),
    lagVelocity: reading('percent', 'lagVelocity', 'lag gained per time; 100 when nothing is processed'),
    upstreamAckMs: reading('ms', 'upstreamAckMs', 'how long Kafka takes to acknowledge a batch, p99'),
    bytesInFlight: reading('percent', 'bytesInFlight', 'share of ingress.admissionBytesMax that is held'),
    spillFill: reading('percent', 'spillFill', 'how full the local spill is'),
    eventLoopDelayMs: reading('ms', 'eventLoopDelayMs', 'how late the main event loop runs what is due'),
    eventLoopUtilization: reading(
      'percent',
      'eventLoopUtilization',
      'share of the time the main event loop was busy',
    ),
    residentMemory: reading('percent', 'residentMemory', 'resident memory against the limit of the process'),
    stallCpu: reading('percent', 'stallCpu', 'share of 10 s in which something waited for a processor'),
    stallMemory: reading('percent', 'stallMemory', 'share of 10 s in which something waited for memory'),
    stallIo: reading('percent', 'stallIo', 'share of 10 s in which something waited for a disk'),
  })
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}
