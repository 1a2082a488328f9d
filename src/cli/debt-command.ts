/** `gophership debt`: the books, asked of Kafka itself: what is owed, how old, why, and when it will be paid. */

import { Command, Option } from 'commander'
import type { CompactorStatus } from '../compactor/compactor-status.ts'
import { type DebtReport, type DebtRow, type PayPace, reportDebt } from '../compactor/debt-report.ts'
import { readRetention } from '../compactor/retention-settings.ts'
import type { Config } from '../config/schema.ts'
import { GopherShipError } from '../core/errors.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { listOffsets } from '../kafka/offsets.ts'
import { DEBT_STATES, type DebtEntry, type DebtState } from '../ledger/debt-entry.ts'
import { totalsOf } from '../ledger/debt-order.ts'
import { LEDGER_TOPIC, LedgerReader } from '../ledger/ledger-topic.ts'
import { silentDiagnostics } from '../telemetry/diagnostics.ts'
import { DEFAULT_STREAM_TOPICS, streamOf } from '../vault/stream-topics.ts'
import { askAdmin } from './admin-client.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import { CLUSTER_OPTION_PATHS, withCluster } from './control-client.ts'
import type { OutputFormat } from './output.ts'
import { formatCount, formatTable, outputOption, printable, printResult } from './output.ts'
import { formatDuration } from './status-table.ts'
import type { Terminal } from './terminal.ts'

const WANTED = [
  ...CLUSTER_OPTION_PATHS,
  'admin.host',
  'admin.port',
  'streams.vaultTemplate',
  'compactor.urgentPercent',
]
const HELP = `
Each line is a range of one vault partition that was not enriched fully. TIER says what was made instead, WHY the zone and
sensor of the time, DEADLINE when retention may delete its bytes (! is near), PAID when it will have been paid at the rate of
now, in the order of the lines. Read from the ledger's topic; the rate comes from the status at the admin port, else from two
looks at the ledger.

Examples:
  gophership debt
  gophership debt --state lost
  gophership debt --stream orders -o json --kafka-bootstrap-servers k1:9092
`
const LEDGER_MS_MAX = 30_000
/** Time between the two looks at the ledger from which a rate is taken. */
const LOOKS_MS = 1_000

interface Options {
  readonly state: DebtState | 'all'
  readonly stream?: readonly string[]
  readonly output: OutputFormat
}

/** What is printed as JSON or YAML. */
interface DebtDocument extends DebtReport {
  /** Of the instance at the admin port; null when none answers there. */
  readonly compactor: Pick<CompactorStatus, 'state' | 'explanation' | 'endsMs' | 'recordsPerSecond'> | null
}

export function debtCommand({ terminal }: CommandContext): Command {
  return addConfigOptions(new Command('debt'), (path) => WANTED.includes(path))
    .description('what is owed: how much, how old, why, and when it will be paid')
    .addOption(
      new Option('--state <state>', 'which ranges to list').choices([...DEBT_STATES, 'all']).default('open'),
    )
    .option('--stream <name>', 'only this stream; may be given more than once', collect)
    .addOption(outputOption())
    .addHelpText('after', HELP)
    .action(async (options: Options, command: Command) => {
      const { config } = await configOf(command, terminal)
      const compactor = await askCompactor(config)
      const report = await withCluster(config, (cluster) => readReport(cluster, config, options, compactor))
      const { state } = options
      const rows = report.rows.filter((row) => state === 'all' || row.state === state)
      const value: DebtDocument = { ...report, rows, compactor: compactor && summaryOf(compactor) }
      const nowMs = Date.now()
      printResult(terminal, {
        format: options.output,
        value,
        table: (document) => formatReport(terminal, document, { state, nowMs }),
      })
    })
}

/** The compactor's part of the status at the admin port; null when there is none. */
export async function askCompactor({ admin }: Config): Promise<CompactorStatus | null> {
  try {
    const { isOk, document } = await askAdmin(admin, '/v1/status')
    const part = isOk ? (document as { compactor?: CompactorStatus | null } | null)?.compactor : null
    return part ?? null
  } catch {
    return null
  }
}

/** All entries of the ledger; none when there is no ledger yet. */
export async function readBooks(
  cluster: KafkaCluster,
  use: (reader: LedgerReader | null) => Promise<void>,
): Promise<void> {
  const topics = await cluster.listTopics()
  if (!topics.some(({ name }) => name === LEDGER_TOPIC)) return await use(null)
  const reader = new LedgerReader(cluster, { diagnostics: silentDiagnostics })
  try {
    await reader.catchUp({ timeoutMs: LEDGER_MS_MAX })
    await use(reader)
  } finally {
    await reader.stop()
  }
}

/** Everything in the books. */
export const entriesOf = ({ fold }: LedgerReader): DebtEntry[] =>
  fold.partitions().flatMap((partition) => fold.booksOf(partition))

async function readReport(
  cluster: KafkaCluster,
  config: Config,
  { stream: streams }: Options,
  compactor: CompactorStatus | null,
): Promise<DebtReport> {
  const templates = { ...DEFAULT_STREAM_TOPICS, vault: config.streams.vaultTemplate }
  let entries: DebtEntry[] = []
  let pace: PayPace | null = null
  await readBooks(cluster, async (reader) => {
    if (reader === null) return
    entries = entriesOf(reader)
    pace = await paceOf(compactor, reader, entries)
  })
  if (streams !== undefined) {
    const known = new Set(entries.map(({ topic }) => streamOf(topic, templates) ?? topic))
    refuseUnknown(streams, await vaultStreams(cluster, templates), known)
    entries = entries.filter(({ topic }) => streams.includes(streamOf(topic, templates) ?? topic))
  }
  const { retention, endOf } = await readVault(cluster, entries)
  const urgentShare = config.compactor.urgentPercent / 100
  return reportDebt(entries, { nowMs: Date.now(), retention, endOf, urgentShare, pace })
}

/** The rate by the status; without one, by what is settled from one look at the ledger to the next. */
async function paceOf(
  compactor: CompactorStatus | null,
  reader: LedgerReader,
  entries: readonly DebtEntry[],
): Promise<PayPace | null> {
  if (compactor !== null) {
    const { recordsPerSecond, endsMs } = compactor
    return recordsPerSecond === null
      ? null
      : { recordsPerSecond, startsMs: Math.max(Date.now(), endsMs ?? 0) }
  }
  const open = totalsOf(entries, 'open')
  if (open.entryCount === 0) return null
  const startedMs = performance.now()
  await new Promise((resolve) => setTimeout(resolve, LOOKS_MS))
  await reader.catchUp({ timeoutMs: LEDGER_MS_MAX })
  const settled = (list: readonly DebtEntry[]) => totalsOf(list, 'settled').recordCount
  const paidCount = settled(entriesOf(reader)) - settled(entries)
  if (paidCount <= 0) return null
  return { recordsPerSecond: (paidCount * 1_000) / (performance.now() - startedMs), startsMs: Date.now() }
}

/** What the vault keeps, and where it ends, of the partitions with open debt that still exist. */
async function readVault(
  cluster: KafkaCluster,
  entries: readonly DebtEntry[],
): Promise<Pick<Parameters<typeof reportDebt>[1], 'retention' | 'endOf'>> {
  const existing = new Map(
    (await cluster.listTopics()).map(({ name, partitionCount }) => [name, partitionCount]),
  )
  const open = entries.filter(
    ({ state, topic, partition }) => state === 'open' && partition < (existing.get(topic) ?? 0),
  )
  const retention = await readRetention(cluster, [...new Set(open.map(({ topic }) => topic))])
  const places = new Map(open.map(({ topic, partition }) => [`${topic}/${partition}`, { topic, partition }]))
  const ends = await listOffsets(
    cluster,
    [...places.values()].map(({ topic, partition }) => ({ topic, partition, at: 'latest' as const })),
  )
  const endByPlace = new Map(ends.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]))
  return { retention, endOf: (topic, partition) => endByPlace.get(`${topic}/${partition}`) ?? null }
}

async function vaultStreams(
  cluster: KafkaCluster,
  templates: Parameters<typeof streamOf>[1],
): Promise<string[]> {
  return (await cluster.listTopics()).flatMap(({ name }) => streamOf(name, templates) ?? [])
}

function refuseUnknown(
  streams: readonly string[],
  existing: readonly string[],
  indebted: ReadonlySet<string>,
): void {
  const missing = streams.filter((name) => !existing.includes(name) && !indebted.has(name))
  if (missing.length === 0) return
  const there = existing.join(', ') || 'none yet'
  throw new GopherShipError('GS_CONFIG_INVALID', `no such stream: ${missing.join(', ')}; there is ${there}`)
}

function summaryOf({ state, explanation, endsMs, recordsPerSecond }: CompactorStatus) {
  return { state, explanation, endsMs, recordsPerSecond }
}

function formatReport(
  terminal: Terminal,
  { rows, totals, compactor }: DebtDocument,
  { state, nowMs }: { readonly state: DebtState | 'all'; readonly nowMs: number },
): string {
  const isClosed = state !== 'open'
  const table = formatTable<DebtRow>(terminal, rows, [
    { title: 'TOPOLOGY', cell: ({ topology }) => topology },
    { title: 'TOPIC', cell: ({ topic }) => topic },
    { title: 'PARTITION', isNumber: true, cell: ({ partition }) => partition },
    { title: 'FIRST', isNumber: true, cell: ({ first }) => formatCount(first) },
    { title: 'LAST', isNumber: true, cell: ({ last }) => formatCount(last) },
    { title: 'RECORDS', isNumber: true, cell: ({ recordCount }) => formatCount(recordCount) },
    { title: 'TIER', cell: ({ tier }) => tier },
    { title: 'WHY', cell: ({ zone, driver }) => `${zone} ${driver}` },
    { title: 'AGE', isNumber: true, cell: ({ ageMs }) => formatAge(ageMs) },
    { title: 'STATE', cell: (row) => row.state },
    {
      title: 'DEADLINE',
      isNumber: true,
      cell: ({ deadlineMs, isUrgent }) =>
        deadlineMs === null
          ? isUrgent
            ? '!'
            : '-'
          : `${isUrgent ? '! ' : ''}${formatWhen(deadlineMs, nowMs)}`,
    },
    {
      title: isClosed ? 'PAID, CLOSED' : 'PAID',
      isNumber: true,
      cell: ({ paidByMs, closedMs }) =>
        closedMs !== null
          ? formatWhen(closedMs, nowMs)
          : paidByMs === null
            ? '-'
            : formatWhen(paidByMs, nowMs),
    },
  ])
  const sums = DEBT_STATES.map((each) => {
    const { entryCount, recordCount, bytes } = totals[each]
    const ranges = `${formatCount(entryCount)} ${entryCount === 1 ? 'range' : 'ranges'}`
    return `${each.padEnd(8)} ${ranges}, ${formatCount(recordCount)} records, ${formatBytes(bytes)}`
  })
  const empty =
    state === 'open' ? 'Nothing is owed.\n' : `No range is ${state === 'all' ? 'booked' : state}.\n`
  return `${rows.length === 0 ? empty : table}\n${[...sums, ...describePaying(compactor)].join('\n')}\n`
}

/** What the compactor is doing, in a line. */
export function describePaying(compactor: DebtDocument['compactor']): string[] {
  if (compactor === null) return []
  const { state, explanation, endsMs, recordsPerSecond } = compactor
  const rate = recordsPerSecond === null ? '' : `, ${formatCount(Math.round(recordsPerSecond))} records/s`
  const why = explanation === '' ? '' : `: ${printable(explanation)}`
  const until = endsMs === null ? '' : ` (until ${new Date(endsMs).toISOString()})`
  return [`compactor ${state}${rate}${why}${until}`]
}

/** "in 3 min 5 s", "2 h 4 min ago". */
function formatWhen(whenMs: number, nowMs: number): string {
  return whenMs >= nowMs ? `in ${formatAge(whenMs - nowMs)}` : `${formatAge(nowMs - whenMs)} ago`
}

const formatAge = (ms: number): string => formatDuration(Math.ceil(ms / 1_000))

/** 1.5 MiB: sizes as people say them. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const unit = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** unit
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

const collect = (value: string, before: readonly string[] = []): string[] => [...before, value]
