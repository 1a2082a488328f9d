import { describe, expect, it } from 'vitest'
import { isTagOf, logTagOf, NO_TAG } from '../../src/storage/log-tag.ts'

const SECRET = Buffer.from('00112233445566778899aabbccddeeff', 'hex')

describe('logTagOf', () => {
  it('is the same for a partition whenever it is asked for: what is on disk depends on it', () => {
    expect([logTagOf(SECRET, 0), logTagOf(SECRET, 1)]).toEqual([453_773_255, 1_319_806_646])
  })

  it('is a positive 32-bit number, another one for each partition and each secret', () => {
    const tags = Array.from({ length: 1_000 }, (_, partition) => logTagOf(SECRET, partition))
    expect(tags.every((tag) => tag > 0 && tag <= 0x7fffffff)).toBe(true)
    expect(new Set(tags).size).toBe(1_000)
    expect(logTagOf(Buffer.alloc(16), 0)).not.toBe(logTagOf(SECRET, 0))
  })
})

describe('isTagOf', () => {
  const tag = logTagOf(SECRET, 0)

  it('takes the tag, with up to four damaged bits', () => {
    expect([tag, tag ^ 1, tag ^ 0x80000000, tag ^ 0b1111].map((found) => isTagOf(tag, found))).toEqual([
      true,
      true,
      true,
      true,
    ])
  })

  it('refuses others: what readers get, what producers send, five bits damaged', () => {
    expect([0, -1, tag ^ 0b11111].map((found) => isTagOf(tag, found))).toEqual([false, false, false])
  })

  it('takes anything for a log without a tag', () => {
    expect([0, -1, tag].map((found) => isTagOf(NO_TAG, found))).toEqual([true, true, true])
  })
})
