import { expect, it } from 'vitest'
import { Fifo } from '../../src/listener/fifo.ts'

it('a Fifo gives back what went in, in order, over any mix of pushes and shifts', () => {
  const fifo = new Fifo<number>()
  const out: (number | undefined)[] = []
  let next = 0
  for (let round = 0; round < 300; round += 1) {
    for (let count = 0; count < 20; count += 1) fifo.push(next++)
    for (let count = 0; count < 15; count += 1) out.push(fifo.shift())
  }
  const left = fifo.length

  const rest = fifo.drain()

  expect(left).toBe(1500)
  expect([...out, ...rest]).toEqual(Array.from({ length: 6000 }, (_, index) => index))
  expect(fifo.shift()).toBeUndefined()
})
