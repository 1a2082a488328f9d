/**
 * The produce requests to one node. Partitions with something to send stand in a list; each request takes one batch from
 * each of them, in turn, until it is full; several requests are in flight at once. There is no lingering: requests are
 * built once per turn of the event loop from whatever the turn brought.
 */

import { strict as assert } from 'node:assert'
import { produceApi } from '../wire/00-produce.ts'
import type { ResponseOf } from '../wire/api.ts'
import type { BrokerConnection } from './broker-connection.ts'
import { KafkaDisconnectedError } from './kafka-errors.ts'
import type { PartitionQueue } from './partition-queue.ts'
import type { ProduceBatch } from './produce-batch.ts'

/** One partition's part of a Produce answer. */
export type PartitionAnswer = ResponseOf<typeof produceApi>['responses'][number]['partitionResponses'][number]

export interface NodeSenderOptions {
  readonly nodeId: number
  readonly inFlightMax: number
  readonly inFlightPerPartitionMax: number
  readonly requestBytesMax: number
  /** For batches of a transaction: its id, and the newest Produce version it allows. */
  readonly transaction: { readonly transactionalId: string; readonly produceVersionMax: number } | null
  readonly connect: () => Promise<BrokerConnection>
  /** How long the broker may wait for its replicas, for this request. */
  readonly brokerWaitMs: (batches: readonly ProduceBatch[]) => number
  /** A batch leaves its queue for a request. */
  readonly onTake: (queue: PartitionQueue, batch: ProduceBatch) => void
  /** One batch's outcome: the broker's answer, null for acks=0, or the failure of the whole request. */
  readonly onOutcome: (
    queue: PartitionQueue,
    batch: ProduceBatch,
    outcome: PartitionAnswer | null | Error,
  ) => void
  /** The socket let go of a batch's bytes before its answer came. */
  readonly onWritten: (batch: ProduceBatch) => void
  /** No connection could be made; these partitions have nothing in flight because of it. */
  readonly onUnreachable: (queues: readonly PartitionQueue[], error: Error) => void
}

interface Sending {
  readonly queue: PartitionQueue
  readonly batch: ProduceBatch
}

export class NodeSender {
  readonly #options: NodeSenderOptions
  /** In the order of their turns. */
  readonly #ready = new Set<PartitionQueue>()
  #connection: BrokerConnection | null = null
  #isConnecting = false
  #isPumpQueued = false
  #inFlightCount = 0

  constructor(options: NodeSenderOptions) {
    this.#options = options
  }

  get inFlightCount(): number {
    return this.#inFlightCount
  }

  /** Adds a partition that has something to send. */
  add(queue: PartitionQueue): void {
    queue.routedNodeId = this.#options.nodeId
    this.#ready.add(queue)
    this.#queuePump()
  }

  /** Breaks the connection, for a socket that does not let go of an expired batch. */
  disconnect(reason: string): void {
    this.#connection?.close(reason)
  }

  #queuePump(): void {
    if (this.#isPumpQueued) return
    this.#isPumpQueued = true
    setImmediate(() => {
      this.#isPumpQueued = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#ready.size === 0) return
    const connection = this.#connection
    if (connection === null || !connection.isOpen) {
      // Not before every request of the broken connection has reported: 1. A is in flight, the connection breaks. 2. B
      // goes out on a new one. 3. A is found to have failed, and goes out behind B.
      if (this.#inFlightCount === 0) void this.#connect()
      return
    }
    while (this.#inFlightCount < this.#options.inFlightMax) {
      const sendings = this.#fillRequest()
      if (sendings.length === 0) return
      void this.#send(connection, sendings)
    }
  }

  async #connect(): Promise<void> {
    if (this.#isConnecting) return
    this.#isConnecting = true
    try {
      this.#connection = await this.#options.connect()
      this.#queuePump()
    } catch (error) {
      const queues = [...this.#ready].filter((queue) => queue.routedNodeId === this.#options.nodeId)
      this.#ready.clear()
      this.#options.onUnreachable(queues, error as Error)
    } finally {
      this.#isConnecting = false
    }
  }

  /** Takes at most one batch per partition, in turn, all with the same acks, up to the request's size. */
  #fillRequest(): Sending[] {
    const { requestBytesMax, inFlightPerPartitionMax, nodeId } = this.#options
    const sendings: Sending[] = []
    let bytes = 0
    for (const queue of [...this.#ready]) {
      // Stopped, or routed elsewhere, since it was added.
      if (queue.routedNodeId !== nodeId) {
        this.#ready.delete(queue)
        continue
      }
      const next = queue.isFull(inFlightPerPartitionMax) ? null : queue.peek()
      if (next === null) {
        this.#ready.delete(queue)
        queue.routedNodeId = null
        continue
      }
      const first = sendings[0]?.batch
      if (first !== undefined && first.acks !== next.acks) continue
      if (first !== undefined && bytes + next.bytes.length > requestBytesMax) break
      const batch = queue.take()
      assert(batch === next, 'the batch that was looked at is the one taken')
      queue.nodeId = nodeId
      this.#options.onTake(queue, batch)
      bytes += batch.bytes.length
      sendings.push({ queue, batch })
      // To the end of the list: every partition gets its turn.
      this.#ready.delete(queue)
      this.#ready.add(queue)
    }
    return sendings
  }

  async #send(connection: BrokerConnection, sendings: readonly Sending[]): Promise<void> {
    const batches = sendings.map(({ batch }) => batch)
    const acks = (batches[0] as ProduceBatch).acks
    const { transaction, brokerWaitMs } = this.#options
    const value = {
      transactionalId: transaction?.transactionalId ?? null,
      acks,
      timeoutMs: brokerWaitMs(batches),
      topicData: topicDataOf(batches),
    }
    for (const batch of batches) batch.isOnSocket = true
    const onWritten = () => {
      for (const batch of batches) {
        batch.isOnSocket = false
        this.#options.onWritten(batch)
      }
    }
    this.#inFlightCount++
    let outcome: ResponseOf<typeof produceApi> | null | Error
    try {
      outcome =
        acks === 0
          ? await connection.sendOneWay(produceApi, value, { onWritten }).then(() => null)
          : await connection.request(produceApi, value, {
              onWritten,
              ...(transaction === null ? {} : { versionMax: transaction.produceVersionMax }),
            })
    } catch (error) {
      outcome = error as Error
    }
    this.#inFlightCount--
    // Settled means that the socket is finished with the bytes, also where it never confirmed writing them.
    for (const batch of batches) batch.isOnSocket = false
    const answers = outcome === null || outcome instanceof Error ? null : answersByPartition(outcome)
    for (const { queue, batch } of sendings) {
      const answer = answers === null ? (outcome as null | Error) : answers.get(keyOf(batch))
      this.#options.onOutcome(queue, batch, answer === undefined ? missingAnswer(batch) : answer)
    }
    this.#queuePump()
  }
}

interface PartitionData {
  readonly index: number
  readonly records: Buffer
}

function topicDataOf(batches: readonly ProduceBatch[]): { name: string; partitionData: PartitionData[] }[] {
  const byTopic = new Map<string, PartitionData[]>()
  for (const { topic, partition, bytes } of batches) {
    const data = { index: partition, records: bytes }
    const known = byTopic.get(topic)
    if (known === undefined) byTopic.set(topic, [data])
    else known.push(data)
  }
  return Array.from(byTopic, ([name, partitionData]) => ({ name, partitionData }))
}

function answersByPartition(answer: ResponseOf<typeof produceApi>): Map<string, PartitionAnswer> {
  const answers = new Map<string, PartitionAnswer>()
  for (const { name, partitionResponses } of answer.responses) {
    for (const partition of partitionResponses) answers.set(`${name} ${partition.index}`, partition)
  }
  return answers
}

function keyOf({ topic, partition }: ProduceBatch): string {
  return `${topic} ${partition}`
}

/** A broker that leaves a partition out has told us nothing about it: treated as a lost answer. */
function missingAnswer({ topic, partition }: ProduceBatch): Error {
  return new KafkaDisconnectedError(`the broker's Produce answer says nothing about ${topic}-${partition}`, {
    topic,
    partition,
  })
}
