/** `gophership tier set|clear`: orders a density tier for every instance, for a time. */

import { Argument, Command } from 'commander'
import { parseDurationMs } from '../config/option-text.ts'
import { GopherShipError } from '../core/errors.ts'
import { TIER_ORDER_MS_MAX } from '../pressure/control-record.ts'
import { TIERS, type Tier } from '../pressure/tiers.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import { CLUSTER_OPTION_PATHS, orderAll, orderedBy } from './control-client.ts'
import { checkedReason } from './emergency-command.ts'

const HELP = `
The order holds in every instance on the same Kafka, over what the pressure would have, until its time is up or it is cleared;
only the emergency switch goes before it. What is not enriched is booked as debt and repaid later, as always. A tier denser than
the pressure allows lets records wait for longer than the lag objective: "gophership status" shows for how long.

Examples:
  gophership tier set partial --for 10m --reason "load test"
  gophership tier set full --for 2h --reason "catching up by hand"
  gophership tier clear
`

export function tierCommand({ terminal }: CommandContext): Command {
  const isWanted = (path: string) => CLUSTER_OPTION_PATHS.includes(path)
  const set = addConfigOptions(new Command('set'), isWanted)
    .description('work in this tier, whatever the pressure, until the time is up')
    .addArgument(new Argument('<tier>', 'the tier').choices([...TIERS]))
    .requiredOption('--for <duration>', 'for how long: 90s, 10m, 2h; at most 7d')
    .requiredOption('--reason <text>', 'why, for everybody who looks at the status')
    .addHelpText('after', HELP)
    .action(async (tier: Tier, options: { for: string; reason: string }, command: Command) => {
      const reason = checkedReason(options.reason)
      const untilMs = Date.now() + checkedDurationMs(options.for)
      const { config } = await configOf(command, terminal)
      await orderAll(config, { name: 'tier', to: { tier, untilMs, reason, by: orderedBy(terminal) } })
      const until = new Date(untilMs).toISOString()
      terminal.out(`every instance works in ${tier} until ${until}; "gophership tier clear" ends it\n`)
    })
  const clear = addConfigOptions(new Command('clear'), isWanted)
    .description('let the pressure choose the tier again')
    .addHelpText('after', HELP)
    .action(async (_options: unknown, command: Command) => {
      const { config } = await configOf(command, terminal)
      await orderAll(config, { name: 'tier', to: null })
      terminal.out('every instance chooses its tier by the pressure again\n')
    })
  return new Command('tier')
    .description('order a density tier for every instance, for a time')
    .addHelpText('after', HELP)
    .addCommand(set)
    .addCommand(clear)
}

function checkedDurationMs(text: string): number {
  const durationMs = parseDurationMs(text)
  if (durationMs !== null && durationMs > 0 && durationMs <= TIER_ORDER_MS_MAX) return durationMs
  throw new GopherShipError(
    'GS_CONFIG_INVALID',
    `expected --for to be a duration with its unit, such as 90s, 10m or 2h, and at most 7d; found "${text.slice(0, 40)}"`,
  )
}
