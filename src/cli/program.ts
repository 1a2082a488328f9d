/** The command line as a whole: which commands there are, what help says, and how a failure is told. */

import { Command, CommanderError } from 'commander'
import { nearestName } from '../config/nearest.ts'
import { GopherShipError } from '../core/errors.ts'
import type { CommandContext } from './command-context.ts'
import { EXIT, EXIT_CODE_MEANINGS, exitCodeOf } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'

const EXAMPLES = `
Examples:
  gophership up                                      everything on this machine, data in ./data
  gophership up --config gophership.yaml             the same, configured
  gophership up --kafka-bootstrap-servers k1:9092    with the vault in a cluster of yours
  gophership status                                  is it working, and how far behind is it
  gophership emergency on --reason "sink is down"    stop all enrichment at once; records are still taken in
  gophership debt                                    what is owed, and when it will be paid
  gophership topics                                  what the vault and the enriched topics hold
  gophership topology describe                       what the processors do to a record

Every option can be in the file, in the environment and on the command line; the later of these wins:
  broker: {port: 29092}      GOPHERSHIP_BROKER_PORT=29092      --broker-port 29092
`

/** By name, in the order of help. Loaded when wanted: what runs for months does not hold the code of all the others. */
const COMMANDS: Readonly<Record<string, () => Promise<(context: CommandContext) => Command>>> = {
  up: async () => (await import('./up-command.ts')).upCommand,
  status: async () => (await import('./status-command.ts')).statusCommand,
  emergency: async () => (await import('./emergency-command.ts')).emergencyCommand,
  tier: async () => (await import('./tier-command.ts')).tierCommand,
  debt: async () => (await import('./debt-command.ts')).debtCommand,
  compact: async () => (await import('./compact-command.ts')).compactCommand,
  audit: async () => (await import('./audit-command.ts')).auditCommand,
  replay: async () => (await import('./replay-command.ts')).replayCommand,
  'dead-letter': async () => (await import('./dead-letter-command.ts')).deadLetterCommand,
  topics: async () => (await import('./topics-command.ts')).topicsCommand,
  topology: async () => (await import('./topology-command.ts')).topologyCommand,
  simulate: async () => (await import('./simulate-command.ts')).simulateCommand,
  config: async () => (await import('./config-command.ts')).configCommand,
}

/** Runs one command line (without node and script) and resolves with the exit code. Never throws. */
export async function runCli(args: readonly string[], terminal: Terminal, version: string): Promise<number> {
  let exitCode: number = EXIT.ok
  const context: CommandContext = {
    terminal,
    version,
    setExitCode: (code) => {
      exitCode = code
    },
  }
  try {
    const program = await buildProgram(context, args[0] ?? '')
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    // Ctrl-C during a command that reads for long is no failure to explain.
    if (terminal.stopRequested.aborted && error === terminal.stopRequested.reason) {
      terminal.err('stopped\n')
      return EXIT.failed
    }
    // commander has printed its own messages by now, help and version among them.
    if (!(error instanceof CommanderError)) terminal.err(`${describeFailure(error)}\n`)
    return exitCodeOf(error)
  }
}

/** The program with the command of that name; with all of them for whoever asks for help or mistypes one. */
async function buildProgram(context: CommandContext, name: string): Promise<Command> {
  const { terminal, version } = context
  const codes = EXIT_CODE_MEANINGS.map(([code, meaning]) => `  ${code}  ${meaning}`).join('\n')
  const program = new Command('gophership')
    .description(
      'The shock absorber in front of Kafka: raw bytes durable first, enriched as pressure allows.',
    )
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help; every command has its own')
    // An option belongs to the command that it follows, also where a command and its subcommands have the same one.
    .enablePositionalOptions()
    .addHelpText('after', EXAMPLES)
    .addHelpText('after', `Exit codes:\n${codes}`)
  const wanted = Object.hasOwn(COMMANDS, name) ? [COMMANDS[name]] : Object.values(COMMANDS)
  for (const command of await Promise.all(wanted.map((load) => load?.()))) {
    if (command !== undefined) program.addCommand(command(context))
  }
  return applyToAll(program, (command) =>
    command
      .exitOverride()
      .showHelpAfterError(`(${commandLine(command)} --help shows what there is)`)
      .configureOutput({
        writeOut: (text) => terminal.out(text),
        writeErr: (text) => terminal.err(text),
        outputError: (text, write) => write(withNearestFlag(command, text)),
        getOutHasColors: () => terminal.isColored,
        getErrHasColors: () => terminal.isColored,
      }),
  )
}

function applyToAll(command: Command, apply: (command: Command) => void): Command {
  apply(command)
  for (const child of command.commands) applyToAll(child, apply)
  return command
}

/** commander compares a mistyped option with one name of each option; this adds the other ones, such as `--kafka-port`. */
function withNearestFlag(command: Command, text: string): string {
  const mistyped = /^error: unknown option '(--[^'=]+)/.exec(text)?.[1]
  if (mistyped === undefined || text.includes('Did you mean')) return text
  const flags = command.options.flatMap((option) => option.flags.match(/--[a-z-]+/g) ?? [])
  const near = nearestName(mistyped, flags)
  return near === null ? text : `${text.trimEnd()}\n(Did you mean ${near}?)\n`
}

function commandLine(command: Command): string {
  return command.parent === null ? command.name() : `${commandLine(command.parent)} ${command.name()}`
}

/** A failure of ours is its message; anything else is a bug, and its stack is what the report needs. */
function describeFailure(error: unknown): string {
  if (error instanceof GopherShipError) {
    const reason = error.cause instanceof Error ? error.cause.message.trim() : ''
    const cause = error.message.includes(reason) ? '' : `\n  because: ${reason}`
    return `error: ${error.message.trimEnd()}${cause} [${error.code}]`
  }
  return `bug: ${error instanceof Error ? error.stack : String(error)}`
}
