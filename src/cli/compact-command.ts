/** `gophership compact`: has debt paid now, and tells the compactors to pause and to go on. */

import { Command } from 'commander'
import { loadTopology } from '../app/topology-file.ts'
import type { CompactorStatus } from '../compactor/compactor-status.ts'
import { GopherShipError } from '../core/errors.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import type { DebtEntry } from '../ledger/debt-entry.ts'
import { type DebtTotals, totalsOf } from '../ledger/debt-order.ts'
import { debtWithin } from '../ledger/debt-ranges.ts'
import type { LedgerReader } from '../ledger/ledger-topic.ts'
import type { CompactorOrder, ControlState } from '../pressure/control-record.ts'
import { NO_CONTROL } from '../pressure/control-record.ts'
import { CONTROL_TOPIC, ControlTopic, writeControl } from '../pressure/control-topic.ts'
import { silentDiagnostics } from '../telemetry/diagnostics.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import { CLUSTER_OPTION_PATHS, orderedBy, withCluster } from './control-client.ts'
import { askCompactor, describePaying, entriesOf, formatBytes, readBooks } from './debt-command.ts'
import type { OutputFormat } from './output.ts'
import { formatCount, outputOption, printable, printResult } from './output.ts'
import { ProgressBar } from './progress-bar.ts'
import type { Terminal } from './terminal.ts'

const WANTED = [...CLUSTER_OPTION_PATHS, 'processor.topology']
const WANTED_FOR_STATUS = [...CLUSTER_OPTION_PATHS, 'admin.host', 'admin.port']
const HELP = `
Debt is paid in the idle windows (compactor.idleWindows) while pressure is green. With --now, what is owed at this moment is paid
whatever the hour and the pressure, by every instance on the same Kafka; the rate limits and the emergency switch still hold.
The command waits until it is paid; Ctrl-C ends the waiting and not the paying.

Examples:
  gophership compact --now
  gophership compact pause
  gophership compact resume
  gophership compact status -o json
`
/** Time between two looks at the ledger. */
const LOOK_MS = 500
/** Without any progress for so long, a hint is due: perhaps nobody runs the role. */
const HINT_MS = 15_000
const LEDGER_MS_MAX = 30_000

export function compactCommand(context: CommandContext): Command {
  const { terminal } = context
  return (
    addConfigOptions(new Command('compact'), (path) => WANTED.includes(path))
      // What follows pause, resume or status is theirs.
      .enablePositionalOptions()
      .description('have debt paid now, or pause the paying of it')
      .option('--now', 'pay what is owed at this moment, and wait until it is paid')
      .addHelpText('after', HELP)
      .addCommand(orderCommand(context, { name: 'pause', isPaused: true }))
      .addCommand(orderCommand(context, { name: 'resume', isPaused: false }))
      .addCommand(compactStatusCommand(context))
      .action(async (options: { now?: boolean }, command: Command) => {
        if (options.now !== true) {
          throw new GopherShipError(
            'GS_CONFIG_INVALID',
            'expected --now, pause, resume or status, such as "gophership compact --now"',
          )
        }
        const { config } = await configOf(command, terminal)
        const { name: topology } = await loadTopology(config.processor.topology)
        await withCluster(config, (cluster) => payNow(cluster, topology, terminal))
      })
  )
}

function orderCommand(
  { terminal }: CommandContext,
  { name, isPaused }: { readonly name: string; readonly isPaused: boolean },
): Command {
  return addConfigOptions(new Command(name), (path) => CLUSTER_OPTION_PATHS.includes(path))
    .description(isPaused ? 'pay no debt until resumed, on every instance' : 'pay debt again')
    .addHelpText('after', HELP)
    .action(async (_options: object, command: Command) => {
      const { config } = await configOf(command, terminal)
      await withCluster(config, async (cluster) => {
        const { compactor } = await readControl(cluster)
        await orderCompactors(cluster, { ...compactor, isPaused, by: orderedBy(terminal) })
      })
      const said = isPaused
        ? 'no debt is paid on any instance; "gophership compact resume" ends it'
        : 'debt is paid again as the windows and the pressure allow'
      terminal.out(`${said}\n`)
    })
}

interface CompactStatusDocument {
  /** Of the whole cluster, by the ledger. */
  readonly owed: DebtTotals
  readonly lost: DebtTotals
  readonly isPaused: boolean
  readonly isEmergency: boolean
  /** When somebody last asked for everything to be paid, wall-clock ms. */
  readonly requestedMs: number | null
  /** Of the instance at the admin port; null when none answers there. */
  readonly compactor: CompactorStatus | null
}

function compactStatusCommand({ terminal }: CommandContext): Command {
  return addConfigOptions(new Command('status'), (path) => WANTED_FOR_STATUS.includes(path))
    .description('what is owed, whether it is being paid, and why not')
    .addOption(outputOption())
    .addHelpText('after', HELP)
    .action(async (options: { output: OutputFormat }, command: Command) => {
      const { config } = await configOf(command, terminal)
      const compactor = await askCompactor(config)
      const document = await withCluster(config, (cluster) => readStatus(cluster, compactor))
      printResult(terminal, { format: options.output, value: document, table: formatStatus })
    })
}

async function readStatus(
  cluster: KafkaCluster,
  compactor: CompactorStatus | null,
): Promise<CompactStatusDocument> {
  let entries: DebtEntry[] = []
  await readBooks(cluster, async (reader) => {
    if (reader !== null) entries = entriesOf(reader)
  })
  const control = await readControl(cluster)
  return {
    owed: totalsOf(entries, 'open'),
    lost: totalsOf(entries, 'lost'),
    isPaused: control.compactor.isPaused,
    isEmergency: control.emergency !== null,
    requestedMs: control.compactor.now?.requestedMs ?? null,
    compactor,
  }
}

function formatStatus({ owed, lost, isPaused, isEmergency, compactor }: CompactStatusDocument): string {
  const amount = ({ entryCount, recordCount, bytes }: DebtTotals) =>
    `${formatCount(entryCount)} ${entryCount === 1 ? 'range' : 'ranges'}, ${formatCount(recordCount)} records, ${formatBytes(bytes)}`
  const lines = [`owed      ${amount(owed)}`]
  if (lost.entryCount > 0) lines.push(`lost      ${amount(lost)}`)
  if (isPaused) lines.push('paused    on every instance; "gophership compact resume" ends it')
  if (isEmergency) lines.push('emergency the switch is on for every instance: nothing is enriched')
  lines.push(...describePaying(compactor))
  if (compactor === null) {
    lines.push('compactor no instance answers at the admin port (see --admin-port)')
  } else {
    const { current, problems } = compactor
    if (current !== null) {
      const { topic, partition, first, last, position } = current
      lines.push(`paying    ${printable(topic)}-${partition} [${first}, ${last}], at ${position}`)
    }
    for (const problem of problems) lines.push(`problem   ${printable(problem)}`)
  }
  return `${lines.join('\n')}\n`
}

/** Orders what is owed by a topology to be paid, and waits for it. */
async function payNow(cluster: KafkaCluster, topology: string, terminal: Terminal): Promise<void> {
  await readBooks(cluster, async (reader) => {
    const targets = reader === null ? [] : openOf(reader, topology)
    if (reader === null || targets.length === 0) {
      terminal.out('nothing is owed\n')
      return
    }
    const control = await readControl(cluster)
    if (control.compactor.isPaused) {
      throw new GopherShipError(
        'GS_CONFIG_INVALID',
        'the compactors are paused; end that with "gophership compact resume" and try again',
      )
    }
    if (control.emergency !== null) {
      terminal.err('the emergency switch is on: nothing is paid until "gophership emergency off --cluster"\n')
    }
    // Booked by machines whose clocks may be ahead of ours: all of them are meant.
    const requestedMs = Math.max(Date.now(), ...targets.map(({ openedMs }) => openedMs))
    await orderCompactors(cluster, { isPaused: false, now: { requestedMs }, by: orderedBy(terminal) })
    await watch(reader, targets, terminal)
  })
}

/** Follows the ledger until nothing of the targets is open, or until asked to stop. */
async function watch(reader: LedgerReader, targets: readonly DebtEntry[], terminal: Terminal): Promise<void> {
  const totalCount = sumRecords(targets)
  const bar = new ProgressBar(terminal, { label: 'paying debt', unit: 'records' })
  const { stopRequested: signal } = terminal
  let [leastLeft, movedMs] = [Number.POSITIVE_INFINITY, performance.now()]
  let isHinted = false
  try {
    for (;;) {
      signal.throwIfAborted()
      await reader.catchUp({ signal, timeoutMs: LEDGER_MS_MAX })
      const left = remains(reader, targets, 'open')
      if (left.length === 0) break
      const leftCount = sumRecords(left)
      if (leftCount < leastLeft) [leastLeft, movedMs] = [leftCount, performance.now()]
      bar.update(totalCount - leftCount, totalCount)
      if (!isHinted && performance.now() - movedMs > HINT_MS) {
        isHinted = true
        bar.stop()
        terminal.err(
          'nothing has been paid for a while: does an instance with the role compactor run on this Kafka? ("gophership compact status")\n',
        )
      }
      await pause(LOOK_MS, signal)
    }
  } catch (error) {
    if (!signal.aborted) throw error
    bar.stop()
    terminal.err('no longer waiting; the debt goes on being paid ("gophership compact status")\n')
    return
  }
  bar.stop()
  const lost = sumRecords(remains(reader, targets, 'lost'))
  terminal.out(`paid: ${formatCount(totalCount - lost)} records in ${rangesOf(targets)}\n`)
  if (lost > 0) {
    terminal.err(`lost: ${formatCount(lost)} records, whose bytes were gone (gophership debt --state lost)\n`)
  }
}

const rangesOf = ({ length }: readonly DebtEntry[]) =>
  `${formatCount(length)} ${length === 1 ? 'range' : 'ranges'}`

const openOf = (reader: LedgerReader, topology: string): DebtEntry[] =>
  entriesOf(reader).filter((entry) => entry.state === 'open' && entry.topology === topology)

/** The parts of the targets that are in a state by now. */
function remains(
  reader: LedgerReader,
  targets: readonly DebtEntry[],
  state: DebtEntry['state'],
): DebtEntry[] {
  return targets
    .flatMap((target) => debtWithin(reader.fold.booksOf(target), target))
    .filter((entry) => entry.state === state)
}

const sumRecords = (entries: readonly DebtEntry[]): number =>
  entries.reduce((sum, { recordCount }) => sum + recordCount, 0)

async function orderCompactors(cluster: KafkaCluster, order: CompactorOrder): Promise<void> {
  await writeControl(cluster, { name: 'compactor', to: order })
}

/** What stands; nothing where there is no control topic yet, which a question must not create. */
async function readControl(cluster: KafkaCluster): Promise<ControlState> {
  const topics = await cluster.listTopics()
  if (!topics.some(({ name }) => name === CONTROL_TOPIC)) return NO_CONTROL
  const control = await ControlTopic.open(cluster, { diagnostics: silentDiagnostics })
  try {
    return control.current()
  } finally {
    await control.stop()
  }
}

/** Resolves early, without a word, when asked to stop. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    function done() {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done, { once: true })
  })
}
