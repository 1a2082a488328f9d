/** `gophership status`: asks a running GopherShip how it is, and says so with its exit code. */

import { Command } from 'commander'
import type { StatusDocument } from '../app/status-document.ts'
import { GopherShipError } from '../core/errors.ts'
import type { AdminAddress } from './admin-client.ts'
import { askAdmin } from './admin-client.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import { EXIT } from './exit-codes.ts'
import type { OutputFormat } from './output.ts'
import { outputOption, printResult } from './output.ts'
import { formatStatus } from './status-table.ts'

export function statusCommand({ terminal, setExitCode }: CommandContext): Command {
  return addConfigOptions(new Command('status'), (path) => path === 'admin.host' || path === 'admin.port')
    .description('is it working, what runs, how far behind is it')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExits 0 when ready, 3 when nothing answers, 4 when it runs but its data path does not work.\n' +
        '\nExamples:\n  gophership status\n  gophership status --admin-port 19464\n  gophership status -o json | jq .processor',
    )
    .action(async (options: { output: OutputFormat }, command: Command) => {
      const { config } = await configOf(command, terminal)
      const status = await askStatus(config.admin)
      printResult(terminal, {
        format: options.output,
        value: status,
        table: (document) => formatStatus(terminal, document),
      })
      if (!status.readiness.ready) setExitCode(EXIT.notReady)
    })
}

async function askStatus(address: AdminAddress): Promise<StatusDocument> {
  const { url, httpStatus, isOk, document } = await askAdmin(address, '/v1/status')
  if (isOk && isStatus(document)) return document
  const { host, port } = address
  throw new GopherShipError(
    'GS_ADMIN_UNREACHABLE',
    `expected a status from ${url}, found something else (HTTP ${httpStatus}); is this the --admin-port of a GopherShip?`,
    { facts: { host, port, httpStatus } },
  )
}

/** Enough to tell a GopherShip from another program on its port. */
function isStatus(document: unknown): document is StatusDocument {
  return typeof document === 'object' && document !== null && 'readiness' in document && 'threads' in document
}
