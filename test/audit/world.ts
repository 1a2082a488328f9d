/** A broker with a vault and outputs that a test writes itself, right or wrong, and then audits. */

import { type AuditReport, audit } from '../../src/audit/audit.ts'
import type { AuditOptions } from '../../src/audit/audit-options.ts'
import { describeFinding } from '../../src/audit/finding.ts'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { asPartitionId } from '../../src/core/brands.ts'
import { encodeDeadLetterHeaders } from '../../src/enrichment/dead-letter-headers.ts'
import { SourceTopics } from '../../src/enrichment/source-topics.ts'
import type { KafkaCluster } from '../../src/kafka/cluster.ts'
import { commitOffsets } from '../../src/kafka/group-offsets.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { changesBetween } from '../../src/ledger/debt-changes.ts'
import type { DebtEntry, DebtTier } from '../../src/ledger/debt-entry.ts'
import { type DebtBooks, NO_DEBT } from '../../src/ledger/debt-ranges.ts'
import type { DebtAccount } from '../../src/ledger/debt-record.ts'
import { encodeLedgerBatches, ensureLedgerTopic, LEDGER_TOPIC } from '../../src/ledger/ledger-topic.ts'
import { rangeOf } from '../../src/ledger/offset-range.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { checkTopology } from '../../src/topology/declaration.ts'
import { DEFAULT_STREAM_TOPICS } from '../../src/vault/stream-topics.ts'
import { openCluster } from '../kafka/support.ts'
import { startTestBroker, type TestBroker } from '../support/broker.ts'

const NOW_MS = 1_760_000_000_000
export const VAULT = 'raw-vault.web'
export const ENRICHED = 'enriched.web'
export const PASSTHROUGH = 'passthrough.web'
const DEAD_LETTER = 'dead-letter'
const GROUP = 'gophership'

const DECLARATION = checkTopology(
  {
    name: 'density-tier',
    source: { streams: 'all' },
    stages: [],
    sinks: { enriched: 'enriched.{stream}', deadLetter: DEAD_LETTER },
  },
  'test',
)

export class World {
  readonly topics = new SourceTopics(DECLARATION, DEFAULT_STREAM_TOPICS)
  readonly broker: TestBroker
  readonly cluster: KafkaCluster
  readonly #producer: Producer
  readonly #books: Record<DebtAccount, DebtBooks> = { owed: NO_DEBT, repaid: NO_DEBT }

  private constructor(broker: TestBroker, cluster: KafkaCluster) {
    this.broker = broker
    this.cluster = cluster
    this.#producer = new Producer(cluster)
  }

  static async open(): Promise<World> {
    const broker = await startTestBroker()
    const cluster = openCluster([broker.address])
    await cluster.connect()
    const partitionCount = 1
    await cluster.ensureTopic(VAULT, { partitionCount })
    await cluster.ensureTopic(ENRICHED, { partitionCount })
    await cluster.ensureTopic(PASSTHROUGH, { partitionCount })
    await cluster.ensureTopic(DEAD_LETTER, { partitionCount })
    await ensureLedgerTopic(cluster)
    return new World(broker, cluster)
  }

  async close(): Promise<void> {
    await this.#producer.stop()
    await this.cluster.close()
    await this.broker.stop()
  }

  /** Appends one batch to the vault; resolves with its first offset. */
  async vault(...values: readonly string[]): Promise<number> {
    return (await this.send(VAULT, (encoder) => {
      for (const value of values) encoder.append(NOW_MS, null, Buffer.from(value))
    })) as number
  }

  /** Writes the events of a run of offsets in one batch. */
  async events(first: number, last: number, density: 'full' | 'partial' = 'full'): Promise<void> {
    await this.send(ENRICHED, (encoder) => {
      for (let offset = first; offset <= last; offset += 1) {
        const vault = `"vault":{"topic":"${VAULT}","partition":0,"offset":${offset}}`
        const text = `{"eventId":"${VAULT}:0:${offset}","body":"b","density":"${density}",${vault}}`
        encoder.append(NOW_MS, null, Buffer.from(text))
      }
    })
  }

  async deadLetter(offset: number, more: { lastOffset?: number } = {}): Promise<void> {
    const place = { topic: VAULT, partition: 0, offset, ...more }
    const facts = { reason: 'invalid-utf8', stage: 'decode', message: 'not text', attempt: 1, ...place }
    const forged = [{ key: 'gophership-offset', value: Buffer.from('0') }]
    await this.send(DEAD_LETTER, (encoder) =>
      encoder.append(NOW_MS, null, Buffer.from([0xff]), encodeDeadLetterHeaders(facts, forged)),
    )
  }

  /** Forwards batches as the passthrough tier does: their bytes, with a header of their own. */
  async copies(...batches: readonly (readonly string[])[]): Promise<void> {
    for (const values of batches) {
      await this.send(PASSTHROUGH, (encoder) => {
        for (const value of values) encoder.append(NOW_MS, null, Buffer.from(value))
      })
    }
  }

  /** Replaces an account of the books. */
  async book(account: DebtAccount, ...entries: readonly DebtEntry[]): Promise<void> {
    const records = changesBetween(this.#books[account], entries, account)
    this.#books[account] = entries
    const batches = encodeLedgerBatches(records, NOW_MS)
    await Promise.all(batches.map((batch) => this.#producer.send(LEDGER_TOPIC, 0, batch)))
  }

  async commit(offset: number): Promise<void> {
    await commitOffsets(this.cluster, { groupId: GROUP }, [{ topic: VAULT, partition: 0, offset }])
  }

  async send(topic: string, fill: (encoder: BatchEncoder) => void): Promise<number> {
    const encoder = new BatchEncoder()
    encoder.start()
    fill(encoder)
    return (await this.#producer.send(topic, 0, Buffer.from(encoder.finish()))).baseOffset
  }

  audit(options: Partial<AuditOptions> = {}): Promise<AuditReport> {
    return audit(this.cluster, {
      topology: DECLARATION.name,
      topics: this.topics,
      groupId: GROUP,
      streams: null,
      isDeep: true,
      guarantee: 'exactly-once',
      diagnostics: silentDiagnostics,
      ...options,
    })
  }
}

export function entry(
  first: number,
  last: number,
  tier: DebtTier,
  changes: Partial<DebtEntry> = {},
): DebtEntry {
  return {
    topology: DECLARATION.name,
    topic: VAULT,
    partition: asPartitionId(0),
    ...rangeOf(first, last),
    tier,
    recordCount: last - first + 1,
    bytes: 100,
    timestampMinMs: NOW_MS,
    timestampMaxMs: NOW_MS,
    reason: { zone: 'red', driver: 'lagSeconds' },
    openedMs: NOW_MS,
    state: 'open',
    closedMs: null,
    ...changes,
  }
}

export const settled = (first: number, last: number, tier: DebtTier): DebtEntry =>
  entry(first, last, tier, { state: 'settled', closedMs: NOW_MS })

/** The violations of a report, one line each. */
export const violations = ({ partitions, findings }: AuditReport): string[] =>
  [...partitions.flatMap((partition) => partition.findings), ...findings]
    .filter(({ isViolation }) => isViolation)
    .map(describeFinding)
