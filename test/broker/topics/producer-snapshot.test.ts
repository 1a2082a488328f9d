import { describe, expect, it } from 'vitest'
import { PartitionTransactions } from '../../../src/broker/topics/partition-transactions.ts'
import {
  decodeProducerSnapshot,
  encodeProducerSnapshot,
} from '../../../src/broker/topics/producer-snapshot.ts'
import { ProducerStates } from '../../../src/broker/topics/producer-states.ts'

const emptyMemory = () => ({
  producers: new ProducerStates({ producersMax: 10 }),
  transactions: new PartitionTransactions(),
})

const batchOf = (producerId: number, baseSequence: number, recordCount = 1, producerEpoch = 3) => ({
  producerId,
  producerEpoch,
  baseSequence,
  recordCount,
})

const PRODUCER = '0000000000000004' + '0003' + '0000000000000006' + '01'
const BATCH = '00000001' + '00000002' + '0000000000000005' + 'ffffffffffffffff'

describe('a producer snapshot', () => {
  it('gives back producers, open transactions and aborted ones', () => {
    const memory = emptyMemory()
    for (let sequence = 0; sequence < 7; sequence += 1) {
      memory.producers.record(batchOf(1, sequence), {
        baseOffset: sequence,
        logAppendTimeMs: -1,
        nowMs: 1000,
      })
    }
    memory.producers.record(batchOf(2 ** 52, 2 ** 31 - 1, 3, 32767), {
      baseOffset: 2 ** 50,
      logAppendTimeMs: 5,
      nowMs: 9999,
    })
    memory.transactions.begin({ producerId: 7, producerEpoch: 1, firstOffset: 10 })
    memory.transactions.begin({ producerId: 2 ** 52, producerEpoch: 32767, firstOffset: 2 ** 50 })
    memory.transactions.begin({ producerId: 8, producerEpoch: 1, firstOffset: 2 ** 50 + 1 })
    memory.transactions.end({ producerId: 7, isCommit: false, offset: 2 ** 50 + 2 })
    const restored = emptyMemory()

    const offset = decodeProducerSnapshot(encodeProducerSnapshot(2 ** 51, memory), restored)

    expect(offset).toBe(2 ** 51)
    expect([...restored.producers.entries()]).toEqual([...memory.producers.entries()])
    expect([...restored.transactions.open]).toEqual([...memory.transactions.open])
    expect(restored.transactions.aborted).toEqual([
      { producerId: 7, firstOffset: 10, lastOffset: 2 ** 50 + 2 },
    ])
  })

  it('has the drawn bytes', () => {
    const memory = emptyMemory()
    memory.producers.record(batchOf(4, 1, 2), { baseOffset: 5, logAppendTimeMs: -1, nowMs: 6 })
    memory.transactions.begin({ producerId: 8, producerEpoch: 9, firstOffset: 10 })
    memory.transactions.end({ producerId: 8, isCommit: false, offset: 11 })
    memory.transactions.begin({ producerId: 12, producerEpoch: 13, firstOffset: 14 })

    expect(encodeProducerSnapshot(7, memory).toString('hex')).toBe(
      '0002' +
        '0000000000000007' +
        `00000001${PRODUCER}${BATCH}` +
        // open: producer id, epoch, first offset
        `00000001${'000000000000000c'}${'000d'}${'000000000000000e'}` +
        // aborted: producer id, first offset, offset of the marker
        `00000001${'0000000000000008'}${'000000000000000a'}${'000000000000000b'}`,
    )
  })

  it('of the release before transactions is read', () => {
    const memory = emptyMemory()

    const offset = decodeProducerSnapshot(
      Buffer.from(`0001${'0000000000000007'}00000001${PRODUCER}${BATCH}`, 'hex'),
      memory,
    )

    expect(offset).toBe(7)
    expect([...memory.producers.entries()].map(([producerId]) => producerId)).toEqual([4])
    expect(memory.transactions.openCount).toBe(0)
  })

  it('of a later version is refused', () => {
    const bytes = encodeProducerSnapshot(7, emptyMemory())
    bytes.writeInt16BE(3, 0)

    expect(() => decodeProducerSnapshot(bytes, emptyMemory())).toThrow(
      expect.objectContaining({ code: 'GS_STORAGE_VERSION' }),
    )
  })
})
