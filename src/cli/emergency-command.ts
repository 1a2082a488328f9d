/** `gophership emergency on|off`: stops all enrichment at once, here or everywhere, and lets it go on. */

import { Command } from 'commander'
import type { Config } from '../config/schema.ts'
import { GopherShipError } from '../core/errors.ts'
import { orderTextFault } from '../pressure/control-record.ts'
import type { PressureStatus } from '../pressure/pressure-status.ts'
import { askAdmin } from './admin-client.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import { CLUSTER_OPTION_PATHS, orderAll, orderedBy } from './control-client.ts'
import { printable } from './output.ts'

const WANTED = ['admin.host', 'admin.port', ...CLUSTER_OPTION_PATHS]
const HELP = `
While the switch is on, records are still taken in, made durable and booked as debt, and nothing is enriched. It takes effect
within one batch. Without --cluster it is set in the one process that answers at the admin port, until it is restarted, and
SIGUSR2 to that process does the same; with --cluster it is set in every instance on the same Kafka, and stays until it is
turned off. Each is turned off the way it was turned on.

Examples:
  gophership emergency on --reason "disk of the sink is full"
  gophership emergency off
  gophership emergency on --cluster --reason "sink is down" --kafka-bootstrap-servers k1:9092
`

export function emergencyCommand(context: CommandContext): Command {
  const { terminal } = context
  const on = addConfigOptions(new Command('on'), (path) => WANTED.includes(path))
    .description('enrich nothing from now on')
    .requiredOption('--reason <text>', 'why, for everybody who looks at the status')
    .option('--cluster', 'in every instance on the same Kafka, not only the one at the admin port')
    .addHelpText('after', HELP)
    .action(async (options: { reason: string; cluster?: boolean }, command: Command) => {
      const reason = checkedReason(options.reason)
      const { config } = await configOf(command, terminal)
      if (options.cluster === true) {
        const by = orderedBy(terminal)
        await orderAll(config, { name: 'emergency', to: { reason, sinceMs: Date.now(), by } })
        terminal.out(
          'the emergency switch is on for every instance; "gophership emergency off --cluster" ends it\n',
        )
        return
      }
      await orderHere(config, { on: true, reason })
      terminal.out('the emergency switch of this process is on; "gophership emergency off" ends it\n')
    })
  const off = addConfigOptions(new Command('off'), (path) => WANTED.includes(path))
    .description('enrich again as the pressure allows')
    .option('--cluster', 'end the order that was given to every instance')
    .addHelpText('after', HELP)
    .action(async (options: { cluster?: boolean }, command: Command) => {
      const { config } = await configOf(command, terminal)
      if (options.cluster === true) {
        await orderAll(config, { name: 'emergency', to: null })
        terminal.out('the emergency switch for every instance is off; one set in a process alone stays on\n')
        return
      }
      const { emergency } = await orderHere(config, { on: false })
      if (emergency === null) terminal.out('the emergency switch of this process is off\n')
      else {
        const { reason, by } = emergency
        terminal.out(
          `the emergency switch of this process is off, but the one for every instance is on (${printable(reason)}, by ${printable(by)}); "gophership emergency off --cluster" ends it\n`,
        )
      }
    })
  return new Command('emergency')
    .description('stop all enrichment at once, and let it go on')
    .addHelpText('after', HELP)
    .addCommand(on)
    .addCommand(off)
}

/** The reason, or GS_CONFIG_INVALID with the form that it must have. */
export function checkedReason(reason: string): string {
  const fault = orderTextFault(reason)
  if (fault === null) return reason
  throw new GopherShipError('GS_CONFIG_INVALID', `expected --reason to be ${fault}, such as "sink is down"`)
}

async function orderHere({ admin }: Config, order: object): Promise<PressureStatus> {
  const { url, isOk, httpStatus, document } = await askAdmin(admin, '/v1/emergency', order)
  if (isOk && typeof document === 'object' && document !== null && 'emergency' in document) {
    return document as PressureStatus
  }
  const said =
    typeof document === 'object' && document !== null && 'error' in document ? document.error : null
  throw new GopherShipError(
    'GS_ADMIN_UNREACHABLE',
    typeof said === 'string'
      ? `${url} refused: ${printable(said)}`
      : `expected the answer of a GopherShip from ${url}, found something else (HTTP ${httpStatus})`,
    { facts: { httpStatus } },
  )
}
