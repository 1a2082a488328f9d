import { describe, expect, test } from 'vitest'
import type { KafkaCluster } from '../../src/kafka/cluster.ts'
import { clusterDurability, DurabilityProbe, embeddedDurability } from '../../src/vault/durability.ts'
import { eventually } from '../support/eventually.ts'

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
): KafkaCluster {
  return {
    snapshot: {
      topics: new Map(
        Object.entries(topics).map(([name, topic]) => [
          name,
          {
            partitions:
              topic instanceof Error ? [] : [{ replicaIds: Array.from({ length: topic.replicas }) }],
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
})
