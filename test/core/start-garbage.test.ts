import { expect, test } from 'vitest'
import { collectStartGarbageSoon } from '../../src/core/start-garbage.ts'
import { manualClock } from '../support/manual-clock.ts'

/** A turn of its own: until it ends, what was made in it is held. */
const madeAndDropped = async () => {
  const made = new WeakRef({ text: 'garbage' })
  await new Promise((resolve) => setImmediate(resolve))
  return made
}

test('what a start has dropped is collected three seconds after it', async () => {
  const clock = manualClock()
  const garbage = await madeAndDropped()

  collectStartGarbageSoon(clock)
  clock.advance(2_999)
  clock.runDue()
  const before = garbage.deref()?.text
  await new Promise((resolve) => setImmediate(resolve))
  clock.advance(1)
  clock.runDue()
  await new Promise((resolve) => setImmediate(resolve))

  expect([before, garbage.deref()]).toEqual(['garbage', undefined])
})
