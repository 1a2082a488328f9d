import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { isFailure } from '../../src/core/errors.ts'
import { ThreadHandle, WarmThread } from '../../src/core/thread-link.ts'
import { eventually } from '../support/eventually.ts'
import type { ExampleOptions } from './example-thread.ts'

const opened: ThreadHandle[] = []
afterEach(async () => {
  for (const handle of opened.splice(0)) await handle.terminate()
})

function open(
  options: ExampleOptions,
  more: { startMsMax?: number; answerMsMax?: number; warm?: WarmThread } = {},
) {
  const { promise: crashed, resolve: onCrash } = Promise.withResolvers<Error>()
  const handle = new ThreadHandle({
    name: 'example',
    module: new URL('./example-thread.ts', import.meta.url),
    options,
    clock: systemClock,
    onCrash,
    ...more,
  })
  opened.push(handle)
  return { handle, crashed }
}

test('a thread tells what its role announced, answers questions, and ends when stopped', async () => {
  const { handle } = open({ announce: { port: 1234 } })

  const ready = await handle.start()
  const first = await handle.status()
  const second = await handle.status()
  const metrics = await handle.metricsJson()
  await handle.stop()

  expect(ready).toEqual({ announced: { port: 1234 } })
  expect([first, second]).toEqual([{ statusCount: 1 }, { statusCount: 2 }])
  expect(metrics).toEqual([{ name: 'example_total' }])
  await expect(handle.status()).rejects.toMatchObject({ code: 'GS_THREAD_FAILED' })
})

test('a role answers calls by name, and its refusal arrives with its code', async () => {
  const { handle } = open({})
  await handle.start()

  expect(await handle.call('echo', [{ offset: 5 }])).toEqual({ echoed: [{ offset: 5 }] })
  await expect(handle.call('nonsense', null)).rejects.toMatchObject({ code: 'GS_CONFIG_INVALID' })
  await handle.stop()
  await expect(handle.call('echo', null)).rejects.toThrow('asked for its echo but is not running')
})

test('a failure to start arrives with its code, text and facts', async () => {
  const { handle } = open({ failStart: true })

  const error = await handle.start().catch((caught: unknown) => caught)

  expect(isFailure(error, 'GS_LISTEN_FAILED')).toBe(true)
  expect(error).toMatchObject({ message: 'port 9 is taken', retriable: true, facts: { port: 9 } })
})

test('a role that never becomes ready is ended after its time', async () => {
  const { handle } = open({ hangStart: true }, { startMsMax: 300 })

  await expect(handle.start()).rejects.toThrow('did not become ready within 300 ms')
})

test('an uncaught error in a running role is reported once, and fails what was being asked', async () => {
  const { handle, crashed } = open({ crashAfterMs: 50, blockStatusMs: 0 })
  await handle.start()

  const failure = await crashed

  expect(failure).toMatchObject({ code: 'GS_THREAD_FAILED', facts: { thread: 'example' } })
  expect(failure.message).toContain('the role gave up')
  await expect(handle.metricsJson()).rejects.toMatchObject({ code: 'GS_THREAD_FAILED' })
})

test('a thread too busy to answer fails the question and not the thread', async () => {
  const { handle } = open({ blockStatusMs: 600 }, { answerMsMax: 100 })
  await handle.start()

  const first = await handle.status().catch((error: unknown) => error)

  expect(first).toMatchObject({ code: 'GS_THREAD_FAILED' })
  expect(String(first)).toContain('within 100 ms')
})

test('a role that forgets a timer cannot keep its thread alive after stop', async () => {
  const { handle } = open({ leakTimer: true })
  await handle.start()

  await handle.stop()

  await expect(handle.status()).rejects.toThrow('is not running')
})

test('a role that does not stop in time is ended by force, and stop says so', async () => {
  const { handle } = open({ hangStop: true })
  await handle.start()

  await expect(handle.stop({ stopMsMax: 200 })).rejects.toThrow('did not answer "stop" within 200 ms')
  await expect(handle.status()).rejects.toThrow('is not running')
})

test('a thread that has loaded its module already is used once, and starts its role only when told its options', async () => {
  const module = new URL('./example-thread.ts', import.meta.url)
  const warm = WarmThread.open({ name: 'example', module })
  const { handle } = open({ announce: { port: 5 } }, { warm })

  const ready = await handle.start()

  expect(ready).toEqual({ announced: { port: 5 } })
  expect(warm.take()).toBeNull()
  await handle.stop()
})

test('a thread that failed while it loaded is replaced, and the start tells why the next one fails', async () => {
  const module = new URL('./no-such-thread.ts', import.meta.url)
  const warm = WarmThread.open({ name: 'example', module })
  await eventually('the thread is gone', async () => warm.isGone)
  const handle = new ThreadHandle({
    name: 'example',
    module,
    options: {},
    clock: systemClock,
    onCrash: () => {},
    warm,
  })

  await expect(handle.start()).rejects.toThrow('no-such-thread')
})

test('a loaded thread that nobody took is ended', async () => {
  const warm = WarmThread.open({
    name: 'example',
    module: new URL('./example-thread.ts', import.meta.url),
  })

  await warm.discard()

  expect(warm.isGone).toBe(true)
  expect(warm.take()).toBeNull()
})
