/** The pressure of every instance on one cluster, from the status topic, for people. */

import { type InstanceStatus, STATUS_MS_BETWEEN } from '../pressure/status-topic.ts'
import { formatCount, formatTable, printable } from './output.ts'
import { formatDuration } from './status-table.ts'
import type { Terminal } from './terminal.ts'

export function formatClusterStatus(
  terminal: Terminal,
  statuses: readonly InstanceStatus[],
  nowMs: number,
): string {
  if (statuses.length === 0) return 'No instance has written its status on this cluster.\n'
  const table = formatTable(terminal, statuses, [
    { title: 'INSTANCE', cell: ({ instance }) => instance },
    { title: 'HOST', cell: ({ host, processId }) => `${host}:${processId}` },
    { title: 'ROLES', cell: ({ roles }) => roles.join(',') },
    { title: 'ZONE', cell: ({ zone }) => zone },
    { title: 'TIER', cell: ({ tier }) => tier },
    { title: 'SCORE', isNumber: true, cell: ({ score }) => Math.round(score) },
    { title: 'WAITING', isNumber: true, cell: ({ backlogRecordCount }) => formatCount(backlogRecordCount) },
    { title: 'ARRIVE/S', isNumber: true, cell: ({ arrivalRate }) => formatCount(Math.round(arrivalRate)) },
    { title: 'SEEN', cell: ({ atMs }) => seen(nowMs - atMs) },
  ])
  const lines = statuses.map(
    ({ instance, pressureText, tierText }) => `${instance}  ${pressureText}; ${tierText}`,
  )
  return `${table}\n${lines.map(printable).join('\n')}\n`
}

/** How long ago; an instance that has missed two turns is likely gone. */
function seen(ageMs: number): string {
  const age = `${formatDuration(Math.max(0, ageMs) / 1_000)} ago`
  return ageMs > 2 * STATUS_MS_BETWEEN + 5_000 ? `${age}, gone?` : age
}
