/** The status for people: a verdict, the addresses, the threads, the streams. */

import type { StatusDocument } from '../app/status-document.ts'
import type { PressureStatus } from '../pressure/pressure-status.ts'
import { formatCount, formatTable, printable, styleBold } from './output.ts'
import type { Terminal } from './terminal.ts'

export function formatStatus(terminal: Terminal, status: StatusDocument): string {
  const bold = (text: string) => (terminal.isColored ? styleBold(text) : text)
  const { readiness, processor, ingress, pressure } = status
  const lines = [
    `GopherShip ${printable(status.version)}, up ${formatDuration(status.uptimeSeconds)}: ` +
      bold(readiness.ready ? 'ready' : 'NOT READY'),
    ...readiness.reasons.map(({ role, reason, detail }) => `  ${printable(`${role}: ${reason}: ${detail}`)}`),
    `roles      ${status.roles.map(printable).join(', ')}`,
    `data       ${printable(status.dataDir)}`,
    `kafka      ${status.kafka.bootstrapServers.map(printable).join(', ')}${status.kafka.isEmbedded ? ' (embedded)' : ''}`,
    ...status.listening.map(({ name, host, port }) => `listening  ${printable(`${host}:${port}  ${name}`)}`),
  ]
  if (ingress !== null) {
    lines.push(
      `admission  ${formatCount(ingress.admissionBytesHeld)} of ${formatCount(ingress.admissionBytesMax)} bytes held`,
      `vault      an acknowledged record is ${ingress.vault.durability ?? 'not known to be durable until one is stored'}`,
    )
  }
  if (pressure !== null) lines.push(...pressureLines(pressure, bold))
  const tables = [
    formatTable(terminal, status.threads, [
      { title: 'THREAD', cell: ({ name }) => name },
      { title: 'STATE', cell: ({ state }) => state },
      { title: 'RESTARTS', isNumber: true, cell: ({ restartCount }) => restartCount },
      { title: 'LAST FAILURE', cell: ({ lastFailure }) => lastFailure ?? '' },
    ]),
  ]
  if (processor !== null) {
    const none = 'No stream has records yet: send some to a door.\n'
    const streams = formatTable(terminal, processor.streams, [
      { title: 'STREAM', cell: ({ stream }) => stream },
      { title: 'PARTITIONS', isNumber: true, cell: ({ partitionCount }) => partitionCount },
      { title: 'LAG RECORDS', isNumber: true, cell: ({ lagRecords }) => formatCount(lagRecords) },
      { title: 'LAG SECONDS', isNumber: true, cell: ({ lagSeconds }) => lagSeconds?.toFixed(1) ?? '-' },
      { title: 'EVENTS', isNumber: true, cell: ({ eventCount }) => formatCount(eventCount) },
      { title: 'DEAD LETTERS', isNumber: true, cell: ({ deadLetterCount }) => formatCount(deadLetterCount) },
    ])
    tables.push(processor.streams.length === 0 ? none : streams)
  }
  return `${lines.join('\n')}\n\n${tables.join('\n')}`
}

/** What the pressure is and why, what is done about it, and who ordered otherwise. */
function pressureLines(pressure: PressureStatus, bold: (text: string) => string): string[] {
  const { emergency, override, pressureText, tierText, isObserveOnly, score, backlogRecordCount } = pressure
  const lines = [
    `pressure   ${bold(printable(pressureText))}`,
    `tier       ${bold(printable(tierText))}`,
    `load       score ${Math.round(score)} of 100; ${formatCount(Math.round(pressure.arrivalRate))} records/s arrive, ${formatCount(backlogRecordCount)} wait`,
  ]
  if (emergency !== null) {
    const { reason, by, sinceMs, scope } = emergency
    const where = scope === 'cluster' ? 'for every instance' : 'for this process'
    const since = new Date(sinceMs).toISOString()
    lines.push(`emergency  ${bold(printable(`ON ${where} since ${since}, by ${by}: ${reason}`))}`)
  }
  if (override !== null) {
    const until = new Date(override.untilMs).toISOString()
    lines.push(`ordered    ${printable(`${override.tier} until ${until}: ${override.reason}`)}`)
  }
  if (isObserveOnly)
    lines.push('observing  pressure.observeOnly is set: decisions are shown and not followed')
  return lines
}

/** 3 d 4 h, 4 h 5 min, 5 min 6 s, 6 s. */
export function formatDuration(seconds: number): string {
  const units: [name: string, seconds: number][] = [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
    ['s', 1],
  ]
  const first = units.findIndex(([, size]) => seconds >= size)
  if (first < 0) return '0 s'
  return units
    .slice(first, first + 2)
    .map(([name, size], index) => {
      const above = units[first + index - 1]?.[1]
      const rest = index === 0 || above === undefined ? seconds : seconds % above
      return `${Math.floor(rest / size)} ${name}`
    })
    .join(' ')
}
