/** `gophership replay`: takes records out of the vault again. */

import { Command, Option } from 'commander'
import { loadTopology } from '../app/topology-file.ts'
import type { Config } from '../config/schema.ts'
import { systemClock } from '../core/clock.ts'
import { importModule } from '../core/import-module.ts'
import { systemRandom } from '../core/random.ts'
import { systemDisk } from '../core/system-disk.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { FILE_FORMATS, type FileFormat, FileTarget } from '../replay/file-target.ts'
import { KafkaCheckpoint } from '../replay/kafka-checkpoint.ts'
import { recordFilter } from '../replay/record-filter.ts'
import { type ReplayReport, replay } from '../replay/replay.ts'
import { invalidReplay } from '../replay/replay-error.ts'
import { planRanges, type ReplayRange, replayId } from '../replay/replay-plan.ts'
import { parseRate, parseReplayPoint } from '../replay/replay-point.ts'
import type { ReplayTarget } from '../replay/replay-target.ts'
import { checkTargetTopic } from '../replay/target-topic.ts'
import { TopicTarget, VerbatimConversion } from '../replay/topic-target.ts'
import { TopologyConversion } from '../replay/topology-conversion.ts'
import { checkedUrl, type Post, UrlTarget } from '../replay/url-target.ts'
import { prepareTopology } from '../topology/prepare-topology.ts'
import {
  DEFAULT_STREAM_TOPICS,
  type StreamTopicTemplates,
  streamNameProblem,
  vaultTopicOf,
} from '../vault/stream-topics.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import { CLUSTER_OPTION_PATHS, withCluster } from './control-client.ts'
import { EXIT } from './exit-codes.ts'
import type { OutputFormat } from './output.ts'
import { formatCount, outputOption, printable, printResult } from './output.ts'
import { ProgressBar } from './progress-bar.ts'

const WANTED = [...CLUSTER_OPTION_PATHS, 'streams.vaultTemplate', 'processor.timeZone']
const HELP = `
Where it begins and ends: --from is the first record at or after it, --to the first that is left out.
  2026-05-01T10:00:00Z   RFC 3339, with Z or an offset        -2h            before now (s, m, h, d)
  1777629600000          milliseconds since 1970              offset:1200    with --partition

Where it goes, one of:
  --to-topic X           verbatim batches, to the same partitions; exactly once
  --through T            events of topology T, to --to-topic or replay.<stream>, its dead letters beside them; exactly once
  --to-file F            verbatim batches, or --format ndjson
  --to-url U             POST of NDJSON bodies; a body may come twice after a failure, with the same Idempotency-Key

A replay that was cut off goes on when the same command is given again. Without --key and --match batches are copied as they
are, compressed as they are. At the end the records read and written are compared; exit code 1 when they differ.

Examples:
  gophership replay --stream web --from -2h --to-topic replay.web
  gophership replay --stream web --from 2026-05-01T10:00:00Z --to 2026-05-01T11:00:00Z --to-file web.batches
  gophership replay --stream orders --key customer-7 --to-file customer-7.ndjson --format ndjson
  gophership replay --stream web --from -1d --through ./mine.yaml --to-topic replay.web.mine --rate 5000
  gophership replay --stream web --from -1h --match "status=5[0-9]{2}" --to-url https://example.org/in --dry-run
`

interface Options {
  readonly stream: string
  readonly from?: string
  readonly to?: string
  readonly partition?: string
  readonly key?: string
  readonly match?: string
  readonly toTopic?: string
  readonly through?: string
  readonly toFile?: string
  readonly toUrl?: string
  readonly format: FileFormat
  readonly rate?: string
  readonly dryRun?: boolean
  readonly restart?: boolean
  readonly intoLive?: boolean
  readonly output: OutputFormat
}

export function replayCommand({ terminal, setExitCode }: CommandContext): Command {
  return addConfigOptions(new Command('replay'), (path) => WANTED.includes(path))
    .description('take records out of the vault again: to a topic, through a topology, to a file or a URL')
    .requiredOption('--stream <name>', 'the stream whose vault is read')
    .option('--from <time|offset>', 'where to begin (default: the first record there is)')
    .option('--to <time|offset>', 'where to end, not included (default: the last record there is now)')
    .option('--partition <n>', 'only this partition')
    .option('--key <text>', 'only records with this key')
    .option('--match <pattern>', 'only records whose value matches this regular expression')
    .option('--to-topic <topic>', 'copy to this topic')
    .option('--through <topology>', 'enrich with this topology: the name of one that ships, or a path')
    .option('--to-file <path>', 'write to this file')
    .option('--to-url <url>', 'POST to this URL')
    .addOption(new Option('--format <format>', 'of the file').choices([...FILE_FORMATS]).default('batches'))
    .option('--rate <n>', 'at most so many records a second')
    .option('--dry-run', 'read and count, write nothing')
    .option('--restart', 'begin anew, whatever an earlier run with these arguments has done')
    .option('--into-live', 'allow a target that is a live topic of GopherShip')
    .addOption(outputOption())
    .addHelpText('after', HELP)
    .action(async (options: Options, command: Command) => {
      const { config } = await configOf(command, terminal)
      const request = await checkedRequest(options, config)
      const signal = terminal.stopRequested
      const bar = new ProgressBar(terminal, { label: `replaying ${options.stream}`, unit: 'offsets' })
      try {
        const report = await withCluster(config, async (cluster) => {
          const ranges = await planRanges(cluster, request.source)
          const target = options.dryRun === true ? null : request.target(cluster, ranges, signal)
          try {
            return await replay({
              cluster,
              clock: systemClock,
              topic: request.source.topic,
              ranges,
              filter: request.filter,
              target,
              ratePerSecond: request.ratePerSecond,
              signal,
              onProgress: ({ doneOffsets, totalOffsets }) => bar.update(doneOffsets, totalOffsets),
            })
          } finally {
            await target?.stop()
          }
        })
        bar.stop()
        const isMatching = isComplete(report, options.dryRun === true)
        const value = { source: request.source.topic, target: request.targetName, isMatching, ...report }
        printResult(terminal, {
          format: options.output,
          value,
          table: () => closingLines(report, request.targetName, options),
        })
        if (!isMatching) setExitCode(EXIT.failed)
      } catch (error) {
        bar.stop()
        if (!signal.aborted) throw error
        terminal.err('stopped; the same command goes on from here\n')
        setExitCode(EXIT.failed)
      }
    })
}

/** Everything that can be refused before a cluster is asked. */
async function checkedRequest(options: Options, config: Config) {
  const templates: StreamTopicTemplates = { ...DEFAULT_STREAM_TOPICS, vault: config.streams.vaultTemplate }
  const { stream, from, to, key = null, match = null, rate } = options
  if (streamNameProblem(stream, templates) !== null) {
    throw invalidReplay(`expected --stream to be the name of a stream, found "${stream}"`)
  }
  const nowMs = systemClock.wallMs()
  const source = {
    topic: vaultTopicOf(stream, templates),
    partition: parsePartition(options.partition),
    from: from === undefined ? null : parseReplayPoint('--from', from, nowMs),
    to: to === undefined ? null : parseReplayPoint('--to', to, nowMs),
  }
  const id = replayId({
    source: source.topic,
    partition: options.partition ?? null,
    from: from ?? null,
    to: to ?? null,
    key,
    match,
    topic: options.toTopic ?? null,
    through: options.through ?? null,
    file: options.toFile ?? null,
    format: options.toFile === undefined ? null : options.format,
    url: options.toUrl ?? null,
  })
  const { name, open } = await checkedTarget(options, config, { source: source.topic, templates, id })
  return {
    source,
    filter: recordFilter({ key, match }),
    ratePerSecond: rate === undefined ? null : parseRate(rate),
    targetName: name,
    target: open,
  }
}

type OpenTarget = (cluster: KafkaCluster, ranges: readonly ReplayRange[], signal: AbortSignal) => ReplayTarget

async function checkedTarget(
  options: Options,
  config: Config,
  { source, templates, id }: { source: string; templates: StreamTopicTemplates; id: string },
): Promise<{ name: string; open: OpenTarget }> {
  const { stream, toTopic, through, toFile, toUrl, format } = options
  const isRestart = options.restart === true
  const isLiveMeant = options.intoLive === true
  const isTopic = toTopic !== undefined || through !== undefined
  const given = [isTopic, toFile !== undefined, toUrl !== undefined].filter(Boolean).length
  if (given !== 1) {
    throw invalidReplay(
      `expected one of --to-topic, --through, --to-file and --to-url, found ${given === 0 ? 'none' : 'more than one'}`,
    )
  }
  const checkpointOf = (cluster: KafkaCluster) => new KafkaCheckpoint(cluster, { topic: source, id })
  if (toFile !== undefined) {
    const disk = systemDisk
    return {
      name: toFile,
      open: () => new FileTarget({ disk, path: toFile, format, id, topic: source, isRestart }),
    }
  }
  if (toUrl !== undefined) {
    const url = checkedUrl(toUrl)
    const post: Post = (address, request) => fetch(address, request)
    const shared = { url, topic: source, isRestart, clock: systemClock, random: systemRandom, post }
    return {
      name: url,
      open: (cluster, _, signal) =>
        new UrlTarget(cluster, { ...shared, checkpoint: checkpointOf(cluster), signal }),
    }
  }
  const topic = toTopic ?? `replay.${stream}`
  checkTargetTopic({ target: topic, source, templates, isLiveMeant })
  if (through === undefined) {
    return {
      name: topic,
      open: (cluster, ranges) =>
        new TopicTarget(cluster, {
          name: topic,
          topics: [{ topic, partitionCount: partitionCountOf(ranges) }],
          conversion: new VerbatimConversion(topic),
          checkpoint: checkpointOf(cluster),
          isRestart,
        }),
    }
  }
  const topology = await prepareTopology(await loadTopology(through), importModule, {
    timeZone: config.processor.timeZone,
  })
  const deadLetterTopic = `${topic}.dead-letter`
  checkTargetTopic({ target: deadLetterTopic, source, templates, isLiveMeant })
  return {
    name: `${topic} through ${topology.name}`,
    open: (cluster, ranges) =>
      new TopicTarget(cluster, {
        name: topic,
        topics: [
          { topic, partitionCount: partitionCountOf(ranges) },
          { topic: deadLetterTopic, partitionCount: 1 },
        ],
        conversion: new TopologyConversion({
          topology,
          vaultTopic: source,
          enrichedTopic: topic,
          deadLetterTopic,
        }),
        checkpoint: checkpointOf(cluster),
        isRestart,
      }),
  }
}

/** As many as it takes to have each record in the partition it came from. */
const partitionCountOf = (ranges: readonly ReplayRange[]) =>
  Math.max(...ranges.map(({ partition }) => partition)) + 1

function parsePartition(text: string | undefined): number | null {
  if (text === undefined) return null
  if (/^\d{1,7}$/.test(text)) return Number(text)
  throw invalidReplay(`expected --partition to be a number from 0, found "${text}"`)
}

function isComplete({ takenCount, writtenCount, countedRecords }: ReplayReport, isDryRun: boolean): boolean {
  if (isDryRun) return true
  return takenCount === writtenCount && (countedRecords === null || countedRecords === writtenCount)
}

function closingLines(report: ReplayReport, targetName: string, { stream, dryRun }: Options): string {
  const { takenCount, writtenCount, countedRecords, isResumed, wasDone, batchCount, cutBatchCount } = report
  const [taken, written] = [formatCount(takenCount), formatCount(writtenCount)]
  const name = printable(targetName)
  if (dryRun === true)
    return `${taken} records of ${printable(stream)} would go to ${name}; nothing was written\n`
  if (wasDone) {
    return `an earlier run with these arguments has written all ${written} records to ${name}; --restart writes them again\n`
  }
  const how = isResumed ? ' (over this run and the one that was cut off)' : ''
  const cut =
    cutBatchCount === 0
      ? ''
      : `; ${formatCount(cutBatchCount)} of ${formatCount(batchCount)} batches had records left out`
  if (isComplete(report, false))
    return `${taken} records read, ${written} written to ${name}${how}: they match${cut}\n`
  const counted = countedRecords === null ? '' : `, which holds ${formatCount(countedRecords)}`
  return `${taken} records read, ${written} written to ${name}${how}${counted}: they do NOT match\n`
}
