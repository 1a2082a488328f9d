import kafkajs from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KafkaCluster } from '../../src/kafka/cluster.ts'
import { Fetcher } from '../../src/kafka/fetcher.ts'
import type { GroupMemberOptions } from '../../src/kafka/group-member.ts'
import { GroupMember } from '../../src/kafka/group-member.ts'
import { fetchCommittedOffsets } from '../../src/kafka/group-offsets.ts'
import { IdempotentProducer } from '../../src/kafka/idempotent-producer.ts'
import { listOffsets } from '../../src/kafka/offsets.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { batchOf, openCluster, readValues } from '../kafka/support.ts'
import type { ApacheKafka } from '../support/apache-kafka.ts'
import { canRunApacheKafka, startApacheKafka } from '../support/apache-kafka.ts'
import { CuttingProxy } from '../support/cutting-proxy.ts'
import { eventually } from '../support/eventually.ts'

const { AssignerProtocol, Kafka, logLevel } = kafkajs

describe.runIf(canRunApacheKafka())('the raw client against Apache Kafka', () => {
  let kafka: ApacheKafka
  let cluster: KafkaCluster
  let proxy: CuttingProxy

  beforeAll(async () => {
    proxy = await CuttingProxy.start()
    kafka = await startApacheKafka({ proxyPort: proxy.port })
    proxy.upstreamPort = kafka.proxiedPort
    cluster = openCluster(kafka.bootstrapServers)
    await cluster.connect()
  }, 300_000)

  afterAll(async () => {
    await cluster?.close()
    await proxy?.stop()
    await kafka?.stop()
  })

  test('a topic is created once, with its partitions and configuration, however many ask', async () => {
    const counts = await Promise.all(
      [1, 2, 3].map(() =>
        cluster.ensureTopic('created', { partitionCount: 3, configs: { 'retention.ms': '1000' } }),
      ),
    )
    expect(counts).toEqual([3, 3, 3])
    expect(await cluster.listTopics()).toContainEqual({ name: 'created', partitionCount: 3 })
  })

  test('batches come back as they were sent, in order, from every partition', async () => {
    await cluster.ensureTopic('round-trip', { partitionCount: 3 })
    const producer = new Producer(cluster)
    const sent = Array.from({ length: 90 }, (_, index) => `value ${index}`)
    const produced = await Promise.all(
      sent.map((value, index) => producer.send('round-trip', index % 3, batchOf(value))),
    )
    expect(produced.map(({ baseOffset }) => baseOffset)).toEqual(
      sent.map((_, index) => Math.floor(index / 3)),
    )
    const fetcher = new Fetcher(cluster)
    fetcher.assign([0, 1, 2].map((partition) => ({ topic: 'round-trip', partition, offset: 0 })))
    const read = await readValues(fetcher, sent.length)
    for (const partition of [0, 1, 2]) {
      expect(read.get(`round-trip-${partition}`)).toEqual(sent.filter((_, index) => index % 3 === partition))
    }
    await fetcher.stop()
    await producer.stop()
  })

  test('a fetch from the middle of a batch gives the batch and names the offset that was asked for', async () => {
    await cluster.ensureTopic('middle', { partitionCount: 1 })
    const producer = new Producer(cluster)
    await producer.send('middle', 0, batchOf('a', 'b', 'c', 'd'))
    const fetcher = new Fetcher(cluster)
    fetcher.assign([{ topic: 'middle', partition: 0, offset: 2 }])
    expect(await readValues(fetcher, 2)).toEqual(new Map([['middle-0', ['c', 'd']]]))
    expect(fetcher.position('middle', 0)).toBe(4)
    await fetcher.stop()
    await producer.stop()
  })

  test('offsets are found by position and by time', async () => {
    await cluster.ensureTopic('by-time', { partitionCount: 1 })
    const producer = new Producer(cluster)
    await producer.send('by-time', 0, batchOf('a', 'b'))
    const at = { topic: 'by-time', partition: 0 }
    const found = await listOffsets(cluster, [
      { ...at, at: 'earliest' },
      { ...at, at: 'latest' },
    ])
    expect(found.map(({ offset }) => offset)).toEqual([0, 2])
    const [byTime] = await listOffsets(cluster, [{ ...at, at: { timestampMs: 1_600_000_000_000 } }])
    expect(byTime).toMatchObject({ offset: 0, timestampMs: 1_700_000_000_000 })
    const [none] = await listOffsets(cluster, [{ ...at, at: { timestampMs: 1_800_000_000_000 } }])
    expect(none?.offset).toBe(-1)
    await producer.stop()
  })

  test('a batch that the broker refuses for good is rejected by name and is not in the log', async () => {
    await cluster.ensureTopic('refused', { partitionCount: 1, configs: { 'max.message.bytes': '1000' } })
    const producer = new Producer(cluster)
    await expect(producer.send('refused', 0, batchOf('x'.repeat(2_000)))).rejects.toMatchObject({
      code: 'GS_KAFKA_RESPONSE',
      kafkaErrorName: 'MESSAGE_TOO_LARGE',
      retriable: false,
      facts: { topic: 'refused', partition: 0, possiblyPersisted: false },
    })
    const [end] = await listOffsets(cluster, [{ topic: 'refused', partition: 0, at: 'latest' }])
    expect(end?.offset).toBe(0)
    await producer.stop()
  })

  test('a position past the end goes back to the earliest record, or fails by choice', async () => {
    await cluster.ensureTopic('out-of-range', { partitionCount: 1 })
    const producer = new Producer(cluster)
    await producer.send('out-of-range', 0, batchOf('first'))
    const lenient = new Fetcher(cluster, { onOffsetOutOfRange: 'earliest' })
    lenient.assign([{ topic: 'out-of-range', partition: 0, offset: 50 }])
    expect(await readValues(lenient, 1)).toEqual(new Map([['out-of-range-0', ['first']]]))
    const strict = new Fetcher(cluster, { onOffsetOutOfRange: 'error' })
    strict.assign([{ topic: 'out-of-range', partition: 0, offset: 50 }])
    await expect(strict.poll({ timeoutMs: 5_000 })).rejects.toMatchObject({
      kafkaErrorName: 'OFFSET_OUT_OF_RANGE',
    })
    await Promise.all([lenient.stop(), strict.stop(), producer.stop()])
  })

  test('an idempotent batch whose acknowledgement is lost is stored once', async () => {
    await cluster.ensureTopic('idempotent', { partitionCount: 1 })
    const cut = openCluster([proxy.address], { backoff: { initialMs: 10, maxMs: 50 } })
    await cut.connect()
    const producer = new IdempotentProducer(cut)
    const values = Array.from({ length: 60 }, (_, index) => String(index))
    await Promise.all(values.map((value) => producer.send('idempotent', 0, batchOf(value))))
    expect(proxy.cutCount).toBeGreaterThan(3)
    expect(producer.retryCount).toBeGreaterThan(0)
    const fetcher = new Fetcher(cluster)
    fetcher.assign([{ topic: 'idempotent', partition: 0, offset: 0 }])
    expect((await readValues(fetcher, values.length)).get('idempotent-0')).toEqual(values)
    expect(await fetcher.poll({ timeoutMs: 300 })).toEqual([])
    await Promise.all([fetcher.stop(), producer.stop()])
    await cut.close()
  })

  describe('a consumer group', () => {
    test('divides the partitions, and gives everything to the one who stays', async () => {
      await cluster.ensureTopic('shared', { partitionCount: 4 })
      const first = recordingMember(cluster, { groupId: 'dividing', topics: ['shared'] })
      await eventually('one member has all', () => first.partitions().length === 4)
      const second = recordingMember(cluster, { groupId: 'dividing', topics: ['shared'] })
      await eventually('two members have two each', () => {
        return first.partitions().length === 2 && second.partitions().length === 2
      })
      expect([...first.partitions(), ...second.partitions()].toSorted()).toEqual(
        [0, 1, 2, 3].map((partition) => `shared-${partition}`),
      )
      await second.member.stop()
      await eventually('the first has all again', () => first.partitions().length === 4, { withinMs: 3_000 })
      expect(second.calls.at(-1)).toBe('revoked')
      await first.member.stop()
    })

    test('reads a topic that appears and matches within about a second', async () => {
      const reader = recordingMember(cluster, {
        groupId: 'pattern',
        topics: (names) => names.filter((name) => name.startsWith('appearing.')),
      })
      await eventually('joined with nothing', () => reader.member.status().state === 'stable')
      const startedAt = performance.now()
      await cluster.ensureTopic('appearing.one', { partitionCount: 2 })
      await eventually('both partitions', () => reader.partitions().length === 2)
      expect(performance.now() - startedAt).toBeLessThan(2_000)
      await reader.member.stop()
    })

    test('keeps commits, and can be described by other tools', async () => {
      await cluster.ensureTopic('committed', { partitionCount: 2 })
      const reader = recordingMember(cluster, { groupId: 'committing', topics: ['committed'] })
      await eventually('assigned', () => reader.partitions().length === 2)
      await reader.member.commit([{ topic: 'committed', partition: 1, offset: 7, metadata: 'noted' }])
      expect(await fetchCommittedOffsets(cluster, 'committing', null)).toEqual([
        { topic: 'committed', partition: 1, offset: 7, metadata: 'noted' },
      ])
      expect((await reader.member.committed([{ topic: 'committed', partition: 0 }]))[0]?.offset).toBe(-1)
      const admin = new Kafka({ brokers: kafka.bootstrapServers, logLevel: logLevel.NOTHING }).admin()
      const { groups } = await admin.describeGroups(['committing'])
      await admin.disconnect()
      const described = groups[0]?.members[0]
      expect(groups[0]).toMatchObject({ state: 'Stable', protocolType: 'consumer', protocol: 'sticky' })
      expect(
        AssignerProtocol.MemberAssignment.decode(described?.memberAssignment as Buffer)?.assignment,
      ).toEqual({
        committed: [0, 1],
      })
      await reader.member.stop()
    })

    test('a static member that comes back has its partitions again, and the others do not notice', async () => {
      await cluster.ensureTopic('static', { partitionCount: 4 })
      const options = (groupInstanceId: string) => ({
        groupId: 'static',
        topics: ['static'],
        groupInstanceId,
      })
      const first = recordingMember(cluster, options('one'))
      const other = recordingMember(cluster, options('two'))
      await eventually('two each', () => first.partitions().length === 2 && other.partitions().length === 2)
      const had = first.partitions()
      const otherHeard = other.calls.length
      await first.member.stop()
      const again = recordingMember(cluster, options('one'))
      await eventually('assigned again', () => again.partitions().length > 0)
      expect(again.partitions()).toEqual(had)
      expect(other.calls).toHaveLength(otherHeard)
      await Promise.all([again.member.stop(), other.member.stop()])
    })

    test('refuses the commit of a member that was put out', async () => {
      await cluster.ensureTopic('fenced', { partitionCount: 1 })
      const topics = ['fenced']
      const zombie = recordingMember(cluster, { groupId: 'fencing', topics, groupInstanceId: 'one' })
      await eventually('assigned', () => zombie.partitions().length === 1)
      const successor = recordingMember(cluster, { groupId: 'fencing', topics, groupInstanceId: 'one' })
      await eventually('the successor is assigned', () => successor.partitions().length === 1)
      await expect(
        zombie.member.commit([{ topic: 'fenced', partition: 0, offset: 5 }]),
      ).rejects.toMatchObject({
        code: 'GS_KAFKA_RESPONSE',
      })
      await eventually('the zombie stops', () => zombie.member.status().state === 'failed')
      expect(zombie.calls.at(-1)).toBe('failed')
      expect(zombie.calls).toContain('lost')
      await Promise.all([zombie.member.stop(), successor.member.stop()])
    })
  })
})

interface RecordingMember {
  readonly member: GroupMember
  /** What was told, in order. */
  readonly calls: string[]
  /** What is assigned right now, as `topic-partition`. */
  partitions(): readonly string[]
}

function recordingMember(cluster: KafkaCluster, options: GroupMemberOptions): RecordingMember {
  const member = new GroupMember(cluster, { heartbeatIntervalMs: 100, topicsPollMs: 200, ...options })
  const calls: string[] = []
  let partitions: readonly string[] = []
  member.start({
    onAssigned(assigned) {
      calls.push('assigned')
      partitions = assigned.map(({ topic, partition }) => `${topic}-${partition}`)
    },
    onRevoked() {
      calls.push('revoked')
      partitions = []
    },
    onLost() {
      calls.push('lost')
      partitions = []
    },
    onFailed() {
      calls.push('failed')
    },
  })
  return { member, calls, partitions: () => partitions }
}
