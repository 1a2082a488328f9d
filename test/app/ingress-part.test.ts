import { expect, test } from 'vitest'
import { streamCountMaxOf } from '../../src/app/ingress-part.ts'
import { loadConfig } from '../../src/config/load-config.ts'

const limitWith = (...flags: [string, string][]) =>
  streamCountMaxOf(loadConfig({ flags: new Map(flags) }).config)

test('the embedded broker has room for the topics of every stream that producers may make', () => {
  expect(limitWith()).toBe(325)
  expect(limitWith(['vault.partitionCount', '100'])).toBe(13)
  expect(limitWith(['vault.partitionCount', '1024'])).toBe(1)
  expect(limitWith(['streams.streamCountMax', '20'])).toBe(20)
})

test('of a cluster only the configuration knows the room', () => {
  expect(limitWith(['kafka.bootstrapServers', 'k1:9092'])).toBe(1_000)
})
