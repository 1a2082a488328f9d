/** The counters of one processor thread. Streams are few and named by operators, but producers can create them: capped. */

import { Counter, type Registry } from 'prom-client'
import { LabelCap } from '../telemetry/label-cap.ts'

export interface ProcessorMetrics {
  addEnriched(
    stream: string,
    counts: { eventCount: number; deadLetterCount: number; vaultBytes: number },
  ): void
  readonly rewinds: Counter
  readonly commits: Counter
}

/** Registers the counters. Streams beyond the cap are counted under `other`. */
export function openProcessorMetrics(registry: Registry): ProcessorMetrics {
  const streams = new LabelCap()
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers: [registry] })
  const events = counter('gophership_processor_events_total', 'Events written to enriched topics.', [
    'stream',
  ])
  const deadLetters = counter(
    'gophership_processor_dead_letters_total',
    'Records that no stage could handle, written to the dead-letter topic.',
    ['stream'],
  )
  const bytes = counter('gophership_processor_vault_bytes_total', 'Bytes of vault batches processed.', [
    'stream',
  ])
  return {
    addEnriched(stream, { eventCount, deadLetterCount, vaultBytes }) {
      const label = { stream: streams.labelOf(stream) }
      if (eventCount > 0) events.inc(label, eventCount)
      if (deadLetterCount > 0) deadLetters.inc(label, deadLetterCount)
      bytes.inc(label, vaultBytes)
    },
    rewinds: counter(
      'gophership_processor_rewinds_total',
      'Times a partition went back to its last durable output because an output could not be written.',
      [],
    ),
    commits: counter('gophership_processor_commits_total', 'Offset commits.', []),
  }
}
