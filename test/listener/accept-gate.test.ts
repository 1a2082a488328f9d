import { describe, expect, it } from 'vitest'
import { AcceptGate } from '../../src/listener/accept-gate.ts'
import { ManualClock } from '../storage/support.ts'

const LIMITS = { connectionsMax: 3, connectionsPerAddressMax: 2, acceptsPerSecondMax: 10 }

describe('AcceptGate', () => {
  it('counts per address and in all, and takes new ones after a release', () => {
    const gate = new AcceptGate(new ManualClock(), LIMITS)
    gate.admit('a')
    gate.admit('a')

    const overAddress = gate.admit('a')
    gate.admit('b')
    const overAll = gate.admit('c')
    gate.release('a')

    expect(overAddress).toEqual({ accepted: false, reason: 'connections-per-address-max' })
    expect(overAll).toEqual({ accepted: false, reason: 'connections-max' })
    expect(gate.admit('a')).toMatchObject({ accepted: true })
  })

  it('lets one second of connections in at once and spreads the rest', () => {
    const clock = new ManualClock()
    const gate = new AcceptGate(clock, {
      connectionsMax: 100,
      connectionsPerAddressMax: 100,
      acceptsPerSecondMax: 10,
    })

    const delays = Array.from({ length: 12 }, () => {
      const decision = gate.admit('a')
      return decision.accepted ? decision.delayMs : -1
    })

    expect(delays).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200])
  })

  it('forgets the past rate after a quiet second', () => {
    const clock = new ManualClock()
    const gate = new AcceptGate(clock, {
      connectionsMax: 100,
      connectionsPerAddressMax: 100,
      acceptsPerSecondMax: 10,
    })
    for (let count = 0; count < 20; count += 1) gate.admit('a')

    clock.advance(10_000)

    expect(gate.admit('a')).toEqual({ accepted: true, delayMs: 0 })
  })
})
