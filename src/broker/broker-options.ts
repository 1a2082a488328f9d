/** What can be set on the embedded broker, with its defaults. Times are milliseconds, sizes bytes. */

import { BATCH_BYTES_MAX, BATCH_INFLATED_BYTES_MAX, BATCH_RECORDS_MAX } from '../core/limits.ts'
import type { ListenerLimits } from '../listener/listener-types.ts'
import type { SyncPolicy } from '../storage/partition-log.ts'

export interface BrokerOptions {
  /** Host that clients are told to connect to. Null: the bound host or, when that is a wildcard, the address the client itself used. */
  readonly advertisedHost: string | null
  /** Port that clients are told to connect to. Null: the bound port. */
  readonly advertisedPort: number | null
  /** Create a topic that a client asks for in Metadata. */
  readonly autoCreateTopics: boolean
  /** Partitions of a topic that was created without saying how many. */
  readonly defaultPartitionCount: number
  /** Partitions of all topics together; creating more is refused (POLICY_VIOLATION). Each holds open files. */
  readonly partitionsMax: number
  /** When an acknowledged batch is durable; see the partition log. */
  readonly sync: SyncPolicy
  /** Default of the topic setting `retention.ms`; -1 keeps for ever. */
  readonly retentionMs: number
  /** Default of the topic setting `retention.bytes`, per partition; -1 sets no limit. */
  readonly retentionBytes: number
  /** Default of the topic setting `segment.bytes`. */
  readonly segmentBytesMax: number
  /** Default of the topic setting `segment.ms`. */
  readonly segmentAgeMsMax: number
  /** How often old segments, offsets and producers are looked for. */
  readonly retentionCheckMs: number
  /**
   * A regular expression for whole topic names: of such a topic retention deletes nothing before `holdRetention` has told of
   * the partition. Null: of no topic.
   */
  readonly heldTopicsPattern: string | null
  /** How often compacted topics are looked through (Kafka: `log.cleaner.backoff.ms`). */
  readonly compactionCheckMs: number
  /** Memory for the keys of the partition that is being compacted; more keys take more passes. */
  readonly compactionKeyBytesMax: number
  /** Default of the topic setting `max.message.bytes`: the largest batch, as sent. */
  readonly batchBytesMax: number
  /** What a compressed batch may inflate to; beyond it the batch is refused (MESSAGE_TOO_LARGE). */
  readonly batchInflatedBytesMax: number
  /** Most records of one batch; beyond it the batch is refused (MESSAGE_TOO_LARGE). */
  readonly batchRecordsMax: number
  /** Largest answer to one Fetch, but for a single larger batch. Whatever the client asks for. */
  readonly fetchBytesMax: number
  /** Longest a Fetch may wait for data, whatever the client asks for. */
  readonly fetchWaitMsMax: number
  /** Request bytes of all connections that are read and not answered yet. Beyond it sockets are not read. */
  readonly requestBytesMax: number
  readonly listener: Partial<ListenerLimits>
  /** How long a consumer group that was empty waits for more members before its first generation. */
  readonly groupInitialRebalanceDelayMs: number
  readonly groupSessionMsMin: number
  readonly groupSessionMsMax: number
  /** Members of one group; one more is answered GROUP_MAX_SIZE_REACHED. */
  readonly groupMembersMax: number
  /** Groups with members or offsets; one more is answered GROUP_MAX_SIZE_REACHED. */
  readonly groupsMax: number
  /** Subscription bytes that one member may bring (all its protocols together). */
  readonly groupMemberBytesMax: number
  /** How long the offsets of a group without members are kept after the last commit, or after its last member left. */
  readonly offsetsRetentionMs: number
  /** Longest text that may be committed with an offset (Kafka: `offset.metadata.max.bytes`). */
  readonly offsetMetadataCharsMax: number
  /** How long an idempotent producer is remembered after its last batch (Kafka: `producer.id.expiration.ms`). */
  readonly producerExpiryMs: number
  /** Idempotent producers remembered per partition; the one silent longest is forgotten for a new one. */
  readonly producersPerPartitionMax: number
  /** The longest transaction that a producer may ask for (Kafka: `transaction.max.timeout.ms`). */
  readonly transactionMsMax: number
  /** Transactional ids remembered; one more is answered POLICY_VIOLATION. */
  readonly transactionalIdsMax: number
  /** How long a transactional id is remembered after its last transaction (Kafka: `transactional.id.expiration.ms`). */
  readonly transactionalIdExpiryMs: number
  /** Bytes appended to a partition between two snapshots of its producers: what a restart reads again at most. */
  readonly producerSnapshotBytes: number
  /** How long after a disk failure a partition is opened again; the wait doubles up to ten times this. */
  readonly partitionReopenMs: number
  /** How long `stop` lets started requests finish. */
  readonly drainMs: number
}

const MIB = 1024 * 1024
const DAY_MS = 86_400_000

export const DEFAULT_BROKER_OPTIONS: BrokerOptions = {
  advertisedHost: null,
  advertisedPort: null,
  autoCreateTopics: true,
  defaultPartitionCount: 4,
  partitionsMax: 4000,
  sync: { policy: 'every-ack' },
  retentionMs: 7 * DAY_MS,
  retentionBytes: -1,
  segmentBytesMax: 256 * MIB,
  segmentAgeMsMax: 7 * DAY_MS,
  retentionCheckMs: 60_000,
  heldTopicsPattern: null,
  compactionCheckMs: 15_000,
  compactionKeyBytesMax: 16 * MIB,
  batchBytesMax: BATCH_BYTES_MAX,
  batchInflatedBytesMax: BATCH_INFLATED_BYTES_MAX,
  batchRecordsMax: BATCH_RECORDS_MAX,
  fetchBytesMax: 8 * MIB,
  fetchWaitMsMax: 120_000,
  requestBytesMax: 64 * MIB,
  listener: {},
  groupInitialRebalanceDelayMs: 50,
  groupSessionMsMin: 6000,
  groupSessionMsMax: 1_800_000,
  groupMembersMax: 1000,
  groupsMax: 10_000,
  groupMemberBytesMax: 256 * 1024,
  offsetsRetentionMs: 7 * DAY_MS,
  offsetMetadataCharsMax: 4096,
  producerExpiryMs: DAY_MS,
  producersPerPartitionMax: 10_000,
  transactionMsMax: 900_000,
  transactionalIdsMax: 10_000,
  transactionalIdExpiryMs: 7 * DAY_MS,
  producerSnapshotBytes: 64 * MIB,
  partitionReopenMs: 1000,
  drainMs: 5000,
}
