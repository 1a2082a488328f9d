/**
 * Exactly once: outputs, ledger records and consumer offsets in one Kafka transaction (KIP-98), fenced by the transactional id
 * and by the group's generation (KIP-447). A crash at any instant leaves all of it or nothing to readers with read_committed,
 * and the successor begins where the last committed transaction ended.
 *
 * Outputs go out while work goes on; those made while a transaction is being committed wait for the next one.
 */

import { strict as assert } from 'node:assert'
import type { OutputBatch } from '../enrichment/output-batch.ts'
import type { TransactionalProducer } from '../kafka/transactional-producer.ts'
import { encodeLedgerBatches, LEDGER_PARTITION, LEDGER_TOPIC } from '../ledger/ledger-topic.ts'
import { type Delivery, DeliveryFailure, NotInGroup, type OutputOrigin, type Progress } from './delivery.ts'
import { PendingOutputs } from './pending-outputs.ts'

interface HeldOutput {
  readonly output: OutputBatch
  readonly origin: OutputOrigin
}

export class TransactionalDelivery implements Delivery {
  readonly #producer: TransactionalProducer
  readonly #wallMs: () => number
  readonly #pending = new PendingOutputs()
  /** Made while a transaction was being committed: they belong to the next. */
  #held: HeldOutput[] = []
  #isCommitting = false

  /** @param producer not shared with anybody; stopped with this. */
  constructor(producer: TransactionalProducer, { wallMs }: { readonly wallMs: () => number }) {
    this.#producer = producer
    this.#wallMs = wallMs
  }

  async open(signal: AbortSignal): Promise<void> {
    await this.#producer.init(signal)
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
    if (this.#isCommitting) this.#held.push({ output, origin })
    else this.#send({ output, origin })
  }

  commit(progress: Progress): Promise<void> {
    assert(!this.#isCommitting, 'one commit at a time')
    this.#isCommitting = true
    // Taken before anything is awaited: the progress is that of the outputs added until now.
    return this.#commitNow(progress, this.#pending.takeSends())
  }

  async #commitNow({ offsets, ledger, generation }: Progress, sends: Promise<void>[]): Promise<void> {
    try {
      this.#begin()
      const booked = this.#sendLedger(ledger)
      await Promise.all([booked, ...sends])
      if (this.#pending.failure !== null) throw this.#pending.failure
      if (generation === null) throw new NotInGroup()
      await this.#producer.sendOffsets(generation, offsets)
      await this.#producer.commit()
    } catch (error) {
      this.#pending.fail(this.#asFailure(error))
      throw this.#pending.failure
    }
    this.#isCommitting = false
    for (const held of this.#held.splice(0)) this.#send(held)
  }

  async abandon(): Promise<void> {
    for (const { output } of this.#held.splice(0)) this.#pending.drop(output)
    const sends = this.#pending.takeSends()
    try {
      await this.#producer.abort()
    } catch (error) {
      throw this.#asFailure(error)
    }
    await Promise.all(sends)
    this.#pending.clear()
    this.#isCommitting = false
  }

  async stop(): Promise<void> {
    for (const { output } of this.#held.splice(0)) this.#pending.drop(output)
    await this.#producer.stop()
  }

  #begin(): void {
    if (this.#producer.state === 'ready') this.#producer.begin()
  }

  #send({ output, origin }: HeldOutput): void {
    try {
      if (this.#pending.failure === null) this.#begin()
    } catch (error) {
      this.#pending.fail(this.#asFailure(error))
    }
    if (this.#pending.failure !== null) {
      this.#pending.drop(output)
      return
    }
    const { topic, partition, batch } = output
    this.#pending.follow(output, origin, this.#producer.send(topic, partition, batch))
  }

  async #sendLedger(records: Progress['ledger']): Promise<void> {
    const batches = encodeLedgerBatches(records, this.#wallMs())
    await Promise.all(batches.map((batch) => this.#producer.send(LEDGER_TOPIC, LEDGER_PARTITION, batch)))
  }

  /** Once the producer is fenced, nothing goes on under its name. */
  #asFailure(error: unknown): DeliveryFailure {
    if (error instanceof DeliveryFailure) return error
    return new DeliveryFailure(error, { isFatal: this.#producer.state === 'fenced' })
  }
}
