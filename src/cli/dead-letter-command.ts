/** `gophership dead-letter list|show|redrive`: records that no stage could handle, and the way back. */

import { isUtf8 } from 'node:buffer'
import { Command } from 'commander'
import { loadTopology } from '../app/topology-file.ts'
import { systemClock } from '../core/clock.ts'
import { GopherShipError } from '../core/errors.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import {
  type DeadLetter,
  type DeadLetterFilter,
  EVERY_LETTER,
  readDeadLetter,
  scanDeadLetters,
} from '../replay/dead-letters.ts'
import { Redrive, type RedriveRefusal, refusalOf } from '../replay/redrive.ts'
import { formatPlace, parsePlace, type RecordPlace, RedrivenLog } from '../replay/redriven-log.ts'
import {
  DEFAULT_STREAM_TOPICS,
  type StreamTopicTemplates,
  streamOf,
  vaultTopicOf,
} from '../vault/stream-topics.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import { CLUSTER_OPTION_PATHS, withCluster } from './control-client.ts'
import { EXIT } from './exit-codes.ts'
import type { OutputFormat } from './output.ts'
import { formatCount, formatTable, outputOption, printable, printResult } from './output.ts'

const WANTED = [...CLUSTER_OPTION_PATHS, 'processor.topology', 'streams.vaultTemplate']
const LIMIT_DEFAULT = 50
const LIMIT_MAX = 10_000
/** Bytes of a value, a key or a header that are shown. */
const SHOWN_BYTES_MAX = 4_096

interface FilterOptions {
  readonly reason?: string
  readonly stage?: string
  readonly stream?: string
}

const REFUSALS: Readonly<Record<RedriveRefusal, string>> = {
  'already-redriven': 'were sent back before; --again sends them once more',
  'undecodable-batch': 'hold a batch that nobody could read, and would end here again',
  'not-in-vault':
    'are of a topic that is no vault topic of this configuration (see --streams-vault-template)',
  'too-large': 'came in a batch that was compressed better than we can, and would not fit the vault',
  'bytes-gone': 'were too large to be kept here, and the vault has let go of them',
}

export function deadLetterCommand(context: CommandContext): Command {
  return new Command('dead-letter')
    .description('records that no stage could handle: list them, look at one, send them back')
    .addCommand(listCommand(context))
    .addCommand(showCommand(context))
    .addCommand(redriveCommand(context))
}

const withFilters = (command: Command): Command =>
  addConfigOptions(command, (path) => WANTED.includes(path))
    .option('--reason <word>', 'only with this reason, such as invalid-utf8')
    .option('--stage <name>', 'only of this stage')
    .option('--stream <name>', 'only of this stream')

function listCommand({ terminal }: CommandContext): Command {
  return withFilters(new Command('list'))
    .description('list the newest dead letters, with counts by reason')
    .option('--limit <n>', `how many are listed, at most ${LIMIT_MAX}`, String(LIMIT_DEFAULT))
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExamples:\n  gophership dead-letter list\n  gophership dead-letter list --stream web --reason stage-failed --limit 500 -o json',
    )
    .action(async (options: FilterOptions & { limit: string; output: OutputFormat }, command: Command) => {
      const limit = parseLimit(options.limit)
      const { config } = await configOf(command, terminal)
      const { topic, filter } = await placesOf(config, options)
      const result = await withCluster(config, async (cluster) => {
        const redriven = await RedrivenLog.read(cluster, terminal.stopRequested)
        const newest: ListedLetter[] = []
        const reasons = new Map<string, number>()
        let foreignCount = 0
        await scanDeadLetters(cluster, {
          topic,
          filter,
          redriven,
          signal: terminal.stopRequested,
          onLetters: (letters) => {
            for (const letter of letters) {
              reasons.set(letter.facts.reason, (reasons.get(letter.facts.reason) ?? 0) + 1)
              newest.push(listed(letter, redriven))
            }
            newest.splice(0, Math.max(0, newest.length - limit))
          },
          onForeign: () => {
            foreignCount += 1
          },
        })
        const count = [...reasons.values()].reduce((sum, one) => sum + one, 0)
        return { topic, count, reasons: Object.fromEntries(reasons), foreignCount, letters: newest.reverse() }
      })
      printResult(terminal, {
        format: options.output,
        value: result,
        table: ({ letters, count, reasons, foreignCount }) => {
          const sums = Object.entries(reasons).map(
            ([reason, sum]) => `${printable(reason)} ${formatCount(sum)}`,
          )
          const foreign =
            foreignCount === 0
              ? ''
              : `; ${formatCount(foreignCount)} records there are no dead letters of GopherShip`
          const closing = `${formatCount(count)} dead letters${sums.length > 0 ? `: ${sums.join(', ')}` : ''}${foreign}\n`
          if (letters.length === 0) return closing
          const table = formatTable(terminal, letters, [
            { title: 'RECORD', cell: ({ record }) => record },
            { title: 'TIME', cell: ({ time }) => time ?? '-' },
            { title: 'REASON', cell: ({ reason }) => reason },
            { title: 'STAGE', cell: ({ stage }) => stage },
            { title: 'ATTEMPT', isNumber: true, cell: ({ attempt }) => attempt },
            {
              title: 'BYTES',
              isNumber: true,
              cell: ({ bytes }) => (bytes === null ? '-' : formatCount(bytes)),
            },
            { title: 'SENT BACK AS', cell: ({ redrivenAs }) => redrivenAs ?? '-' },
          ])
          return `${table}${closing}`
        },
      })
    })
}

interface ListedLetter {
  readonly record: string
  readonly letter: string
  readonly time: string | null
  readonly reason: string
  readonly stage: string
  readonly message: string
  readonly attempt: number
  readonly bytes: number | null
  readonly redrivenAs: string | null
}

function listed(letter: DeadLetter, redriven: RedrivenLog): ListedLetter {
  const { facts, attempt, value, timestampMs } = letter
  const sent = redriven.of(letter)
  return {
    record: formatPlace(facts),
    letter: formatPlace(letter),
    time: timeOf(timestampMs),
    reason: facts.reason,
    stage: facts.stage,
    message: facts.message,
    attempt,
    bytes: value?.length ?? null,
    redrivenAs: sent === null ? null : formatPlace(sent.record),
  }
}

function showCommand({ terminal }: CommandContext): Command {
  return addConfigOptions(new Command('show'), (path) => WANTED.includes(path))
    .description('print one dead letter: why, where, and the record itself')
    .argument('<place>', 'TOPIC:PARTITION:OFFSET, of the record in the vault or of the letter itself')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExamples:\n  gophership dead-letter show raw-vault.web:3:1200\n  gophership dead-letter show dead-letter:0:17 -o json',
    )
    .action(async (text: string, options: { output: OutputFormat }, command: Command) => {
      const place = checkedPlace(text)
      const { config } = await configOf(command, terminal)
      const { topic } = await placesOf(config, {})
      const { letter, redriven } = await withCluster(config, async (cluster) => {
        const log = await RedrivenLog.read(cluster, terminal.stopRequested)
        return { letter: await findLetter(cluster, topic, place, log), redriven: log }
      })
      if (letter === null) throw notThere(place)
      const { facts, key, value, headers } = letter
      const shown = {
        ...listed(letter, redriven),
        lastOffset: facts.lastOffset ?? null,
        omitted: facts.omitted ?? null,
        key: asPlain(key),
        headers: headers.map((header) => [header.key, asPlain(header.value)]),
        value: asPlain(value),
      }
      printResult(terminal, {
        format: options.output,
        value: shown,
        table: () => describeLetter(letter, redriven),
      })
    })
}

function redriveCommand({ terminal, setExitCode }: CommandContext): Command {
  return withFilters(new Command('redrive'))
    .description('send dead letters back to the vault, to be processed as new records')
    .argument('[places...]', 'only these: TOPIC:PARTITION:OFFSET, of the record or of the letter')
    .option('--all', 'every dead letter there is')
    .option('--again', 'also those that were sent back before')
    .option('--dry-run', 'say what would be sent back, and send nothing')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Each becomes a new record at the end of the vault partition it came from, with its key, value, headers and time; the letter
stays. A letter is sent back once: a redrive that was cut off goes on when it is given again.

Examples:
  gophership dead-letter redrive --all --dry-run
  gophership dead-letter redrive --stream web --reason stage-failed
  gophership dead-letter redrive raw-vault.web:3:1200 --again`,
    )
    .action(async (places: string[], options: RedriveOptions, command: Command) => {
      const wanted = places.map(checkedPlace)
      const { reason, stage, stream, all, again, dryRun } = options
      const hasFilter = [reason, stage, stream].some((value) => value !== undefined)
      if (wanted.length === 0 && !hasFilter && all !== true) {
        throw new GopherShipError(
          'GS_CONFIG_INVALID',
          'expected which dead letters to send back: places, --reason, --stage, --stream, or --all',
        )
      }
      const { config } = await configOf(command, terminal)
      const { topic, filter, templates } = await placesOf(config, options)
      const isVaultTopic = (name: string) => streamOf(name, templates) !== null
      const isAgain = again === true
      const sent: { letter: string; record: string }[] = []
      const refused = new Map<RedriveRefusal, number>()
      const refuse = (refusal: RedriveRefusal) => refused.set(refusal, (refused.get(refusal) ?? 0) + 1)
      await withCluster(config, async (cluster) => {
        const redrive =
          dryRun === true
            ? null
            : await Redrive.open(cluster, {
                clock: systemClock,
                isVaultTopic,
                isAgain,
                onDecided: (letter, outcome) => {
                  if (typeof outcome === 'string') refuse(outcome)
                  else sent.push({ letter: formatPlace(letter), record: formatPlace(outcome.record) })
                },
              })
        try {
          const redriven = redrive?.redriven ?? (await RedrivenLog.read(cluster, terminal.stopRequested))
          const send = async (letters: readonly DeadLetter[]) => {
            if (redrive !== null) return await redrive.send(letters)
            for (const letter of letters) {
              const refusal = refusalOf(letter, redriven, { isAgain, isVaultTopic })
              if (refusal !== null) refuse(refusal)
              else sent.push({ letter: formatPlace(letter), record: formatPlace(letter.facts) })
            }
          }
          if (wanted.length === 0) {
            await scanDeadLetters(cluster, {
              topic,
              filter,
              redriven,
              signal: terminal.stopRequested,
              onLetters: send,
            })
          }
          for (const place of wanted) {
            const letter = await findLetter(cluster, topic, place, redriven)
            if (letter === null) throw notThere(place)
            await send([letter])
          }
        } finally {
          await redrive?.stop()
        }
      })
      const isDryRun = dryRun === true
      printResult(terminal, {
        format: options.output,
        value: { isDryRun, sentCount: sent.length, refused: Object.fromEntries(refused), sent },
        table: () => {
          const verb = isDryRun ? 'would be sent back' : 'sent back'
          const reasons = [...refused].map(
            ([refusal, count]) => `${formatCount(count)} ${REFUSALS[refusal]}\n`,
          )
          return `${formatCount(sent.length)} dead letters ${verb}\n${reasons.join('')}`
        },
      })
      const isIncomplete = [...refused.keys()].some((refusal) => refusal !== 'already-redriven')
      if (isIncomplete) setExitCode(EXIT.failed)
    })
}

interface RedriveOptions extends FilterOptions {
  readonly all?: boolean
  readonly again?: boolean
  readonly dryRun?: boolean
  readonly output: OutputFormat
}

async function placesOf(
  { processor, streams }: { processor: { topology: string }; streams: { vaultTemplate: string } },
  { reason, stage, stream }: FilterOptions,
): Promise<{ topic: string; filter: DeadLetterFilter; templates: StreamTopicTemplates }> {
  const { sinks } = await loadTopology(processor.topology)
  const templates = { ...DEFAULT_STREAM_TOPICS, vault: streams.vaultTemplate, deadLetter: sinks.deadLetter }
  const vaultTopic = stream === undefined ? null : vaultTopicOf(stream, templates)
  return {
    topic: sinks.deadLetter,
    filter: { reason: reason ?? null, stage: stage ?? null, vaultTopic },
    templates,
  }
}

/** A place is of the letter when it names the dead-letter topic, else of the record; of several letters the newest counts. */
async function findLetter(
  cluster: KafkaCluster,
  topic: string,
  place: RecordPlace,
  redriven: RedrivenLog,
): Promise<DeadLetter | null> {
  if (place.topic === topic) return await readDeadLetter(cluster, place, redriven)
  let found: DeadLetter | null = null
  await scanDeadLetters(cluster, {
    topic,
    filter: { ...EVERY_LETTER, vaultTopic: place.topic },
    redriven,
    onLetters: (letters) => {
      for (const letter of letters) {
        const { partition, offset, lastOffset = offset } = letter.facts
        const isIn = partition === place.partition && offset <= place.offset && place.offset <= lastOffset
        if (isIn) found = letter
      }
    },
  })
  return found
}

function checkedPlace(text: string): RecordPlace {
  const place = parsePlace(text)
  if (place !== null) return place
  throw new GopherShipError(
    'GS_CONFIG_INVALID',
    `expected TOPIC:PARTITION:OFFSET, such as raw-vault.web:3:1200; found "${printable(text)}"`,
  )
}

function notThere(place: RecordPlace): GopherShipError {
  const name = formatPlace(place)
  return new GopherShipError(
    'GS_DEAD_LETTER_INVALID',
    `no dead letter at or of ${name}; "gophership dead-letter list" shows which there are`,
    { facts: { place: name } },
  )
}

function parseLimit(text: string): number {
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (limit >= 1 && limit <= LIMIT_MAX) return limit
  throw new GopherShipError(
    'GS_CONFIG_INVALID',
    `expected --limit from 1 to ${LIMIT_MAX}, found "${printable(text)}"`,
  )
}

const timeOf = (timestampMs: number): string | null => {
  const isTime = timestampMs >= 0 && timestampMs <= 8_640_000_000_000_000
  return isTime ? new Date(timestampMs).toISOString() : null
}

/** All of it for programs: text, or base64 where it is none. */
function asPlain(bytes: Buffer | null): string | { readonly base64: string } | null {
  if (bytes === null) return null
  return isUtf8(bytes) ? bytes.toString('utf8') : { base64: bytes.toString('base64') }
}

/** For people: nothing of a producer's bytes reaches the terminal unescaped. */
function shownText(bytes: Buffer | null): string {
  if (bytes === null) return '(null)'
  const part = bytes.subarray(0, SHOWN_BYTES_MAX)
  const more =
    bytes.length > part.length ? ` … and ${formatCount(bytes.length - part.length)} more bytes` : ''
  const text = Array.from(part.toString(isUtf8(bytes) ? 'utf8' : 'latin1'), (char) =>
    escaped(char, isUtf8(bytes)),
  ).join('')
  return `${text}${more}`
}

function escaped(char: string, isText: boolean): string {
  if (char === '\n') return '\\n'
  if (char === '\t') return '\\t'
  if (char === '\\') return '\\\\'
  const code = char.codePointAt(0) ?? 0
  if (!isText && (code < 0x20 || code > 0x7e)) return `\\x${code.toString(16).padStart(2, '0')}`
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(char) ? `\\u{${code.toString(16)}}` : char
}

function describeLetter(letter: DeadLetter, redriven: RedrivenLog): string {
  const { facts, key, value, headers, attempt } = letter
  const sent = redriven.of(letter)
  const range = facts.lastOffset === undefined ? '' : `, a batch up to offset ${facts.lastOffset}`
  const lines: [string, string][] = [
    ['record', `${printable(formatPlace(facts))}${range}`],
    ['letter', formatPlace(letter)],
    ['time', timeOf(letter.timestampMs) ?? '-'],
    ['reason', printable(facts.reason)],
    ['stage', printable(facts.stage)],
    ['message', printable(facts.message)],
    ['attempt', String(attempt)],
    ['sent back', sent === null ? 'no' : `as ${formatPlace(sent.record)}, ${timeOf(sent.redrivenMs) ?? '-'}`],
    ['key', shownText(key)],
    ...headers.map((header): [string, string] => [
      'header',
      `${shownText(Buffer.from(header.key))}: ${shownText(header.value)}`,
    ]),
    [
      'value',
      facts.omitted === undefined
        ? shownText(value)
        : `not kept here (${printable(facts.omitted)}); it is in the vault, and is sent back from there`,
    ],
  ]
  return lines.map(([name, text]) => `${name.padEnd(10)} ${text}\n`).join('')
}
