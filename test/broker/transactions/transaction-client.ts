/** A transactional producer over a bare connection: each call is one request, and gives what was answered. */

import { produceApi } from '../../../src/wire/00-produce.ts'
import { initProducerIdApi } from '../../../src/wire/22-init-producer-id.ts'
import { addPartitionsToTxnApi } from '../../../src/wire/24-add-partitions-to-txn.ts'
import { addOffsetsToTxnApi } from '../../../src/wire/25-add-offsets-to-txn.ts'
import { endTxnApi } from '../../../src/wire/26-end-txn.ts'
import { txnOffsetCommitApi } from '../../../src/wire/28-txn-offset-commit.ts'
import type { RawConnection } from '../../listener/raw-connection.ts'
import { batchOf, contentsOf, fetchOne } from '../broker-client.ts'

export interface GroupMemberFields {
  readonly groupId?: string
  readonly generationId?: number
  readonly memberId?: string
  readonly groupInstanceId?: string | null
}

export class TransactionClient {
  readonly transactionalId: string
  connection: RawConnection
  producerId = -1
  producerEpoch = -1
  readonly #sequences = new Map<string, number>()

  constructor(connection: RawConnection, transactionalId = 'tx') {
    this.connection = connection
    this.transactionalId = transactionalId
  }

  /** A client that has its identity already. */
  static async begun(connection: RawConnection, transactionalId = 'tx', timeoutMs = 60_000) {
    const client = new TransactionClient(connection, transactionalId)
    const { errorCode } = await client.init({ timeoutMs })
    if (errorCode !== 0) throw new Error(`the id was refused: ${errorCode}`)
    return client
  }

  async init(
    options: {
      timeoutMs?: number
      expected?: { producerId: number; producerEpoch: number }
      version?: number
    } = {},
  ) {
    const answer = await this.connection.request(initProducerIdApi, options.version ?? 4, {
      transactionalId: this.transactionalId,
      transactionTimeoutMs: options.timeoutMs ?? 60_000,
      ...options.expected,
    })
    if (answer.errorCode === 0) {
      this.producerId = answer.producerId
      this.producerEpoch = answer.producerEpoch
      this.#sequences.clear()
    }
    return answer
  }

  /** The error code of AddPartitionsToTxn for its first partition. */
  async add(topic = 'orders', partitions: readonly number[] = [0], version = 3): Promise<number> {
    const { resultsByTopicV3AndBelow } = await this.connection.request(addPartitionsToTxnApi, version, {
      v3AndBelowTransactionalId: this.transactionalId,
      v3AndBelowProducerId: this.producerId,
      v3AndBelowProducerEpoch: this.producerEpoch,
      v3AndBelowTopics: [{ name: topic, partitions }],
    })
    return resultsByTopicV3AndBelow[0]?.resultsByPartition[0]?.partitionErrorCode ?? -1
  }

  /** Produces one batch of the transaction. */
  async produce(
    values: readonly string[],
    options: {
      topic?: string
      partition?: number
      version?: number
      sequence?: number
      keys?: string[]
    } = {},
  ) {
    const { topic = 'orders', partition = 0, version = 9 } = options
    const place = `${topic}-${partition}`
    const baseSequence = options.sequence ?? this.#sequences.get(place) ?? 0
    const records = batchOf(values, {
      producerId: this.producerId,
      producerEpoch: this.producerEpoch,
      baseSequence,
      isTransactional: true,
      ...(options.keys === undefined ? {} : { keys: options.keys }),
    })
    const { responses } = await this.connection.request(produceApi, version, {
      transactionalId: this.transactionalId,
      acks: -1,
      timeoutMs: 30_000,
      topicData: [{ name: topic, partitionData: [{ index: partition, records }] }],
    })
    const result = responses[0]?.partitionResponses[0]
    if (result === undefined) throw new Error('the answer names no partition')
    if (result.errorCode === 0) this.#sequences.set(place, baseSequence + values.length)
    return result
  }

  async addOffsets(groupId = 'group', version = 3): Promise<number> {
    const { errorCode } = await this.connection.request(addOffsetsToTxnApi, version, {
      ...this.#identity(),
      groupId,
    })
    return errorCode
  }

  /** The error code of TxnOffsetCommit for partition 0 of a topic. */
  async commitOffset(offset: number, member: GroupMemberFields = {}, topic = 'orders'): Promise<number> {
    const { topics } = await this.connection.request(txnOffsetCommitApi, 3, {
      ...this.#identity(),
      groupId: 'group',
      generationId: -1,
      memberId: '',
      ...member,
      topics: [
        {
          name: topic,
          partitions: [{ partitionIndex: 0, committedOffset: offset, committedMetadata: 'm' }],
        },
      ],
    })
    return topics[0]?.partitions[0]?.errorCode ?? -1
  }

  /** The error code of EndTxn. */
  async end(isCommit: boolean, version = 3): Promise<number> {
    const { errorCode } = await this.connection.request(endTxnApi, version, {
      ...this.#identity(),
      committed: isCommit,
    })
    return errorCode
  }

  commit(): Promise<number> {
    return this.end(true)
  }

  abort(): Promise<number> {
    return this.end(false)
  }

  #identity() {
    const { transactionalId, producerId, producerEpoch } = this
    return { transactionalId, producerId, producerEpoch }
  }
}

/** Fetches one partition under read_committed, as it is: aborted records are still among it. */
export function fetchCommitted(
  connection: RawConnection,
  options: {
    topic?: string
    partition?: number
    offset?: number
    maxWaitMs?: number
    minBytes?: number
  } = {},
) {
  return fetchOne(connection, { ...options, isolationLevel: 1 })
}

/** Offsets and values up to the high watermark, markers included, whatever their transactions did. */
export async function everything(
  connection: RawConnection,
  topic = 'orders',
  partition = 0,
): Promise<string[]> {
  return contentsOf((await fetchOne(connection, { topic, partition })).records)
}
