import { describe, expect, it } from 'vitest'
import { DEFAULT_BROKER_OPTIONS } from '../../../src/broker/broker-options.ts'
import { CONFIG_KEYS, configProblem, effectiveConfig } from '../../../src/broker/topics/topic-config.ts'

describe('the settings of a topic', () => {
  it('fall back to values that are themselves allowed', () => {
    const problems = CONFIG_KEYS.map((key) => key.problem(key.fallback(DEFAULT_BROKER_OPTIONS)))

    expect(problems).toEqual(CONFIG_KEYS.map(() => null))
  })

  it('follow the broker where the topic says nothing', () => {
    const config = effectiveConfig(
      {},
      { ...DEFAULT_BROKER_OPTIONS, retentionMs: 5, segmentBytesMax: 7_000_000 },
    )

    expect(config).toMatchObject({
      batchBytesMax: 1_048_588,
      isCompacted: false,
      isLogAppendTime: false,
      log: { retentionMs: 5, segmentBytesMax: 7_000_000, sync: { policy: 'every-ack' } },
    })
  })

  it('keep everything when only compaction is asked for', () => {
    expect(effectiveConfig({ 'cleanup.policy': 'compact' }, DEFAULT_BROKER_OPTIONS)).toMatchObject({
      isCompacted: true,
      log: { retentionMs: -1, retentionBytes: -1 },
    })
    expect(
      effectiveConfig({ 'cleanup.policy': 'compact, delete', 'retention.ms': '9' }, DEFAULT_BROKER_OPTIONS),
    ).toMatchObject({
      isCompacted: true,
      log: { retentionMs: 9 },
    })
  })

  it.each([
    ['retention.ms', '-1'],
    ['retention.ms', '9223372036854775807'],
    ['segment.bytes', '1048576'],
    ['cleanup.policy', 'compact,delete'],
    ['message.timestamp.type', 'LogAppendTime'],
    ['flush.ms', 'anything: it has no effect'],
  ])('allow %s = %s', (name, value) => {
    expect(configProblem(name, value)).toBeNull()
  })

  it.each([
    ['retention.ms', '-2'],
    ['retention.ms', '1.5'],
    ['retention.ms', '1e3'],
    ['retention.ms', ''],
    ['retention.ms', ' 1'],
    ['segment.bytes', '100'],
    ['segment.bytes', '4294967296'],
    ['cleanup.policy', ''],
    ['cleanup.policy', 'shred'],
    ['__proto__', 'x'],
    ['constructor', 'x'],
  ])('refuse %s = %j, naming the setting', (name, value) => {
    expect(configProblem(name, value)).toContain(name)
  })
})
