import { describe, expect, it } from 'vitest'
import {
  applyControl,
  type ControlChange,
  decodeControl,
  encodeControl,
  NO_CONTROL,
  TIER_ORDER_MS_MAX,
} from '../../src/pressure/control-record.ts'

const NOW_MS = 1_700_000_000_000
const AT = { timestampMs: NOW_MS }
const EMERGENCY: ControlChange = {
  name: 'emergency',
  to: { reason: 'sink is down', sinceMs: NOW_MS, by: 'ops@a' },
}
const TIER: ControlChange = {
  name: 'tier',
  to: { tier: 'partial', untilMs: NOW_MS + 60_000, reason: 'load test', by: 'ops@a' },
}
const COMPACTOR: ControlChange = {
  name: 'compactor',
  to: { isPaused: true, now: { requestedMs: NOW_MS }, by: 'ops@a' },
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value))

describe('an order', () => {
  it.each([EMERGENCY, TIER, COMPACTOR, { ...TIER, to: null } as ControlChange])(
    'comes back from its record as it was: %j',
    (change) => {
      const { key, value } = encodeControl(change)

      expect(decodeControl(key, value, AT)).toEqual(change)
    },
  )

  it('stands until another takes its place or ends it, and leaves the others alone', () => {
    const both = [EMERGENCY, TIER].reduce(applyControl, NO_CONTROL)

    expect(both).toMatchObject({ emergency: EMERGENCY.to, override: TIER.to })
    expect(applyControl(both, { name: 'emergency', to: null })).toMatchObject({
      emergency: null,
      override: TIER.to,
    })
    expect(applyControl(both, { name: 'compactor', to: null }).compactor).toEqual(NO_CONTROL.compactor)
  })

  const emergency = { version: 1, reason: 'x', sinceMs: NOW_MS, by: 'y' }
  const tier = { version: 1, tier: 'full', untilMs: NOW_MS, reason: 'x', by: 'y' }
  it.each<[why: string, key: string | null, value: Buffer, expected: RegExp]>([
    ['no key', null, json(emergency), /a key of emergency, tier, compactor/],
    ['a name that is none', 'panic', json(emergency), /a key of .*found "panic"/],
    ['a name in capitals', 'EMERGENCY', json(emergency), /a key of/],
    ['no JSON', 'emergency', Buffer.from('on'), /JSON/],
    ['a list', 'emergency', json([emergency]), /a JSON object/],
    ['null', 'emergency', json(null), /a JSON object/],
    ['another version', 'emergency', json({ ...emergency, version: 2 }), /version 1, found 2/],
    ['no version', 'emergency', json({ reason: 'x', sinceMs: 1, by: 'y' }), /version 1/],
    ['a field too many', 'emergency', json({ ...emergency, isAdmin: true }), /no fields but .*isAdmin/],
    ['no reason', 'emergency', json({ ...emergency, reason: undefined }), /reason to be one line/],
    ['an empty reason', 'emergency', json({ ...emergency, reason: '  ' }), /reason to be one line/],
    [
      'a reason that paints',
      'emergency',
      json({ ...emergency, reason: '\u001b[2J' }),
      /reason to be one line/,
    ],
    ['a long reason', 'emergency', json({ ...emergency, reason: 'x'.repeat(201) }), /1 to 200 characters/],
    ['a time in text', 'emergency', json({ ...emergency, sinceMs: '1' }), /sinceMs to be milliseconds/],
    ['a negative time', 'emergency', json({ ...emergency, sinceMs: -1 }), /sinceMs to be milliseconds/],
    [
      'a tier that is none',
      'tier',
      json({ ...tier, tier: 'turbo' }),
      /tier to be one of full, partial, pass/,
    ],
    ['no end', 'tier', json({ ...tier, untilMs: undefined }), /untilMs to be milliseconds/],
    [
      'an end too far away',
      'tier',
      json({ ...tier, untilMs: NOW_MS + TIER_ORDER_MS_MAX + 1 }),
      /ends within 7 days/,
    ],
    [
      'text for a switch',
      'compactor',
      json({ version: 1, isPaused: 'no', now: null, by: 'y' }),
      /true or false/,
    ],
    [
      'now without a time',
      'compactor',
      json({ version: 1, isPaused: false, now: {}, by: 'y' }),
      /requestedMs/,
    ],
    ['too many bytes', 'emergency', Buffer.alloc(5_000, ' '), /at most 4096 bytes/],
  ])('is refused with %s', (_, key, value, expected) => {
    expect(() => decodeControl(key === null ? null : Buffer.from(key), value, AT)).toThrow(
      expect.objectContaining({ code: 'GS_CONTROL_INVALID', message: expect.stringMatching(expected) }),
    )
  })
})
