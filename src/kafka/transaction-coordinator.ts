/**
 * The requests of a transaction, in both protocols: the classic one announces partitions and groups before they are used
 * (KIP-98); in the second one brokers add them as they come, and every end of a transaction gives a new epoch (KIP-890). It
 * holds no state of a transaction; `transactional-producer.ts` does.
 *
 * All but `endOnce` repeat what may pass; a repeated one has no second effect. `hasLostAnswers` says that some request may
 * still be on its way, and might arrive after everything else.
 */

import { initProducerIdApi } from '../wire/22-init-producer-id.ts'
import { addPartitionsToTxnApi } from '../wire/24-add-partitions-to-txn.ts'
import { addOffsetsToTxnApi } from '../wire/25-add-offsets-to-txn.ts'
import { endTxnApi } from '../wire/26-end-txn.ts'
import { txnOffsetCommitApi } from '../wire/28-txn-offset-commit.ts'
import { KAFKA_ERROR } from '../wire/error-codes.ts'
import type { BackoffOptions } from './backoff.ts'
import { withRetries } from './backoff.ts'
import type { KafkaCluster } from './cluster.ts'
import type { GroupGeneration } from './group-member.ts'
import type { OffsetToCommit } from './group-offsets.ts'
import {
  isConnectionFailure,
  isStaleCoordinatorCode,
  kafkaErrorCodeOf,
  throwOnKafkaError,
} from './kafka-errors.ts'
import type { ProducerId } from './producer-identity.ts'
import { judgeTransactionFailure } from './transaction-failure.ts'

/** Which of the two protocols: 1 is the classic one, 2 that of KIP-890. */
export type TransactionVersion = 1 | 2

export interface TransactionPartition {
  readonly topic: string
  readonly partition: number
}

export interface TransactionCoordinatorOptions {
  readonly transactionalId: string
  readonly transactionTimeoutMs: number
  /** The newest protocol to use. */
  readonly versionMax: TransactionVersion
}

export interface TransactionRequestOptions {
  readonly signal?: AbortSignal
  /** Time for all attempts. Default: the transaction's timeout, after which the coordinator aborts it anyhow. */
  readonly deadlineMs?: number
}

/** While the markers of the transaction before are still being written, which is a matter of milliseconds. */
const BACKOFF: BackoffOptions = { initialMs: 5, maxMs: 500 }

const TRANSACTION_VERSION_FEATURE = 'transaction.version'
/** The newest versions of the classic protocol; later ones change what a broker does. */
const CLASSIC_VERSION_MAX = { produce: 11, endTxn: 4, txnOffsetCommit: 4 } as const

export class TransactionCoordinator {
  readonly #cluster: KafkaCluster
  readonly #options: TransactionCoordinatorOptions
  readonly #lane: string
  #version: TransactionVersion = 1
  /** An answer was lost since this was last set to false. */
  hasLostAnswers = false

  constructor(cluster: KafkaCluster, options: TransactionCoordinatorOptions) {
    this.#cluster = cluster
    this.#options = options
    this.#lane = cluster.openLane('transaction')
  }

  /** Known after `initProducerId`. */
  get version(): TransactionVersion {
    return this.#version
  }

  get produceVersionMax(): number {
    return this.#version === 2 ? CLASSIC_VERSION_MAX.produce + 1 : CLASSIC_VERSION_MAX.produce
  }

  /**
   * Gets the id and epoch of the next transaction. Without `current`, whoever held the transactional id is fenced and what it
   * left open is aborted; with it, only one who still holds the id gets a new epoch.
   */
  initProducerId(current: ProducerId | null, options: TransactionRequestOptions = {}): Promise<ProducerId> {
    const { transactionalId, transactionTimeoutMs, versionMax } = this.#options
    return this.#retrying(options, async () => {
      const target = this.#target
      const level = await this.#cluster.finalizedFeature(TRANSACTION_VERSION_FEATURE, target, {
        lane: this.#lane,
      })
      this.#version = level >= 2 && versionMax === 2 ? 2 : 1
      const value = { transactionalId, transactionTimeoutMs, ...current }
      const answer = await this.#cluster.request(initProducerIdApi, value, target, { lane: this.#lane })
      throwOnKafkaError('InitProducerId', answer.errorCode, { transactionalId })
      return { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
    })
  }

  /** Announces partitions (classic protocol). */
  addPartitions(id: ProducerId, partitions: readonly TransactionPartition[]): Promise<void> {
    const { transactionalId } = this.#options
    const value = {
      v3AndBelowTransactionalId: transactionalId,
      v3AndBelowProducerId: id.producerId,
      v3AndBelowProducerEpoch: id.producerEpoch,
      v3AndBelowTopics: Array.from(
        Map.groupBy(partitions, ({ topic }) => topic),
        ([name, added]) => ({ name, partitions: added.map(({ partition }) => partition) }),
      ),
    }
    return this.#retrying({}, async () => {
      const answer = await this.#cluster.request(addPartitionsToTxnApi, value, this.#target, {
        lane: this.#lane,
      })
      const results = answer.resultsByTopicV3AndBelow.flatMap(({ name, resultsByPartition }) =>
        resultsByPartition.map((result) => ({ topic: name, ...result })),
      )
      // One refusal keeps all from being added; the others are answered with "not attempted", which says nothing.
      const isOwn = (code: number) =>
        code !== KAFKA_ERROR.NONE && code !== KAFKA_ERROR.OPERATION_NOT_ATTEMPTED
      const refused =
        results.find(({ partitionErrorCode }) => isOwn(partitionErrorCode)) ??
        results.find(({ partitionErrorCode }) => partitionErrorCode !== KAFKA_ERROR.NONE)
      if (refused === undefined) return
      const { topic, partitionIndex, partitionErrorCode } = refused
      const facts = { transactionalId, topic, partition: partitionIndex }
      throwOnKafkaError('AddPartitionsToTxn', partitionErrorCode, facts)
    })
  }

  /** Announces a group whose positions will be committed (classic protocol). */
  addOffsets(id: ProducerId, groupId: string): Promise<void> {
    const { transactionalId } = this.#options
    return this.#retrying({}, async () => {
      const value = { transactionalId, ...id, groupId }
      const answer = await this.#cluster.request(addOffsetsToTxnApi, value, this.#target, {
        lane: this.#lane,
      })
      throwOnKafkaError('AddOffsetsToTxn', answer.errorCode, { transactionalId, groupId })
    })
  }

  /** Leaves positions with the group's coordinator, to be stored when the transaction commits. */
  commitOffsets(id: ProducerId, group: GroupGeneration, offsets: readonly OffsetToCommit[]): Promise<void> {
    const { transactionalId } = this.#options
    const { groupId } = group
    const value = {
      transactionalId,
      ...id,
      ...group,
      topics: Array.from(
        Map.groupBy(offsets, ({ topic }) => topic),
        ([name, committed]) => ({
          name,
          partitions: committed.map(({ partition, offset, metadata = '' }) => ({
            partitionIndex: partition,
            committedOffset: offset,
            committedMetadata: metadata,
          })),
        }),
      ),
    }
    const versionMax =
      this.#version === 2 ? txnOffsetCommitApi.versionMax : CLASSIC_VERSION_MAX.txnOffsetCommit
    return this.#retrying({}, async () => {
      const options = { lane: this.#lane, versionMax }
      const answer = await this.#cluster
        .request(txnOffsetCommitApi, value, { coordinator: groupId }, options)
        .catch((error: unknown) => {
          this.#cluster.forgetCoordinator(groupId)
          throw error
        })
      for (const { name, partitions } of answer.topics) {
        for (const { partitionIndex, errorCode } of partitions) {
          if (isStaleCoordinatorCode(errorCode)) this.#cluster.forgetCoordinator(groupId)
          throwOnKafkaError('TxnOffsetCommit', errorCode, { groupId, topic: name, partition: partitionIndex })
        }
      }
    })
  }

  /** One attempt to end the transaction. Resolves with the id and epoch of the next one. */
  async endOnce(id: ProducerId, { isCommitted }: { readonly isCommitted: boolean }): Promise<ProducerId> {
    const { transactionalId } = this.#options
    try {
      const answer = await this.#cluster.request(
        endTxnApi,
        { transactionalId, ...id, committed: isCommitted },
        this.#target,
        {
          lane: this.#lane,
          versionMax: this.#version === 2 ? endTxnApi.versionMax : CLASSIC_VERSION_MAX.endTxn,
        },
      )
      throwOnKafkaError('EndTxn', answer.errorCode, { transactionalId, isCommitted })
      const { producerId, producerEpoch } = answer
      return producerId < 0 ? id : { producerId, producerEpoch }
    } catch (error) {
      this.#learnFrom(error)
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#cluster.closeLane(this.#lane)
  }

  get #target() {
    return { coordinator: this.#options.transactionalId, kind: 'transaction' } as const
  }

  #retrying<T>(
    { signal, deadlineMs = this.#options.transactionTimeoutMs }: TransactionRequestOptions,
    attempt: () => Promise<T>,
  ): Promise<T> {
    const { clock, random } = this.#cluster
    return withRetries(
      {
        clock,
        random,
        backoff: BACKOFF,
        deadlineAtMs: clock.monotonicMs() + deadlineMs,
        isRetriable: (error) => judgeTransactionFailure(error) === 'passing',
        ...(signal === undefined ? {} : { signal }),
      },
      () =>
        attempt().catch((error: unknown) => {
          this.#learnFrom(error)
          throw error
        }),
    )
  }

  #learnFrom(error: unknown): void {
    const isGone = isConnectionFailure(error)
    if (isGone) this.hasLostAnswers = true
    if (isGone || isStaleCoordinatorCode(kafkaErrorCodeOf(error) ?? KAFKA_ERROR.NONE)) {
      this.#cluster.forgetCoordinator(this.#options.transactionalId, 'transaction')
    }
  }
}
