/** The raw client against a three-node Apache Kafka that loses its leaders. In the long run only: three JVMs on one machine. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KafkaCluster } from '../../src/kafka/cluster.ts'
import { Fetcher } from '../../src/kafka/fetcher.ts'
import { GroupMember } from '../../src/kafka/group-member.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { batchOf, openCluster, readValues } from '../kafka/support.ts'
import type { ApacheKafka } from '../support/apache-kafka.ts'
import { canRunApacheKafka, startApacheKafka } from '../support/apache-kafka.ts'
import { eventually } from '../support/eventually.ts'

const ROUNDS = 3
const BATCHES_PER_ROUND = 400

describe.runIf(canRunApacheKafka())('a cluster that loses its leaders', () => {
  let kafka: ApacheKafka
  let cluster: KafkaCluster

  beforeAll(async () => {
    kafka = await startApacheKafka({ nodeCount: 3, properties: { 'broker.session.timeout.ms': '3000' } })
    cluster = openCluster(kafka.bootstrapServers, { connectMsMax: 2_000, requestMsMax: 5_000 })
    await cluster.connect()
  }, 300_000)

  afterAll(async () => {
    await cluster?.close()
    await kafka?.stop()
  })

  test('stores every idempotent batch once and in order, and its readers miss nothing', async () => {
    const topic = 'orders'
    await cluster.ensureTopic(topic, {
      partitionCount: 3,
      replicationFactor: 3,
      configs: { 'min.insync.replicas': '2' },
    })
    const producer = new Producer(cluster, { idempotent: true, timeoutMs: 60_000 })
    const sent: string[][] = [[], [], []]
    for (let round = 0; round < ROUNDS; round++) {
      const acknowledged: Promise<unknown>[] = []
      for (let index = 0; index < BATCHES_PER_ROUND; index++) {
        const partition = index % 3
        const value = `${round}.${index}`
        sent[partition]?.push(value)
        acknowledged.push(producer.send(topic, partition, batchOf(value)))
        if (index % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
        if (index === BATCHES_PER_ROUND / 2) {
          const leaderId = cluster.leaderOf(topic, 0) ?? 1
          void kafka.killNode(leaderId - 1).then(() => kafka.restartNode(leaderId - 1))
        }
      }
      await Promise.all(acknowledged)
      await eventually(
        'all three replicas in sync',
        async () => {
          const { topics } = await cluster.refreshMetadata([topic])
          return topics.get(topic)?.partitions.every(({ inSyncReplicaIds }) => inSyncReplicaIds.length === 3)
        },
        { withinMs: 60_000, everyMs: 200 },
      )
    }
    expect(producer.retryCount).toBeGreaterThan(0)
    const fetcher = new Fetcher(cluster)
    fetcher.assign([0, 1, 2].map((partition) => ({ topic, partition, offset: 0 })))
    const read = await readValues(fetcher, ROUNDS * BATCHES_PER_ROUND, 30_000)
    for (const partition of [0, 1, 2]) expect(read.get(`${topic}-${partition}`)).toEqual(sent[partition])
    expect(await fetcher.poll({ timeoutMs: 500 })).toEqual([])
    await Promise.all([producer.stop(), fetcher.stop()])
  }, 240_000)

  test('a group member survives the loss of its coordinator with its commits', async () => {
    await cluster.ensureTopic('grouped', { partitionCount: 2, replicationFactor: 3 })
    const member = new GroupMember(cluster, { groupId: 'surviving', topics: ['grouped'] })
    let assigned = 0
    member.start({
      onAssigned: (partitions) => {
        assigned = partitions.length
      },
      onRevoked: () => {},
      onLost: () => {},
    })
    await eventually('assigned', () => assigned === 2, { withinMs: 30_000 })
    await member.commit([{ topic: 'grouped', partition: 0, offset: 5 }])
    for (const index of [0, 1, 2]) {
      await kafka.killNode(index)
      const commit = () =>
        member.commit([{ topic: 'grouped', partition: 0, offset: 6 + index }]).then(() => true)
      await eventually(`a commit without node ${index}`, commit, { withinMs: 40_000, everyMs: 200 })
      await kafka.restartNode(index)
      const [committed] = await member.committed([{ topic: 'grouped', partition: 0 }])
      expect(committed?.offset).toBe(6 + index)
    }
    await member.stop()
  }, 240_000)
})
