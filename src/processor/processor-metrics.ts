/** The counters of one processor thread. Streams are few and named by operators, but producers can create them: capped. */

import { Counter, type Registry } from 'prom-client'
import { LabelCap } from '../telemetry/label-cap.ts'
import type { BatchWork } from './batch-tiers.ts'

export interface ProcessorMetrics {
  /** Counts one batch. */
  addWork(stream: string, work: BatchWork & { readonly vaultBytes: number }): void
  readonly rewinds: Counter
  readonly commits: Counter
  readonly lostRecords: Counter
}

/** Registers the counters. Streams beyond the cap are counted under `other`. */
export function openProcessorMetrics(registry: Registry): ProcessorMetrics {
  const streams = new LabelCap()
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers: [registry] })
  const records = counter(
    'gophership_processor_records_total',
    'Vault records worked on, by the tier they were worked on in.',
    ['stream', 'tier'],
  )
  const events = counter('gophership_processor_events_total', 'Events made for enriched topics.', ['stream'])
  const deadLetters = counter(
    'gophership_processor_dead_letters_total',
    'Records that no stage could handle, made dead letters.',
    ['stream'],
  )
  const debt = counter(
    'gophership_processor_debt_records_total',
    'Vault records that were not enriched fully, and were booked as owed.',
    ['stream'],
  )
  const bytes = counter('gophership_processor_vault_bytes_total', 'Bytes of vault batches processed.', [
    'stream',
  ])
  return {
    addWork(stream, { tier, recordCount, eventCount, deadLetterCount, debtRecordCount, vaultBytes }) {
      const label = { stream: streams.labelOf(stream) }
      records.inc({ ...label, tier }, recordCount)
      if (eventCount > 0) events.inc(label, eventCount)
      if (deadLetterCount > 0) deadLetters.inc(label, deadLetterCount)
      if (debtRecordCount > 0) debt.inc(label, debtRecordCount)
      bytes.inc(label, vaultBytes)
    },
    rewinds: counter(
      'gophership_processor_rewinds_total',
      'Times the work since the last commit was given up and done again.',
      [],
    ),
    commits: counter('gophership_processor_commits_total', 'Commits of outputs, debt and offsets.', []),
    lostRecords: counter(
      'gophership_processor_lost_records_total',
      'Vault offsets whose bytes were deleted before they were processed; the ledger names them.',
      [],
    ),
  }
}
