/**
 * A vault in memory that a test holds in its hand: appends wait for as long as it likes, or fail as it says. What is
 * stored is kept as decoded records, so that tests compare bytes and not calls.
 */

import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { asOffset, asPartitionId } from '../../src/core/brands.ts'
import { vaultTopicOf } from '../../src/vault/stream-topics.ts'
import type { Appended, Vault, VaultStream } from '../../src/vault/vault-writer.ts'

export interface StoredRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, string | null>>
}

export class FakeVault implements Vault {
  readonly records: StoredRecord[] = []
  readonly batches: Buffer[] = []
  partitionCount = 4
  /** Replaced by a test to hold or fail appends; called before anything is stored. */
  onAppend: (appendIndex: number) => Promise<void> | void = () => {}
  onOpen: () => Promise<void> | void = () => {}
  appendCount = 0
  readonly #streams = new Map<string, VaultStream>()
  readonly #ends = new Map<string, number>()

  known(stream: string): VaultStream | null {
    return this.#streams.get(stream) ?? null
  }

  async open(stream: string): Promise<VaultStream> {
    await this.onOpen()
    const opened = { stream, topic: vaultTopicOf(stream), partitionCount: this.partitionCount }
    this.#streams.set(stream, opened)
    return opened
  }

  async find(stream: string): Promise<VaultStream | null> {
    return this.known(stream)
  }

  append(stream: VaultStream, partition: number, batch: Buffer): Promise<Appended> {
    return this.#append(stream, partition, batch)
  }

  appendOwn(stream: VaultStream, partition: number, batch: Buffer): Promise<Appended> {
    return this.#append(stream, partition, batch)
  }

  async initProducerId(): ReturnType<Vault['initProducerId']> {
    return { throttleTimeMs: 0, errorCode: 0, producerId: 7, producerEpoch: 0 }
  }

  values(): string[] {
    return this.records.map(({ value }) => value?.toString('latin1') ?? 'null')
  }

  async #append({ topic }: VaultStream, partition: number, batch: Buffer): Promise<Appended> {
    this.appendCount += 1
    await this.onAppend(this.appendCount - 1)
    const end = `${topic}-${partition}`
    const baseOffset = this.#ends.get(end) ?? 0
    const cursor = new RecordCursor()
    const { recordCount } = cursor.open(batch)
    this.batches.push(Buffer.from(batch))
    while (cursor.next()) {
      this.records.push({
        topic,
        partition,
        offset: baseOffset + cursor.recordIndex,
        key: cursor.keyBytes()?.toString('latin1') ?? null,
        value: copyOf(cursor.valueBytes()),
        headers: Object.fromEntries(
          cursor.headers().map(({ key, value }) => [key, value?.toString('latin1') ?? null]),
        ),
      })
    }
    this.#ends.set(end, baseOffset + recordCount)
    return {
      topic,
      partition: asPartitionId(partition),
      baseOffset: asOffset(baseOffset),
      lastOffset: asOffset(baseOffset + recordCount - 1),
      recordCount,
      batchBytes: batch.length,
      logAppendTimeMs: -1,
      logStartOffset: asOffset(0),
    }
  }
}

const copyOf = (bytes: Buffer | null): Buffer | null => (bytes === null ? null : Buffer.from(bytes))
