/** The broker's counters, in the registry it was given. Labels come from fixed lists, never from clients. */

import type { Registry } from 'prom-client'
import { Counter, Gauge } from 'prom-client'

export class BrokerMetrics {
  readonly requests: Counter<'api'>
  readonly rejected: Counter<'reason'>
  readonly producedBytes: Counter
  readonly producedRecords: Counter
  readonly producedBatches: Counter
  readonly refusedBatches: Counter<'error'>
  readonly fetchedBytes: Counter
  readonly transactionsEnded: Counter<'outcome'>
  readonly transactionsTimedOut: Counter

  /** The gauges are read when the page is made. */
  constructor(
    registry: Registry,
    read: {
      connections(): number
      topics(): number
      partitions(): number
      groups(): number
      ongoingTransactions(): number
    },
  ) {
    const registers = [registry]
    this.requests = new Counter({
      name: 'gophership_broker_requests_total',
      help: 'Requests started, by API.',
      labelNames: ['api'],
      registers,
    })
    this.rejected = new Counter({
      name: 'gophership_broker_rejected_total',
      help: 'Connections refused or closed by the broker, by reason.',
      labelNames: ['reason'],
      registers,
    })
    this.producedBytes = new Counter({
      name: 'gophership_broker_produced_bytes_total',
      help: 'Bytes of record batches appended for producers, as sent.',
      registers,
    })
    this.producedRecords = new Counter({
      name: 'gophership_broker_produced_records_total',
      help: 'Records appended for producers.',
      registers,
    })
    this.producedBatches = new Counter({
      name: 'gophership_broker_produced_batches_total',
      help: 'Record batches appended for producers.',
      registers,
    })
    this.refusedBatches = new Counter({
      name: 'gophership_broker_refused_batches_total',
      help: 'Record batches refused, by the Kafka error they were answered with.',
      labelNames: ['error'],
      registers,
    })
    this.fetchedBytes = new Counter({
      name: 'gophership_broker_fetched_bytes_total',
      help: 'Bytes of record batches sent to consumers.',
      registers,
    })
    this.transactionsEnded = new Counter({
      name: 'gophership_broker_transactions_total',
      help: 'Transactions that have ended, by outcome.',
      labelNames: ['outcome'],
      registers,
    })
    this.transactionsTimedOut = new Counter({
      name: 'gophership_broker_transactions_timed_out_total',
      help: 'Transactions that were aborted because they took too long.',
      registers,
    })
    const gauges = {
      connections: read.connections,
      topics: read.topics,
      partitions: read.partitions,
      groups: read.groups,
      ongoing_transactions: read.ongoingTransactions,
    }
    for (const [what, value] of Object.entries(gauges)) {
      new Gauge({
        name: `gophership_broker_${what}`,
        help: `Number of ${what.replace('_', ' ')} now.`,
        registers,
        collect() {
          this.set(value())
        },
      })
    }
  }
}
