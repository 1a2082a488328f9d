import { expect, test } from 'vitest'
import { TransactionSurvey } from '../../src/storage/transaction-survey.ts'

const PRODUCER = 7

test('a batch belongs to the transaction that it lies in', () => {
  const survey = new TransactionSurvey()
  survey.data(PRODUCER, 10)
  survey.data(PRODUCER, 12)
  survey.marker(PRODUCER, { isCommit: false, offset: 15 })
  survey.data(PRODUCER, 20)
  survey.marker(PRODUCER, { isCommit: true, offset: 21 })
  survey.data(PRODUCER, 30)
  survey.damage(40)
  survey.data(PRODUCER, 50)
  survey.marker(PRODUCER, { isCommit: false, offset: 51 })
  survey.data(PRODUCER, 60)
  const outcomes = [9, 10, 12, 14, 20, 30, 39, 45, 50, 55, 60, 61].map((offset) =>
    survey.outcomeOf(PRODUCER, offset),
  )
  expect(outcomes).toEqual([
    'committed',
    'aborted',
    'aborted',
    'aborted',
    'committed',
    'undecided',
    'undecided',
    'committed',
    'aborted',
    'committed',
    'undecided',
    'undecided',
  ])
  expect(survey.outcomeOf(PRODUCER + 1, 10)).toBe('committed')
})

test('many aborted transactions of one producer cost each of its batches next to nothing', () => {
  const survey = new TransactionSurvey()
  const count = 200_000
  for (let index = 0; index < count; index += 1) {
    survey.data(PRODUCER, index * 2)
    survey.marker(PRODUCER, { isCommit: false, offset: index * 2 + 1 })
  }
  let abortedCount = 0
  for (let index = 0; index < count; index += 1) {
    if (survey.outcomeOf(PRODUCER, index * 2) === 'aborted') abortedCount += 1
  }
  expect(abortedCount).toBe(count)
}, 3_000)

test('any number of transactions may be open at once', () => {
  const survey = new TransactionSurvey()
  for (let producerId = 0; producerId < 300_000; producerId += 1)
    survey.data(producerId, 1_000_000 - producerId)
  expect(survey.firstUndecidedOffset).toBe(700_001)
  expect(new TransactionSurvey().firstUndecidedOffset).toBe(Number.POSITIVE_INFINITY)
})
