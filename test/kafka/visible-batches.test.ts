import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { encodeControlBatch } from '../../src/batch/control-batch.ts'
import { lastOffsetAt, patchBaseOffset } from '../../src/batch/record-batch.ts'
import type { AbortedTransaction } from '../../src/kafka/visible-batches.ts'
import { visibleBatches } from '../../src/kafka/visible-batches.ts'
import { checkProperty } from '../support/seeded-property.ts'
import { valuesOf } from './support.ts'

interface StoredBatch {
  readonly bytes: Buffer
  readonly firstOffset: number
  readonly lastOffset: number
  readonly values: readonly string[]
  /** Settled by the marker of its transaction; a batch without transaction is visible from the start. */
  fate: 'open' | 'visible' | 'aborted' | 'marker'
}

interface EndedTransaction extends AbortedTransaction {
  readonly lastOffset: number
}

/** A partition that knows of each batch what became of it, by looking the transaction up when it ends. */
class PartitionModel {
  readonly batches: StoredBatch[] = []
  readonly aborted: EndedTransaction[] = []
  readonly #open = new Map<number, StoredBatch[]>()
  #endOffset = 0

  send(producerId: number, recordCount: number): void {
    const encoder = new BatchEncoder()
    encoder.start({ producerId, producerEpoch: 0, baseSequence: 0, isTransactional: producerId >= 0 })
    const values = Array.from({ length: recordCount }, (_, index) => `v${this.#endOffset + index}`)
    for (const value of values) encoder.append(1_700_000_000_000, null, Buffer.from(value))
    const batch = this.#append(Buffer.from(encoder.finish()), values, producerId >= 0 ? 'open' : 'visible')
    if (producerId >= 0) this.#open.set(producerId, [...(this.#open.get(producerId) ?? []), batch])
  }

  end(producerId: number, type: 'commit' | 'abort'): void {
    const own = this.#open.get(producerId)
    if (own === undefined) return
    this.#open.delete(producerId)
    for (const batch of own) batch.fate = type === 'commit' ? 'visible' : 'aborted'
    const marker = { type, producerId, producerEpoch: 0, coordinatorEpoch: 0, timestampMs: 1_700_000_000_000 }
    const { lastOffset } = this.#append(encodeControlBatch(marker), [], 'marker')
    const firstOffset = own[0]?.firstOffset ?? 0
    if (type === 'abort') this.aborted.push({ producerId, firstOffset, lastOffset })
  }

  get stableBatches(): StoredBatch[] {
    const firstOpen = this.batches.findIndex(({ fate }) => fate === 'open')
    return firstOpen === -1 ? this.batches : this.batches.slice(0, firstOpen)
  }

  #append(bytes: Buffer, values: readonly string[], fate: StoredBatch['fate']): StoredBatch {
    const firstOffset = this.#endOffset
    patchBaseOffset(bytes, 0, firstOffset)
    const lastOffset = lastOffsetAt(bytes, 0)
    const batch = { bytes, firstOffset, lastOffset, values, fate }
    this.batches.push(batch)
    this.#endOffset = lastOffset + 1
    return batch
  }
}

const bytesOf = (batches: readonly StoredBatch[]): Buffer => Buffer.concat(batches.map(({ bytes }) => bytes))

test('whatever was sent, committed, aborted and fetched from wherever, exactly the committed records are left', () => {
  const producerId = fc.integer({ min: 0, max: 2 })
  const type = fc.constantFrom('commit' as const, 'abort' as const)
  const count = fc.integer({ min: 1, max: 3 })
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ send: producerId, count }) },
    { weight: 1, arbitrary: fc.record({ send: fc.constant(-1), count }) },
    { weight: 3, arbitrary: fc.record({ end: producerId, type }) },
  )
  const property = fc.property(
    fc.array(step, { maxLength: 40 }),
    fc.nat(),
    fc.nat(),
    fc.boolean(),
    // How the transactions that are still open at the end of the steps end; null: not at all, which holds back what follows.
    fc.array(fc.option(type), { minLength: 3, maxLength: 3 }),
    (steps, startDraw, countDraw, isListReversed, endings) => {
      const model = new PartitionModel()
      for (const one of steps) {
        if ('send' in one) model.send(one.send, one.count)
        else model.end(one.end, one.type)
      }
      for (const [index, ending] of endings.entries()) if (ending !== null) model.end(index, ending)
      const stable = model.stableBatches
      if (stable.length === 0) return
      // An answer begins with the batch that holds the fetch offset, and ends where the bytes ran out.
      const startIndex = startDraw % stable.length
      const fetched = stable.slice(startIndex, startIndex + 1 + (countDraw % stable.length))
      const fetchOffset = fetched[0]?.lastOffset ?? 0
      const upperBound = (fetched.at(-1)?.lastOffset ?? 0) + 1
      const listed = model.aborted
        .filter((ended) => ended.lastOffset >= fetchOffset && ended.firstOffset < upperBound)
        .toSorted((a, b) => (isListReversed ? b.firstOffset - a.firstOffset : a.firstOffset - b.firstOffset))
      const expected = fetched.filter(({ fate }) => fate === 'visible')
      const expectedBytes = bytesOf(expected)
      const all = bytesOf(fetched)
      const visible = visibleBatches(all, listed)
      expect(visible.equals(expectedBytes)).toBe(true)
      expect(valuesOf({ records: visible, fetchOffset: 0 as never })).toEqual(
        expected.flatMap(({ values }) => values),
      )
    },
  )
  checkProperty('test/kafka/visible-batches.test.ts', 3_000, property)
})

test('an answer with nothing to leave out is handed on as it is', () => {
  const model = new PartitionModel()
  for (let count = 0; count < 3; count++) model.send(-1, 2)
  model.send(1, 2)
  const all = bytesOf(model.batches)
  expect(visibleBatches(all, [{ producerId: 9, firstOffset: 0 }])).toBe(all)
})

test('an answer of which nothing is left holds on to no memory', () => {
  const model = new PartitionModel()
  model.send(1, 2)
  model.end(1, 'abort')
  const visible = visibleBatches(bytesOf(model.batches), model.aborted)
  expect(visible.length).toBe(0)
  expect(visible.buffer.byteLength).toBeLessThanOrEqual(Buffer.poolSize)
})

test('a control batch that cannot be read is an error, not data', () => {
  const model = new PartitionModel()
  model.send(1, 1)
  model.end(1, 'abort')
  const all = bytesOf(model.batches)
  all.writeInt16BE(-1, all.length - 12)
  // The key's version stands twelve bytes before the end: key 4, value length 1, value 6, header count 1.
  expect(() => visibleBatches(all, model.aborted)).toThrow(
    expect.objectContaining({ code: 'GS_BATCH_INVALID' }),
  )
})

test('a producer that aborts twice in a row is left out both times', () => {
  const model = new PartitionModel()
  model.send(1, 1)
  model.end(1, 'abort')
  model.send(1, 1)
  model.end(1, 'abort')
  expect(visibleBatches(bytesOf(model.batches), model.aborted)).toHaveLength(0)
})
