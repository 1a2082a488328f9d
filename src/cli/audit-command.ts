/** `gophership audit`: the proof from the topics that nothing is missing and nothing is doubled. */

import { Command } from 'commander'
import { loadTopology } from '../app/topology-file.ts'
import type { AuditedPartition, AuditReport } from '../audit/audit.ts'
import { audit } from '../audit/audit.ts'
import { describeFinding, FINDING_KINDS, type Finding } from '../audit/finding.ts'
import { nearestName } from '../config/nearest.ts'
import { GopherShipError } from '../core/errors.ts'
import { SourceTopics } from '../enrichment/source-topics.ts'
import { silentDiagnostics } from '../telemetry/diagnostics.ts'
import { DEFAULT_STREAM_TOPICS } from '../vault/stream-topics.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import { CLUSTER_OPTION_PATHS, withCluster } from './control-client.ts'
import { EXIT } from './exit-codes.ts'
import type { OutputFormat } from './output.ts'
import { formatCount, formatTable, outputOption, printable, printResult } from './output.ts'
import { ProgressBar } from './progress-bar.ts'
import type { Terminal } from './terminal.ts'

const WANTED = [
  ...CLUSTER_OPTION_PATHS,
  'processor.groupId',
  'processor.topology',
  'processor.guarantee',
  'streams.vaultTemplate',
]
const HELP = `
Recomputed from the topics alone: committed offsets, ledger, outputs; no counter is asked. It may run at any time, also while
records are coming in. What is said of a partition is said of its offsets from FIRST up to, not including, COMMITTED.

  without --deep  each offset is exactly one of enriched, owed, settled, dead-lettered, lost; no output is there twice. The
                  vault is read only where something seems to be missing, and the ledger is believed.
  with --deep     the whole vault is read and nothing is believed: each settled record has its output, each output its
                  record, and partial events and passed-through batches are where the ledger says, and nowhere else.

Exit code 1 on any violation. "lost" and "expired" are told and are none: what was lost was written off openly, and of what
retention has taken from an output topic nothing can be said.

Examples:
  gophership audit
  gophership audit --deep --stream orders --stream web
  gophership audit --deep -o json --kafka-bootstrap-servers k1:9092
`

interface Options {
  readonly deep?: boolean
  readonly stream?: readonly string[]
  readonly topology?: string
  readonly output: OutputFormat
}

export function auditCommand({ terminal, setExitCode }: CommandContext): Command {
  return addConfigOptions(new Command('audit'), (path) => WANTED.includes(path))
    .description('prove from the topics that nothing is missing and nothing is doubled')
    .option('--deep', 'read the vault too, and believe nobody')
    .option('--stream <name>', 'only this stream; may be given more than once', collect)
    .option('--topology <name>', 'the topology whose work is audited (default: the configured one)')
    .addOption(outputOption())
    .addHelpText('after', HELP)
    .action(async (options: Options, command: Command) => {
      const { config } = await configOf(command, terminal)
      const declaration = await loadTopology(options.topology ?? config.processor.topology)
      const templates = { ...DEFAULT_STREAM_TOPICS, vault: config.streams.vaultTemplate }
      const topics = new SourceTopics(declaration, templates)
      const streams = options.stream ?? null
      const bars = progressBars(terminal)
      const report = await withCluster(config, async (cluster) => {
        const names = (await cluster.listTopics()).flatMap(({ name }) => topics.streamOf(name) ?? [])
        for (const stream of streams ?? []) refuseUnknownStream(stream, names)
        return await audit(cluster, {
          topology: declaration.name,
          topics,
          groupId: config.processor.groupId,
          streams,
          isDeep: options.deep === true,
          guarantee: config.processor.guarantee,
          diagnostics: silentDiagnostics,
          signal: terminal.stopRequested,
          onProgress: bars.update,
        })
      }).finally(bars.stop)
      printResult(terminal, {
        format: options.output,
        value: report,
        table: (value) => formatReport(terminal, value),
      })
      if (report.violationCount > 0) setExitCode(EXIT.failed)
    })
}

/** For options that may be given more than once. */
function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value]
}

function refuseUnknownStream(stream: string, known: readonly string[]): void {
  if (known.includes(stream)) return
  const near = nearestName(stream, [...known])
  const hint = near === null ? `there is ${known.join(', ') || 'none yet'}` : `did you mean "${near}"?`
  throw new GopherShipError(
    'GS_CONFIG_INVALID',
    `no stream named "${printable(stream)}" in the vault; ${hint}`,
    {
      facts: { stream },
    },
  )
}

function progressBars(terminal: Terminal) {
  const bars = {
    outputs: new ProgressBar(terminal, { label: 'reading outputs', unit: 'offsets' }),
    vault: new ProgressBar(terminal, { label: 'reading the vault', unit: 'offsets' }),
  }
  return {
    update: ({
      step,
      readOffsets,
      totalOffsets,
    }: {
      step: keyof typeof bars
      readOffsets: number
      totalOffsets: number
    }) => bars[step].update(readOffsets, totalOffsets),
    stop: () => {
      for (const bar of Object.values(bars)) bar.stop()
    },
  }
}

function formatReport(terminal: Terminal, report: AuditReport): string {
  const { partitions, findings, violationCount, isDeep } = report
  const number = (title: string, of: (partition: AuditedPartition) => number) => ({
    title,
    isNumber: true,
    cell: (partition: AuditedPartition) => formatCount(of(partition)),
  })
  const table = formatTable(terminal, partitions, [
    { title: 'STREAM', cell: ({ stream }) => stream },
    { title: 'PARTITION', isNumber: true, cell: ({ partition }) => partition },
    number('FIRST', ({ first }) => first),
    number('COMMITTED', ({ committed }) => committed),
    number('ENRICHED', ({ counts }) => counts.enriched),
    number('OWED', ({ counts }) => counts.owed),
    number('SETTLED', ({ counts }) => counts.settled),
    number('DEAD-LETTERED', ({ counts }) => counts.deadLettered),
    number('LOST', ({ counts }) => counts.lost),
    number('HOLES', ({ counts }) => counts.holes),
    number('OVERLAPS', ({ counts }) => counts.overlaps),
    number('DUPLICATES', ({ counts }) => counts.duplicates),
  ])
  const all = [...partitions.flatMap((partition) => partition.findings), ...findings]
  const violations = all.filter(({ isViolation }) => isViolation)
  const notices = all.filter(({ isViolation }) => !isViolation)
  const records = partitions.reduce((sum, { counts }) => sum + counts.enriched + counts.settled, 0)
  const proof = isDeep ? 'every record has exactly one outcome' : 'every offset has exactly one outcome'
  const closing =
    violationCount === 0
      ? `clean: ${proof}; ${formatCount(records)} at full density`
      : `${violationCount} ${violationCount === 1 ? 'violation' : 'violations'}`
  return `${table}${lines('violation', violations)}${lines('note', notices)}${closing}\n`
}

function lines(word: string, findings: readonly Finding[]): string {
  const kinds = new Set(findings.map(({ kind }) => kind))
  const named = findings.map((finding) => `${word}: ${printable(describeFinding(finding))}\n`)
  const meanings = [...kinds].map((kind) => `  ${kind}: ${FINDING_KINDS[kind]}\n`)
  return [...named, ...meanings].join('')
}
