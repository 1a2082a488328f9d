/**
 * At least once: an offset is committed when every output made from the records before it, and every ledger record about
 * them, is durable. After a failure the records behind the last commit are processed again: their events come twice, under the
 * same event ids. For clusters without transactions, and for those who read without read_committed anyway.
 *
 * The order is the promise. With the offset first: 1. It is committed. 2. The process dies before the output is durable.
 * 3. The successor starts behind the record, whose event nobody ever writes.
 */

import { strict as assert } from 'node:assert'
import type { OutputBatch } from '../enrichment/output-batch.ts'
import type { GroupGeneration } from '../kafka/group-member.ts'
import type { IdempotentProducer } from '../kafka/idempotent-producer.ts'
import { encodeLedgerBatches, LEDGER_PARTITION, LEDGER_TOPIC } from '../ledger/ledger-topic.ts'
import { type Delivery, DeliveryFailure, NotInGroup, type OutputOrigin, type Progress } from './delivery.ts'
import { PendingOutputs } from './pending-outputs.ts'

/** Commits offsets in the name of a membership, and of no later one. */
type CommitOffsets = (offsets: Progress['offsets'], generation: GroupGeneration) => Promise<void>

export class AtLeastOnceDelivery implements Delivery {
  readonly #producer: IdempotentProducer
  readonly #commitOffsets: CommitOffsets
  readonly #wallMs: () => number
  readonly #pending = new PendingOutputs()
  #isCommitting = false

  /** @param producer not shared with anybody; stopped with this. */
  constructor(
    producer: IdempotentProducer,
    options: { readonly commitOffsets: CommitOffsets; readonly wallMs: () => number },
  ) {
    this.#producer = producer
    this.#commitOffsets = options.commitOffsets
    this.#wallMs = options.wallMs
  }

  open(): Promise<void> {
    return Promise.resolve()
  }

  get failure(): DeliveryFailure | null {
    return this.#pending.failure
  }

  get bytesHeld(): number {
    return this.#pending.bytesHeld
  }

  waitForRoom(): Promise<void> {
    return this.#pending.waitForRoom()
  }

  add(output: OutputBatch, origin: OutputOrigin): void {
    this.#pending.hold(output)
    if (this.#pending.failure !== null) {
      this.#pending.drop(output)
      return
    }
    const { topic, partition, batch } = output
    this.#pending.follow(output, origin, this.#producer.send(topic, partition, batch))
  }

  async commit({ offsets, ledger, generation }: Progress): Promise<void> {
    assert(!this.#isCommitting, 'one commit at a time')
    this.#isCommitting = true
    // Taken before anything is awaited: the progress is that of the outputs added until now.
    const sends = this.#pending.takeSends()
    try {
      await Promise.all([this.#sendLedger(ledger), ...sends])
      if (this.#pending.failure !== null) throw this.#pending.failure
      if (generation === null) throw new NotInGroup()
      await this.#commitOffsets(offsets, generation)
    } catch (error) {
      this.#pending.fail(error instanceof DeliveryFailure ? error : new DeliveryFailure(error))
      throw this.#pending.failure
    } finally {
      this.#isCommitting = false
    }
  }

  async abandon(): Promise<void> {
    await Promise.all(this.#pending.takeSends())
    this.#pending.clear()
  }

  stop(): Promise<void> {
    return this.#producer.stop()
  }

  async #sendLedger(records: Progress['ledger']): Promise<void> {
    const batches = encodeLedgerBatches(records, this.#wallMs())
    await Promise.all(batches.map((batch) => this.#producer.send(LEDGER_TOPIC, LEDGER_PARTITION, batch)))
  }
}
