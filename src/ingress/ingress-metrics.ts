/**
 * What every listener counts, under the same names with the label `listener`. Counted per request or per batch, never
 * per record. A registry holds each metric once, so listeners that share a registry share one of these.
 */

import type { Admission } from '../listener/admission.ts'
import type { Registry } from '../telemetry/metrics.ts'
import { Counter, Gauge, Histogram, LATENCY_BUCKETS_SECONDS } from '../telemetry/metrics.ts'

export type ListenerName = 'kafka' | 'http'

/** The share of one listener: the same metrics with its label already on them. */
export interface ListenerMetrics {
  /** A request was answered (or, with acks=0, would have been). */
  readonly requestAnswered: (operation: string, outcome: 'ok' | 'error') => void
  /** Records the vault has acknowledged. */
  readonly recordsStored: (recordCount: number, bytes: number) => void
  /** From the last byte of the request to its answer. */
  readonly ackLatency: (seconds: number) => void
  readonly rejected: (reason: string) => void
  /** Read when scraped. */
  readonly watchConnections: (count: () => number) => void
}

export class IngressMetrics {
  readonly #requests: Counter<'listener' | 'operation' | 'outcome'>
  readonly #records: Counter<'listener'>
  readonly #bytes: Counter<'listener'>
  readonly #ackSeconds: Histogram<'listener'>
  readonly #rejected: Counter<'listener' | 'reason'>
  readonly #connectionCounts = new Map<ListenerName, () => number>()

  constructor(registry: Registry, admission: Admission) {
    const registers = [registry]
    this.#requests = new Counter({
      name: 'gophership_ingress_requests_total',
      help: 'Requests answered, by listener, operation and outcome.',
      labelNames: ['listener', 'operation', 'outcome'],
      registers,
    })
    this.#records = new Counter({
      name: 'gophership_ingress_records_total',
      help: 'Records the vault has acknowledged.',
      labelNames: ['listener'],
      registers,
    })
    this.#bytes = new Counter({
      name: 'gophership_ingress_bytes_total',
      help: 'Bytes of record batches (Kafka) or request bodies (HTTP) the vault has acknowledged.',
      labelNames: ['listener'],
      registers,
    })
    this.#ackSeconds = new Histogram({
      name: 'gophership_ingress_ack_seconds',
      help: 'Time from the last byte of a request to its answer.',
      labelNames: ['listener'],
      buckets: [...LATENCY_BUCKETS_SECONDS],
      registers,
    })
    this.#rejected = new Counter({
      name: 'gophership_ingress_rejected_total',
      help: 'Requests and connections refused, by listener and reason.',
      labelNames: ['listener', 'reason'],
      registers,
    })
    new Gauge({
      name: 'gophership_ingress_in_flight_bytes',
      help: 'Bytes of producers that are held in memory and not yet acknowledged by the vault.',
      registers,
      collect() {
        this.set(admission.bytesHeld)
      },
    })
    new Gauge({
      name: 'gophership_ingress_admission_waiting',
      help: 'Requests that wait for room in the byte budget; their sockets are not read.',
      registers,
      collect() {
        this.set(admission.waitingCount)
      },
    })
    const connectionCounts = this.#connectionCounts
    new Gauge({
      name: 'gophership_ingress_connections',
      help: 'Open connections.',
      labelNames: ['listener'],
      registers,
      collect() {
        for (const [listener, count] of connectionCounts) this.set({ listener }, count())
      },
    })
  }

  /** The metrics as one listener uses them. */
  of(listener: ListenerName): ListenerMetrics {
    const records = this.#records.labels(listener)
    const bytes = this.#bytes.labels(listener)
    const ackSeconds = this.#ackSeconds.labels(listener)
    // A series that begins at its first increase hides that increase from every rate.
    records.inc(0)
    bytes.inc(0)
    this.#ackSeconds.zero({ listener })
    return {
      requestAnswered: (operation, outcome) => this.#requests.inc({ listener, operation, outcome }),
      recordsStored(recordCount, byteCount) {
        records.inc(recordCount)
        bytes.inc(byteCount)
      },
      ackLatency: (seconds) => ackSeconds.observe(seconds),
      rejected: (reason) => this.#rejected.inc({ listener, reason }),
      watchConnections: (count) => this.#connectionCounts.set(listener, count),
    }
  }
}
