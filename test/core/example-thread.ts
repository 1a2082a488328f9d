/** A thread for the thread tests: it does what its options say, including everything a role must not do. */

import { GopherShipError } from '../../src/core/errors.ts'
import { serveThread } from '../../src/core/thread-link.ts'

export interface ExampleOptions {
  readonly failStart?: boolean
  readonly hangStart?: boolean
  readonly crashAfterMs?: number
  readonly leakTimer?: boolean
  readonly hangStop?: boolean
  readonly blockStatusMs?: number
  readonly announce?: unknown
}

serveThread<ExampleOptions>({
  async start(options) {
    if (options.failStart) {
      throw new GopherShipError('GS_LISTEN_FAILED', 'port 9 is taken', {
        retriable: true,
        facts: { port: 9 },
      })
    }
    if (options.leakTimer || options.hangStart) setInterval(() => {}, 1_000)
    if (options.hangStart) await new Promise(() => {})
    if (options.crashAfterMs !== undefined) {
      setTimeout(() => {
        throw new Error('the role gave up')
      }, options.crashAfterMs)
    }
    let statusCount = 0
    return {
      ready: { announced: options.announce ?? null },
      metrics: { getMetricsAsJSON: async () => [{ name: 'example_total' }] },
      status() {
        const untilMs = performance.now() + (options.blockStatusMs ?? 0)
        while (performance.now() < untilMs);
        statusCount += 1
        return { statusCount }
      },
      call(name, argument) {
        if (name === 'echo') return { echoed: argument }
        throw new GopherShipError('GS_CONFIG_INVALID', `no call named ${name}`)
      },
      stop: () => (options.hangStop ? new Promise(() => {}) : Promise.resolve()),
    }
  },
})
