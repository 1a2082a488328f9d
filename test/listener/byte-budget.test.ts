import { describe, expect, it } from 'vitest'
import { ByteBudget } from '../../src/listener/byte-budget.ts'

describe('ByteBudget', () => {
  it('grants in the order of asking, as bytes come back', async () => {
    const budget = new ByteBudget({ bytesMax: 10_000 })
    const granted: string[] = []
    budget.reserve(8_000)
    void Promise.resolve(budget.reserve(6_000)).then(() => granted.push('first'))
    void Promise.resolve(budget.reserve(1_000)).then(() => granted.push('second'))
    await Promise.resolve()
    const before = [...granted]

    budget.release(8_000)
    await new Promise((resolve) => setImmediate(resolve))

    expect({ before, granted, bytes: budget.bytes }).toEqual({
      before: [],
      granted: ['first', 'second'],
      bytes: 7_000,
    })
  })

  it('lets small requests pass when it is full', () => {
    const budget = new ByteBudget({ bytesMax: 10_000 })
    budget.reserve(10_000)

    expect(budget.reserve(512)).toBe(true)
  })

  it('lets a request larger than itself in when nothing else is under way', () => {
    const budget = new ByteBudget({ bytesMax: 10_000 })

    expect(budget.reserve(1_000_000)).toBe(true)
  })
})
