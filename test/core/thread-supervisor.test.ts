import { afterEach, expect, test } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import { systemClock } from '../../src/core/clock.ts'
import { seededRandom } from '../../src/core/random.ts'
import { ThreadHandle } from '../../src/core/thread-link.ts'
import { ThreadSupervisor } from '../../src/core/thread-supervisor.ts'
import { eventually } from '../support/eventually.ts'
import type { ExampleOptions } from './example-thread.ts'

const supervisors: ThreadSupervisor[] = []
afterEach(async () => {
  for (const supervisor of supervisors.splice(0)) await supervisor.stop().catch(() => {})
})

/** Real threads, but the supervisor's own delays are recorded and shortened. */
function supervise(
  optionsOf: (run: number, ready: unknown) => ExampleOptions,
  more: { restartsWanted?: number } = {},
) {
  const delays: number[] = []
  let restarts = 0
  const { promise: restarted, resolve } = Promise.withResolvers<void>()
  const clock: Clock = {
    ...systemClock,
    after: (delayMs, run) => systemClock.after(Math.min(delayMs, 5), run),
  }
  let run = 0
  const supervisor = new ThreadSupervisor({
    name: 'example',
    clock,
    random: seededRandom(1),
    open: ({ ready, onCrash }) =>
      new ThreadHandle({
        name: 'example',
        module: new URL('./example-thread.ts', import.meta.url),
        options: optionsOf(run++, ready),
        clock: systemClock,
        onCrash,
      }),
    onCrash: ({ restartDelayMs }) => delays.push(restartDelayMs),
    onRestarted: () => {
      restarts += 1
      if (restarts === (more.restartsWanted ?? 1)) resolve()
    },
  })
  supervisors.push(supervisor)
  return { supervisor, delays, restarted, runCount: () => run }
}

test('a crashed thread is started again, counted, and told what it announced before', async () => {
  const seen: unknown[] = []
  const { supervisor, restarted } = supervise((run, ready) => {
    seen.push(ready)
    return run === 0 ? { crashAfterMs: 20, announce: 'port 7' } : { announce: 'port 7' }
  })
  await supervisor.start()

  await restarted

  expect(supervisor.status()).toMatchObject({ state: 'running', restartCount: 1 })
  expect(supervisor.status().lastFailure).toContain('the role gave up')
  expect(seen).toEqual([null, { announced: 'port 7' }])
})

test('the delay doubles while a thread keeps crashing, including when it cannot even start', async () => {
  const { supervisor, delays, restarted } = supervise(
    (run) =>
      run === 0 || run === 2 ? { crashAfterMs: 5 } : run === 1 || run === 3 ? { failStart: true } : {},
    { restartsWanted: 2 },
  )
  await supervisor.start()

  await restarted

  expect(delays).toHaveLength(4)
  delays.forEach((delayMs, index) => {
    expect(delayMs).toBeGreaterThanOrEqual(100 * 2 ** index)
    expect(delayMs).toBeLessThanOrEqual(125 * 2 ** index)
  })
})

test('a first start that fails goes to the caller and is not tried again', async () => {
  const { supervisor, runCount } = supervise(() => ({ failStart: true }))

  await expect(supervisor.start()).rejects.toMatchObject({ code: 'GS_LISTEN_FAILED' })

  expect(runCount()).toBe(1)
})

test('stop ends a running thread, and after it nothing is started', async () => {
  const { supervisor, runCount } = supervise(() => ({}))
  await supervisor.start()

  await supervisor.stop()

  expect(supervisor.status()).toMatchObject({ state: 'stopped', restartCount: 0 })
  expect(supervisor.handle).toBeNull()
  expect(runCount()).toBe(1)
})

test('stop does not wait for a restart that takes for ever', async () => {
  const { supervisor } = supervise((run) => (run === 0 ? { crashAfterMs: 5 } : { hangStart: true }))
  await supervisor.start()
  await eventually('the restart has begun', () => supervisor.status().state === 'starting')

  const askedMs = performance.now()
  await supervisor.stop()

  expect(performance.now() - askedMs).toBeLessThan(5_000)
  expect(supervisor.status().state).toBe('stopped')
})
