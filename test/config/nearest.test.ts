import { expect, test } from 'vitest'
import { nearestName } from '../../src/config/nearest.ts'

test('the nearest name is found through a missing, extra, wrong or swapped letter, whatever the case', () => {
  const names = ['retentionMs', 'retentionBytes', 'host', 'port']

  expect(nearestName('retentonMs', names)).toBe('retentionMs')
  expect(nearestName('retention_bytes', names)).toBe('retentionBytes')
  expect(nearestName('prot', names)).toBe('port')
  expect(nearestName('HOST', names)).toBe('host')
})

test('a name that is like none gets no suggestion', () => {
  expect(nearestName('quota', ['host', 'port'])).toBeNull()
  expect(nearestName('x'.repeat(10_000), ['host'])).toBeNull()
})
