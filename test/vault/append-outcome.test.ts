import { describe, expect, test } from 'vitest'
import { GopherShipError } from '../../src/core/errors.ts'
import {
  KafkaDisconnectedError,
  KafkaQueueFullError,
  KafkaResponseError,
  KafkaTimeoutError,
  KafkaUnsupportedError,
} from '../../src/kafka/kafka-errors.ts'
import { outcomeOf } from '../../src/vault/append-outcome.ts'

describe('the outcome of a failed append', () => {
  test.each([
    ['a deadline with the batch on its way', new KafkaTimeoutError('', { possiblyPersisted: true })],
    ['a deadline of which nothing more is known', new KafkaTimeoutError('', {})],
    ['a connection that broke', new KafkaDisconnectedError('', {})],
    [
      'a refusal after an attempt that may have been written',
      new KafkaResponseError('Produce', 19, { possiblyPersisted: true }),
    ],
    ['an answer of UNKNOWN_SERVER_ERROR', new KafkaResponseError('Produce', -1)],
    ['an answer of REQUEST_TIMED_OUT', new KafkaResponseError('Produce', 7)],
    ['an answer of NOT_ENOUGH_REPLICAS_AFTER_APPEND', new KafkaResponseError('Produce', 20)],
    ['a bug', new TypeError('x is not a function')],
    ['something that is no error', 'text'],
  ])('is unknown for %s', (_, error) => {
    expect(outcomeOf(error)).toEqual({ kind: 'unknown' })
  })

  test.each([
    ['a deadline before anything was sent', new KafkaTimeoutError('', { possiblyPersisted: false })],
    ['a full queue', new KafkaQueueFullError({})],
    ['a stop', new GopherShipError('GS_STOPPED', '', { facts: { possiblyPersisted: false } })],
    ['an upstream too old', new KafkaUnsupportedError('', {})],
    ['an answer that asks to try again', new KafkaResponseError('Produce', 19)],
  ])('is "not stored" for %s', (_, error) => {
    expect(outcomeOf(error)).toEqual({ kind: 'not-stored' })
  })

  test('is a refusal for an answer that will never change', () => {
    expect(outcomeOf(new KafkaResponseError('Produce', 10))).toEqual({
      kind: 'refused',
      kafkaErrorCode: 10,
      kafkaErrorName: 'MESSAGE_TOO_LARGE',
    })
  })
})
