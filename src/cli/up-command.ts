/** `gophership up`: runs GopherShip in the foreground until it is asked to stop. */

import { Command } from 'commander'
import type { ListeningAddress } from '../app/status-document.ts'
import { WarmThreads } from '../app/warm-threads.ts'
import type { App } from '../app.ts'
import type { Config } from '../config/schema.ts'
import { systemClock } from '../core/clock.ts'
import { isLoopbackHost, isWildcardHost } from '../core/loopback.ts'
import { collectStartGarbageSoon } from '../core/start-garbage.ts'
import type { LoggerOptions } from '../telemetry/logger.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import { styleBold } from './output.ts'
import type { Terminal } from './terminal.ts'

const EXAMPLES = `
Stops on SIGTERM or Ctrl-C: drains, then exits 0, within 30 seconds; a second signal ends it at once. Either way what was
acknowledged is in the vault. SIGUSR2 turns the emergency switch of this process on, and the next one off.

Examples:
  gophership up                                          data in ./data, every door on loopback
  gophership up --data-dir /var/lib/gophership --ingress-host 0.0.0.0
  gophership up --roles ingress,admin --kafka-bootstrap-servers k1:9092,k2:9092
  GOPHERSHIP_INGRESS_HTTP_PORT=18080 gophership up       every option has a name in the environment too
  gophership config schema -o table                      all options with those names, defaults and units
`

export function upCommand({ terminal, version }: CommandContext): Command {
  return addConfigOptions(new Command('up'))
    .description('run GopherShip (all of it, or the roles you choose)')
    .addHelpText('after', EXAMPLES)
    .action(async (_options: unknown, command: Command) => {
      const startedMs = performance.now()
      const { config } = await configOf(command, terminal)
      const warmThreads = WarmThreads.open(config)
      // Loaded here, so that help and the other commands do not wait for all of it.
      const { App } = await import('../app.ts')
      const { stopRequested } = terminal
      const toggle = emergencyToggle(terminal)
      const logger = loggerOptions(config, terminal)
      const app = await App.start({ config, version, logger, warmThreads, stopRequested })
      toggle.connect(app)
      collectStartGarbageSoon(systemClock)
      const readyMs = Math.round(performance.now() - startedMs)
      if (!stopRequested.aborted) announce(terminal, app, { config, version, readyMs })
      await untilAborted(stopRequested)
      app.diagnostics.info({ drainMs: config.drainMs }, 'stopping')
      await app.stop()
      app.diagnostics.info({}, 'stopped')
    })
}

/** SIGUSR2 as the emergency switch of the process, also for signals that come before the app has started. */
function emergencyToggle(terminal: Terminal): { connect(app: App): void } {
  let app: App | null = null
  let isDue = false
  const toggle = () => {
    if (app === null) isDue = !isDue
    else if (app.pressure !== null) app.toggleEmergency('SIGUSR2')
    else app.diagnostics.warn({}, 'SIGUSR2 has no effect: this process enriches nothing')
  }
  terminal.onUserSignal(toggle)
  return {
    connect(started) {
      app = started
      if (isDue) toggle()
    },
  }
}

function loggerOptions({ log }: Config, { isInteractive, isColored }: Terminal): LoggerOptions {
  const format = log.format === 'auto' ? (isInteractive ? 'pretty' : 'json') : log.format
  return { level: log.level, format, isColored, thread: 'main' }
}

/** Says where everything is: a few lines for a person, one line of JSON for a program. */
function announce(
  terminal: Terminal,
  app: App,
  { config, version, readyMs }: { config: Config; version: string; readyMs: number },
): void {
  const open = app.listening.find(({ name, host }) => name === 'broker' && !isLoopbackHost(host))
  if (open !== undefined) {
    const message = 'the embedded broker asks nobody for a password and is not on loopback'
    app.diagnostics.warn({ name: open.name, host: open.host }, message)
  }
  const addresses = Object.fromEntries(app.listening.map(({ name, host, port }) => [name, `${host}:${port}`]))
  const isPretty = terminal.isInteractive && config.log.format !== 'json'
  if (isPretty) terminal.out(formatBanner(terminal, app, { version, readyMs }))
  else app.diagnostics.info({ version, readyMs, addresses, dataDir: app.dataDir }, 'ready')
}

const EXPLANATIONS: Readonly<Record<ListeningAddress['name'], (address: string) => string>> = {
  'ingress.kafka': (address) => `${address}  Kafka producers`,
  'ingress.http': (address) => `http://${address}/v1/streams/{stream}  HTTP producers`,
  broker: (address) => `${address}  consumers and tools (raw-vault.*, enriched.*)`,
  admin: (address) => `http://${address}/v1/status  and /metrics, /health/ready`,
}

function formatBanner(
  terminal: Terminal,
  app: App,
  { version, readyMs }: { version: string; readyMs: number },
): string {
  const title = `GopherShip ${version} is ready`
  const lines = app.listening.map(({ name, host, port }) => {
    const shownHost = isWildcardHost(host) ? 'localhost' : host.includes(':') ? `[${host}]` : host
    return `  ${EXPLANATIONS[name](`${shownHost}:${port}`)}`
  })
  return `${[
    `${terminal.isColored ? styleBold(title) : title} (${(readyMs / 1_000).toFixed(1)} s)`,
    ...lines,
    `  ${app.dataDir}  data`,
    '  Ctrl-C stops it',
  ].join('\n')}\n`
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
