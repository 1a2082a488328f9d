/** The broker in a thread of its own, as the app runs it: what crosses the link besides Kafka. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { BrokerThreadOptions, BrokerThreadReady } from '../../src/broker/broker-thread.ts'
import { HOLD_RETENTION_CALL } from '../../src/broker/topics/retention-hold.ts'
import { systemClock } from '../../src/core/clock.ts'
import { ThreadHandle } from '../../src/core/thread-link.ts'
import { eventually } from '../support/eventually.ts'
import { batchOf, connectTo, createTopic, fetchOne, produce, stopBrokers } from './broker-client.ts'

const cleanUps: (() => Promise<void>)[] = []
afterEach(async () => {
  await stopBrokers()
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

test('retention waits for the first hold of a held topic, and stops where it is told to', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'gophership-broker-thread-'))
  cleanUps.push(() => rm(directory, { recursive: true, force: true }))
  const options: BrokerThreadOptions = {
    directory,
    host: '127.0.0.1',
    port: 0,
    broker: { retentionCheckMs: 20, heldTopicsPattern: 'raw-vault(\\..*)?' },
    logger: { level: 'silent', format: 'json', isColored: false, thread: 'broker' },
  }
  const handle = new ThreadHandle({
    name: 'broker',
    module: new URL('../../src/broker/broker-thread.ts', import.meta.url),
    options,
    clock: systemClock,
    onCrash: () => {},
  })
  const { port } = (await handle.start()) as BrokerThreadReady
  cleanUps.unshift(() => handle.stop())
  const connection = await connectTo({ port })
  const configs = { 'segment.ms': '1', 'retention.bytes': '1' }
  for (const topic of ['raw-vault.web', 'other']) await createTopic(connection, topic, { configs })
  for (let index = 0; index < 8; index += 1) {
    for (const topic of ['raw-vault.web', 'other'])
      await produce(connection, batchOf([`${index}`]), { topic })
    await systemClock.sleep(2)
  }
  const startOf = async (topic: string) => (await fetchOne(connection, { topic, offset: 7 })).logStartOffset
  await eventually('what is not held goes', async () => (await startOf('other')) >= 5)
  expect(await startOf('raw-vault.web')).toBe(0)

  const hold = (offset: number) =>
    handle.call(HOLD_RETENTION_CALL, [{ topic: 'raw-vault.web', partition: 0, offset }])
  expect(await hold(3)).toBe(1)

  await eventually('retention goes on up to the hold', async () => (await startOf('raw-vault.web')) > 0)
  expect(await startOf('raw-vault.web')).toBeLessThanOrEqual(3)
  await expect(handle.call('nonsense', null)).rejects.toThrow('no call named nonsense')
  await expect(hold(-1)).rejects.toThrow('whole number')
})
