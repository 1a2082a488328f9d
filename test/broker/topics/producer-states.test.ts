import { describe, expect, it } from 'vitest'
import { advanceSequence, ProducerStates } from '../../../src/broker/topics/producer-states.ts'
import { KAFKA_ERROR } from '../../../src/wire/error-codes.ts'

const SEQUENCE_MAX = 2 ** 31 - 1

function statesWith(...batches: { sequence: number; count?: number; epoch?: number; offset?: number }[]) {
  const states = new ProducerStates({ producersMax: 10 })
  batches.forEach(({ sequence, count = 1, epoch = 0, offset }, index) => {
    const claim = { producerId: 7, producerEpoch: epoch, baseSequence: sequence, recordCount: count }
    states.record(claim, { baseOffset: offset ?? index * 100, logAppendTimeMs: -1, nowMs: 1000 + index })
  })
  return states
}

const claim = (baseSequence: number, recordCount = 1, producerEpoch = 0, producerId = 7) => ({
  producerId,
  producerEpoch,
  baseSequence,
  recordCount,
})

describe('ProducerStates', () => {
  it('takes any first sequence from a producer it does not know (K24)', () => {
    expect(statesWith().check(claim(12345))).toEqual({ kind: 'append' })
  })

  it('takes the next sequence, and refuses a gap (K24)', () => {
    const states = statesWith({ sequence: 0, count: 10 })

    expect(states.check(claim(10))).toEqual({ kind: 'append' })
    expect(states.check(claim(11))).toMatchObject({ errorCode: KAFKA_ERROR.OUT_OF_ORDER_SEQUENCE_NUMBER })
  })

  it('knows each of the last five batches again, with its first offset (K24)', () => {
    const states = statesWith(...[0, 1, 2, 3, 4, 5].map((sequence) => ({ sequence })))

    for (const sequence of [1, 2, 3, 4, 5]) {
      expect(states.check(claim(sequence))).toMatchObject({
        kind: 'duplicate',
        batch: { baseOffset: sequence * 100 },
      })
    }
  })

  it('calls an older batch a duplicate sequence (K24)', () => {
    const states = statesWith(...[0, 1, 2, 3, 4, 5].map((sequence) => ({ sequence })))

    expect(states.check(claim(0))).toMatchObject({ errorCode: KAFKA_ERROR.DUPLICATE_SEQUENCE_NUMBER })
  })

  it('does not take a batch for a known one when only its start is the same', () => {
    const states = statesWith({ sequence: 0, count: 10 })

    expect(states.check(claim(0, 11))).toMatchObject({ errorCode: KAFKA_ERROR.OUT_OF_ORDER_SEQUENCE_NUMBER })
  })

  it('refuses a stale epoch, and starts a new one at sequence 0 (K24)', () => {
    const states = statesWith({ sequence: 5, epoch: 3 })

    expect(states.check(claim(6, 1, 2))).toMatchObject({ errorCode: KAFKA_ERROR.INVALID_PRODUCER_EPOCH })
    expect(states.check(claim(6, 1, 4))).toMatchObject({
      errorCode: KAFKA_ERROR.OUT_OF_ORDER_SEQUENCE_NUMBER,
    })
    expect(states.check(claim(0, 1, 4))).toEqual({ kind: 'append' })
  })

  it('forgets the batches of an old epoch when the new one begins', () => {
    const states = statesWith({ sequence: 0, epoch: 0 }, { sequence: 0, epoch: 1, offset: 900 })

    expect(states.check(claim(0, 1, 1))).toMatchObject({ kind: 'duplicate', batch: { baseOffset: 900 } })
  })

  it('wraps from 2^31 - 1 to 0, within a batch and between batches (K24)', () => {
    const atEnd = statesWith({ sequence: SEQUENCE_MAX })
    const across = statesWith({ sequence: SEQUENCE_MAX - 1, count: 5 })

    expect(atEnd.check(claim(0))).toEqual({ kind: 'append' })
    expect(across.check(claim(3))).toEqual({ kind: 'append' })
    expect(across.check(claim(SEQUENCE_MAX - 1, 5))).toMatchObject({ kind: 'duplicate' })
    expect(across.check(claim(4))).toMatchObject({ errorCode: KAFKA_ERROR.OUT_OF_ORDER_SEQUENCE_NUMBER })
    expect(atEnd.check(claim(SEQUENCE_MAX - 3))).toMatchObject({
      errorCode: KAFKA_ERROR.DUPLICATE_SEQUENCE_NUMBER,
    })
    expect(advanceSequence(SEQUENCE_MAX, 1)).toBe(0)
  })

  it('forgets the producer that has been silent longest when there are too many', () => {
    const states = new ProducerStates({ producersMax: 2 })
    for (const [index, producerId] of [1, 2, 1, 3].entries()) {
      states.record(claim(index, 1, 0, producerId), { baseOffset: index, logAppendTimeMs: -1, nowMs: index })
    }

    expect([...states.entries()].map(([producerId]) => producerId)).toEqual([1, 3])
  })

  it('forgets producers that have been silent for too long', () => {
    const states = statesWith({ sequence: 0 })

    states.expire(1000)
    const kept = states.size
    states.expire(1001)

    expect([kept, states.size]).toEqual([1, 0])
  })
})
