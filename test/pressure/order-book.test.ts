import { expect, test } from 'vitest'
import { NO_CONTROL } from '../../src/pressure/control-record.ts'
import { OrderBook } from '../../src/pressure/order-book.ts'

const OWN = { reason: 'mine', sinceMs: 1, by: 'SIGUSR2' }
const ALL = { reason: 'all', sinceMs: 2, by: 'ops@a' }

function open() {
  let changeCount = 0
  const book = new OrderBook({
    onChange: () => {
      changeCount += 1
    },
  })
  return { book, changeCount: () => changeCount }
}

test('an emergency holds while this process or the cluster says so; the end of one is not the end of the other', () => {
  const { book, changeCount } = open()

  book.follow({ ...NO_CONTROL, emergency: ALL })
  const fromCluster = book.current().emergency
  book.orderEmergency(OWN)
  const both = book.current().emergency
  book.orderEmergency(null)
  const left = book.current().emergency
  book.follow(NO_CONTROL)

  expect(fromCluster).toEqual({ ...ALL, scope: 'cluster' })
  expect(both).toEqual({ ...OWN, scope: 'process' })
  expect(left).toEqual({ ...ALL, scope: 'cluster' })
  expect(book.current().emergency).toBeNull()
  expect(changeCount()).toBe(4)
})
