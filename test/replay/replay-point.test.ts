import { describe, expect, it } from 'vitest'
import { recordFilter } from '../../src/replay/record-filter.ts'
import { parseRate, parseReplayPoint } from '../../src/replay/replay-point.ts'
import { checkTargetTopic } from '../../src/replay/target-topic.ts'
import { checkedUrl } from '../../src/replay/url-target.ts'
import { DEFAULT_STREAM_TOPICS } from '../../src/vault/stream-topics.ts'

const NOW_MS = Date.UTC(2026, 4, 1, 12)
const parse = (text: string) => parseReplayPoint('--from', text, NOW_MS)

describe('where a replay begins', () => {
  it.each([
    ['2026-05-01T10:00:00Z', Date.UTC(2026, 4, 1, 10)],
    ['2026-05-01t10:00:00.25z', Date.UTC(2026, 4, 1, 10, 0, 0, 250)],
    ['2026-05-01 12:00:00+02:00', Date.UTC(2026, 4, 1, 10)],
    ['2024-02-29T00:00:00-00:30', Date.UTC(2024, 1, 29, 0, 30)],
    ['1777629600000', 1_777_629_600_000],
    ['-90s', NOW_MS - 90_000],
    ['-2h', NOW_MS - 7_200_000],
    ['-1d', NOW_MS - 86_400_000],
    ['now', NOW_MS],
  ])('is the time %s', (text, timestampMs) => {
    expect(parse(text)).toEqual({ kind: 'time', timestampMs })
  })

  it.each([
    ['1200', 1_200],
    ['0', 0],
    ['offset:123456789012345', 123_456_789_012_345],
  ])('is the offset %s', (text, offset) => {
    expect(parse(text)).toEqual({ kind: 'offset', offset })
  })

  it.each([
    ['2026-02-30T10:00:00Z', 'no date or time that exists'],
    ['2026-13-01T10:00:00Z', 'no date or time that exists'],
    ['2026-05-01T25:00:00Z', 'no date or time that exists'],
    ['2026-05-01T10:00:00', 'does not say its time zone'],
    ['2026-05-01', 'does not say its time zone'],
    ['1969-12-31T23:59:59Z', 'before 1970'],
    ['2h', 'RFC 3339'],
    ['-2x', 'like -90s'],
    ['--2h', 'like -90s'],
    ['-0s', 'like -90s'],
    ['yesterday', 'RFC 3339'],
    ['', 'RFC 3339'],
    ['99999999999999999999', 'too large'],
    ['offset:x', 'RFC 3339'],
  ])('is refused with the right forms: "%s"', (text, says) => {
    expect(() => parse(text)).toThrow(says)
    expect(() => parse(text)).toThrow('expected --from to be 2026-05-01T10:00:00Z')
  })
})

describe('the rate', () => {
  it.each([
    ['5000', 5_000],
    ['1/s', 1],
  ])('is %s', (text, rate) => {
    expect(parseRate(text)).toBe(rate)
  })

  it.each(['0', '-1', '1.5', 'fast', '', '1e3', '99999999999'])(
    'is refused with the right form: "%s"',
    (text) => {
      expect(() => parseRate(text)).toThrow('records a second, from 1 to')
    },
  )
})

describe('a pattern', () => {
  it.each(['(', '[z-a]', '', '/x/g', `${'x'.repeat(2_000)}`])(
    'is refused with the right form: "%s"',
    (match) => {
      expect(() => recordFilter({ key: null, match })).toThrow('expected --match to be a regular expression')
    },
  )

  it('is none when nothing was asked for, so that batches stay whole', () => {
    expect(recordFilter({ key: null, match: null })).toBe(null)
  })
})

describe('a URL', () => {
  it.each([
    'ftp://example.org/x',
    'example.org',
    'file:///etc/passwd',
    'https://user:secret@example.org/',
    '',
  ])('is refused with the right form: "%s"', (url) => {
    expect(() => checkedUrl(url)).toThrow('such as https://example.org')
  })
})

describe('a target topic', () => {
  const check = (
    target: string,
    isLiveMeant = false,
    source = 'raw-vault.web',
    vault = DEFAULT_STREAM_TOPICS.vault,
  ) => checkTargetTopic({ target, source, templates: { ...DEFAULT_STREAM_TOPICS, vault }, isLiveMeant })

  it('may be any that nobody reads', () => {
    expect(() => check('replay.web')).not.toThrow()
  })

  it('may never be the source, whatever it is called', () => {
    for (const isLiveMeant of [false, true]) {
      expect(() => check('raw-vault.web', isLiveMeant)).toThrow('which is the source itself')
      expect(() => check('raw-vault', isLiveMeant, 'raw-vault')).toThrow('which is the source itself')
      expect(() => check('vault', isLiveMeant, 'vault', 'vault')).toThrow('which is the source itself')
    }
  })

  it.each(['raw-vault.other', 'raw-vault', 'enriched.web', 'passthrough.web', 'dead-letter'])(
    'may be %s only when that is said to be meant',
    (target) => {
      expect(() => check(target)).toThrow('--into-live')
      expect(() => check(target, true)).not.toThrow()
    },
  )

  it.each(['gophership.debt', '__consumer_offsets'])('may never be %s', (target) => {
    expect(() => check(target, true)).toThrow('hold books')
  })

  it.each(['a b', '', '..', 'x'.repeat(300)])('has to be a name that Kafka takes: "%s"', (target) => {
    expect(() => check(target)).toThrow('expected --to-topic to be a topic name')
  })
})
