/** `gophership topics`: what each topic holds, asked over the Kafka protocol and so of any cluster. */

import { Command } from 'commander'
import type { Admin } from 'kafkajs'
import type { Config } from '../config/schema.ts'
import { GopherShipError } from '../core/errors.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import { CLUSTER_OPTION_PATHS, unreachable } from './control-client.ts'
import type { OutputFormat } from './output.ts'
import { formatCount, formatTable, outputOption, printResult } from './output.ts'

interface TopicRow {
  readonly topic: string
  readonly partitionCount: number
  readonly firstOffset: number
  readonly lastOffset: number
  /** An upper bound where transactions or compaction left gaps. */
  readonly recordCount: number
  readonly partitions: readonly {
    readonly partition: number
    readonly firstOffset: number
    readonly endOffset: number
  }[]
}

export function topicsCommand({ terminal }: CommandContext): Command {
  return addConfigOptions(new Command('topics'), (path) => CLUSTER_OPTION_PATHS.includes(path))
    .description('list topics with their partitions, offsets and record counts')
    .argument('[names...]', 'only these topics')
    .option('--internal', 'include topics whose names begin with __')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExamples:\n  gophership topics\n  gophership topics raw-vault.web enriched.web\n  gophership topics -o json --kafka-bootstrap-servers k1:9092',
    )
    .action(
      async (names: string[], options: { output: OutputFormat; internal?: boolean }, command: Command) => {
        const { config } = await configOf(command, terminal)
        const rows = await withAdmin(config, (admin) => readTopics(admin, names, options.internal === true))
        printResult(terminal, {
          format: options.output,
          value: rows,
          table: (value) =>
            formatTable(terminal, value, [
              { title: 'TOPIC', cell: (row) => row.topic },
              { title: 'PARTITIONS', isNumber: true, cell: (row) => row.partitionCount },
              { title: 'FIRST', isNumber: true, cell: (row) => formatCount(row.firstOffset) },
              {
                title: 'LAST',
                isNumber: true,
                cell: (row) => (row.lastOffset < 0 ? '-' : formatCount(row.lastOffset)),
              },
              { title: 'RECORDS', isNumber: true, cell: (row) => formatCount(row.recordCount) },
            ]),
        })
      },
    )
}

/** Connected only for as long as `work` takes. */
async function withAdmin<Value>(config: Config, work: (admin: Admin) => Promise<Value>): Promise<Value> {
  const { Kafka, logLevel } = await import('kafkajs')
  silenceTimerWarnings()
  const configured = config.kafka.bootstrapServers
  const brokers = configured.length > 0 ? [...configured] : [`${config.broker.host}:${config.broker.port}`]
  const kafka = new Kafka({
    brokers,
    clientId: config.kafka.clientId,
    logLevel: logLevel.NOTHING,
    connectionTimeout: 3_000,
    requestTimeout: 10_000,
    retry: { retries: 2, initialRetryTime: 100 },
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    return await work(admin)
  } catch (error) {
    if (error instanceof GopherShipError) throw error
    throw unreachable(configured, brokers, error)
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

async function readTopics(
  admin: Admin,
  names: readonly string[],
  isInternalWanted: boolean,
): Promise<TopicRow[]> {
  const existing = await admin.listTopics()
  const missing = names.filter((name) => !existing.includes(name))
  if (missing.length > 0) {
    throw new GopherShipError(
      'GS_CONFIG_INVALID',
      `no such topic: ${missing.join(', ')}; there is ${existing.join(', ') || 'none yet'}`,
    )
  }
  const wanted =
    names.length > 0 ? names : existing.filter((name) => isInternalWanted || !name.startsWith('__'))
  const rows: TopicRow[] = []
  for (const topic of [...wanted].sort()) {
    const offsets = await admin.fetchTopicOffsets(topic)
    const partitions = offsets
      .map(({ partition, low, high }) => ({ partition, firstOffset: Number(low), endOffset: Number(high) }))
      .sort((a, b) => a.partition - b.partition)
    rows.push({
      topic,
      partitionCount: partitions.length,
      firstOffset: Math.min(...partitions.map(({ firstOffset }) => firstOffset)),
      lastOffset: Math.max(...partitions.map(({ endOffset }) => endOffset)) - 1,
      recordCount: partitions.reduce((sum, { firstOffset, endOffset }) => sum + endOffset - firstOffset, 0),
      partitions,
    })
  }
  return rows
}

/** kafkajs computes negative delays, and Node warns of each on standard error; nothing is wrong, and nobody can act on it. */
function silenceTimerWarnings(): void {
  const emitWarning = process.emitWarning.bind(process) as (...args: unknown[]) => void
  process.emitWarning = (...args: unknown[]) => {
    const [warning, name] = args
    const isTimer =
      name === 'TimeoutNegativeWarning' ||
      (warning instanceof Error && warning.name === 'TimeoutNegativeWarning')
    if (!isTimer) emitWarning(...args)
  }
}
