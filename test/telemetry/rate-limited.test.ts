import { expect, test } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { RateLimitedDiagnostics } from '../../src/telemetry/rate-limited.ts'

function setup(kindsMax = 10) {
  let nowMs = 0
  const printed: object[] = []
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs }
  const diagnostics = {
    ...silentDiagnostics,
    warn: (fields: object, message: string) => printed.push({ ...fields, message }),
  }
  const limited = new RateLimitedDiagnostics(diagnostics, { clock, windowMs: 1_000, kindsMax })
  return { limited, printed, advance: (ms: number) => (nowMs += ms) }
}

test('one line of a kind is printed in a window, and the next says how many were left out', () => {
  const { limited, printed, advance } = setup()

  for (let i = 0; i < 5; i++) limited.warn('frame', { i }, 'bad frame')
  advance(1_000)
  limited.warn('frame', { i: 5 }, 'bad frame')

  expect(printed).toEqual([
    { i: 0, message: 'bad frame' },
    { i: 5, suppressedCount: 4, message: 'bad frame' },
  ])
})

test('kinds past the cap share one window, so memory and output stay bounded', () => {
  const { limited, printed } = setup(2)

  for (const kind of ['a', 'b', 'c', 'd', 'e']) limited.warn(kind, { kind }, 'odd')

  expect(printed.map((line) => 'kind' in line && line.kind)).toEqual(['a', 'b', 'c'])
})
