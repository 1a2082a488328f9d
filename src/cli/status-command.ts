/** `gophership status`: asks a running GopherShip how it is, and says so with its exit code. */

import { Command } from 'commander'
import type { StatusDocument } from '../app/status-document.ts'
import { GopherShipError } from '../core/errors.ts'
import { readStatuses } from '../pressure/status-topic.ts'
import type { AdminAddress } from './admin-client.ts'
import { askAdmin } from './admin-client.ts'
import { formatClusterStatus } from './cluster-status.ts'
import type { CommandContext } from './command-context.ts'
import { addConfigOptions, configOf } from './config-options.ts'
import { CLUSTER_OPTION_PATHS, withCluster } from './control-client.ts'
import { EXIT } from './exit-codes.ts'
import type { OutputFormat } from './output.ts'
import { outputOption, printResult } from './output.ts'
import { formatStatus } from './status-table.ts'

const isWanted = (path: string) =>
  path === 'admin.host' || path === 'admin.port' || CLUSTER_OPTION_PATHS.includes(path)

export function statusCommand({ terminal, setExitCode }: CommandContext): Command {
  return addConfigOptions(new Command('status'), isWanted)
    .description('is it working, what runs, how far behind is it')
    .option('--cluster', 'the pressure of every instance on the same Kafka, from its status topic')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExits 0 when ready, 3 when nothing answers, 4 when it runs but its data path does not work.\n' +
        '\nExamples:\n  gophership status\n  gophership status --admin-port 19464\n  gophership status -o json | jq .processor\n  gophership status --cluster --kafka-bootstrap-servers k1:9092',
    )
    .action(async (options: { output: OutputFormat; cluster?: boolean }, command: Command) => {
      const { config } = await configOf(command, terminal)
      if (options.cluster === true) {
        printResult(terminal, {
          format: options.output,
          value: await withCluster(config, readStatuses),
          table: (statuses) => formatClusterStatus(terminal, statuses, Date.now()),
        })
        return
      }
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
