/** The counters and gauges of the compactor thread. Streams are few, but producers can create them: capped. */

import { Counter, Gauge, type Registry } from 'prom-client'
import { LabelCap } from '../telemetry/label-cap.ts'
import type { PaidPiece } from './chunk-payer.ts'
import type { CompactorState, CompactorStatus } from './compactor-status.ts'

export interface CompactorMetrics {
  addPaid(stream: string, paid: PaidPiece): void
  addLost(stream: string, recordCount: number): void
  addFailure(): void
  addForgotten(entryCount: number): void
}

const STATES: readonly CompactorState[] = ['starting', 'idle', 'paying', 'paused', 'waiting']

/** Registers them; gauges are read off the status when they are asked for. */
export function openCompactorMetrics(registry: Registry, status: () => CompactorStatus): CompactorMetrics {
  const streams = new LabelCap()
  const labelOf = (stream: string) => ({ stream: streams.labelOf(stream) })
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `gophership_compactor_${name}`, help, labelNames, registers: [registry] })
  const gauge = (name: string, help: string, read: (status: CompactorStatus) => number) =>
    new Gauge({
      name: `gophership_compactor_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read(status()))
      },
    })
  const records = counter('settled_records_total', 'Records of debt that were enriched fully.', ['stream'])
  const bytes = counter('settled_bytes_total', 'Bytes of vault batches of debt that were enriched fully.', [
    'stream',
  ])
  const deadLetters = counter(
    'dead_letters_total',
    'Records of debt that no stage could handle, written to the dead-letter topic.',
    ['stream'],
  )
  const lost = counter('lost_records_total', 'Records of debt whose bytes were gone before they were paid.', [
    'stream',
  ])
  const pieces = counter('transactions_total', 'Transactions that settled debt.')
  const failures = counter('failures_total', 'Pieces of debt that could not be paid at a try.')
  const forgotten = counter('forgotten_records_total', 'Ledger records of settled debt that were removed.')
  gauge('open_records', 'Records owed in the partitions of this instance.', ({ open }) => open.recordCount)
  gauge('open_bytes', 'Bytes owed in the partitions of this instance.', ({ open }) => open.bytes)
  gauge('open_entries', 'Ranges owed in the partitions of this instance.', ({ open }) => open.entryCount)
  gauge(
    'urgent_records',
    'Records owed that are near to their retention.',
    ({ urgent }) => urgent.recordCount,
  )
  gauge('lost_records', 'Records in the books as lost.', (now) => now.lost.recordCount)
  gauge(
    'failing_partitions',
    'Partitions whose debt could not be paid at the last try.',
    ({ failing }) => failing.length,
  )
  gauge(
    'records_per_second',
    'Records settled per second; 0 while nothing is paid.',
    (now) => now.recordsPerSecond ?? 0,
  )
  new Gauge({
    name: 'gophership_compactor_oldest_debt_timestamp_seconds',
    help: 'When the oldest open debt was booked, as Unix time; 0 when nothing is owed.',
    registers: [registry],
    collect() {
      this.set((status().open.openedMs ?? 0) / 1_000)
    },
  })
  new Gauge({
    name: 'gophership_compactor_state',
    help: 'What the compactor is doing: 1 for its state, 0 for the others.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const now = status().state
      for (const state of STATES) this.set({ state }, state === now ? 1 : 0)
    },
  })
  return {
    addPaid(stream, paid) {
      pieces.inc()
      records.inc(labelOf(stream), paid.recordCount)
      bytes.inc(labelOf(stream), paid.bytes)
      if (paid.deadLetterCount > 0) deadLetters.inc(labelOf(stream), paid.deadLetterCount)
    },
    addLost: (stream, recordCount) => lost.inc(labelOf(stream), recordCount),
    addFailure: () => failures.inc(),
    addForgotten: (entryCount) => forgotten.inc(entryCount),
  }
}
