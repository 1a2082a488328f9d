import { describe, expect, test } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { KafkaCluster } from '../../src/kafka/cluster.ts'
import { clusterDurability, DurabilityProbe, embeddedDurability } from '../../src/vault/durability.ts'
import { eventually } from '../support/eventually.ts'
import { manualClock } from '../support/manual-clock.ts'

describe('the durability class', () => {
  test.each([
    [1, 1, 'process-safe'],
    [1, 3, 'process-safe'],
    [2, 1, 'process-safe'],
    [2, 2, 'replicated'],
    [2, 3, 'replicated'],
    [3, 3, 'replicated'],
  ])('of min.insync.replicas %d and %d replicas is %s', (minInSyncReplicas, replicaCount, expected) => {
    const found = clusterDurability({ topic: 't', minInSyncReplicas, replicaCount })
    expect(found.class).toBe(expected)
    expect(found.reason).toContain(`${replicaCount} replicas and min.insync.replicas ${minInSyncReplicas}`)
  })

  test('of the embedded broker is fsynced only when every acknowledgement is', () => {
    expect(embeddedDurability('every-ack').class).toBe('fsynced')
    expect(embeddedDurability('interval').class).toBe('process-safe')
    expect(embeddedDurability('never').class).toBe('process-safe')
  })
})

/** A cluster that answers DescribeConfigs with these values by topic, and has these replica counts. */
function clusterOf(
  topics: Record<string, { readonly min: string; readonly replicas: number } | Error>,
  clock: Clock = systemClock,
): KafkaCluster {
  return {
    clock,
    snapshot: {
      topics: new Map(
        Object.keys(topics).map((name) => [
          name,
          {
            get partitions() {
              const topic = topics[name]
              if (topic === undefined || topic instanceof Error) return []
              return [{ replicaIds: Array.from({ length: topic.replicas }) }]
            },
          },
        ]),
      ),
    },
    async request(_api: unknown, value: { resources: { resourceName: string }[] }) {
      const name = value.resources[0]?.resourceName ?? ''
      const topic = topics[name]
      if (topic === undefined || topic instanceof Error) throw topic ?? new Error('unknown')
      return {
        results: [{ errorCode: 0, configs: [{ name: 'min.insync.replicas', value: topic.min }] }],
      }
    },
  } as unknown as KafkaCluster
}

describe('the probe', () => {
  test('states the weakest class of all open topics, and why', async () => {
    const probe = new DurabilityProbe(
      clusterOf({ strong: { min: '2', replicas: 3 }, weak: { min: '1', replicas: 3 } }),
      { kind: 'cluster' },
    )
    expect(probe.weakest()).toBeNull()
    probe.watch('strong')
    expect(probe.weakest()?.class).toBe('process-safe') // until it is known
    await eventually('the settings are known', () => probe.weakest()?.class === 'replicated')
    probe.watch('weak')
    await eventually('the weak topic is known', () => probe.weakest()?.reason.includes('weak has 3 replicas'))
    expect(probe.weakest()?.class).toBe('process-safe')
  })

  test('calls a topic whose settings cannot be read process-safe', async () => {
    const probe = new DurabilityProbe(clusterOf({ hidden: new Error('not allowed') }), { kind: 'cluster' })
    probe.watch('hidden')
    await eventually('it is known', () => probe.weakest()?.reason.includes('not allowed'))
    expect(probe.weakest()?.class).toBe('process-safe')
  })

  test('looks again: soon when the settings could not be read, now and then when they could', async () => {
    const clock = manualClock()
    const topics: Parameters<typeof clusterOf>[0] = { web: new Error('away') }
    const probe = new DurabilityProbe(clusterOf(topics, clock), { kind: 'cluster' })
    probe.watch('web')
    await eventually('it could not be read', () => probe.weakest()?.reason.includes('away'))
    topics['web'] = { min: '2', replicas: 3 }
    clock.advance(30_000)
    await eventually('it can be read', () => probe.weakest()?.class === 'replicated')
    topics['web'] = { min: '1', replicas: 3 }
    clock.advance(30_000)
    expect(probe.weakest()?.class).toBe('replicated')
    clock.advance(300_000)
    await eventually('what was changed is seen', () => probe.weakest()?.class === 'process-safe')
  })

  test('calls a topic that has no partitions any more process-safe', async () => {
    const cluster = clusterOf({ gone: { min: '2', replicas: 3 } })
    ;(cluster.snapshot.topics as Map<string, unknown>).delete('gone')
    const probe = new DurabilityProbe(cluster, { kind: 'cluster' })
    probe.watch('gone')
    await eventually('it is known', () => probe.weakest()?.reason.includes('0 replicas'))
    expect(probe.weakest()?.class).toBe('process-safe')
  })
})
