import { afterEach, expect, test } from 'vitest'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import { Producer } from '../../src/kafka/producer.ts'
import type { ControlChange } from '../../src/pressure/control-record.ts'
import { NO_CONTROL } from '../../src/pressure/control-record.ts'
import { CONTROL_TOPIC, ControlTopic } from '../../src/pressure/control-topic.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { describeConfigsApi } from '../../src/wire/32-describe-configs.ts'
import { startTestBroker, type TestBroker } from '../support/broker.ts'
import { eventually } from '../support/eventually.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function connect(broker: TestBroker): Promise<KafkaCluster> {
  const cluster = new KafkaCluster({
    bootstrapServers: [broker.address],
    clientId: 'test',
    clock: systemClock,
    random: systemRandom,
    diagnostics: silentDiagnostics,
    options: { backoff: { initialMs: 5, maxMs: 50 } },
  })
  await cluster.connect()
  cleanups.push(() => cluster.close())
  return cluster
}

/** An instance that follows the topic, with what it said. */
async function follow(broker: TestBroker) {
  const said: { fields: Record<string, unknown>; message: string }[] = []
  let refusedCount = 0
  const topic = await ControlTopic.open(await connect(broker), {
    diagnostics: {
      ...silentDiagnostics,
      error: (fields, message) => void said.push({ fields: { ...fields }, message }),
    },
    onRefused: () => {
      refusedCount += 1
    },
  })
  cleanups.push(() => topic.stop())
  return { topic, said, refusedCount: () => refusedCount }
}

async function startBroker(): Promise<TestBroker> {
  const broker = await startTestBroker()
  cleanups.push(() => broker.stop())
  return broker
}

/** Of Kafka's resource types. */
const TOPIC_RESOURCE = 2
const ON: ControlChange = { name: 'emergency', to: { reason: 'sink is down', sinceMs: 1, by: 'ops@a' } }
const OFF: ControlChange = { name: 'emergency', to: null }

test('an order reaches every instance that follows, within a second, and so does its end', async () => {
  const broker = await startBroker()
  const [first, second] = [await follow(broker), await follow(broker)]

  const sentMs = performance.now()
  await first.topic.write(ON)
  await eventually('the second has it', () => second.topic.current().emergency !== null, { everyMs: 2 })
  const tookMs = performance.now() - sentMs
  await second.topic.write(OFF)
  await eventually('the first has the end', () => first.topic.current().emergency === null, { everyMs: 2 })

  expect(tookMs).toBeLessThan(1_000)
})

test('who opens the topic knows what stands before anything else happens', async () => {
  const broker = await startBroker()
  const { topic } = await follow(broker)
  await topic.write(ON)
  await topic.write({ name: 'compactor', to: { isPaused: true, now: null, by: 'ops@a' } })

  const late = await follow(broker)

  expect(late.topic.current()).toMatchObject({ emergency: ON.to, compactor: { isPaused: true } })
})

test('the topic is compacted and has one partition', async () => {
  const broker = await startBroker()
  await follow(broker)

  const cluster = await connect(broker)
  const answer = await cluster.request(
    describeConfigsApi,
    { resources: [{ resourceType: TOPIC_RESOURCE, resourceName: CONTROL_TOPIC, configurationKeys: null }] },
    'any',
  )

  const configs = answer.results[0]?.configs ?? []
  expect(configs.find(({ name }) => name === 'cleanup.policy')?.value).toBe('compact')
  expect(await cluster.partitionCount(CONTROL_TOPIC)).toBe(1)
})

test('a forged or malformed record is refused loudly, is counted, and changes nothing', async () => {
  const broker = await startBroker()
  const { topic, said, refusedCount } = await follow(broker)
  await topic.write(ON)
  await eventually('it stands', () => topic.current().emergency !== null)
  const producer = new Producer(await connect(broker))
  cleanups.push(() => producer.stop())
  const changes: unknown[] = []
  topic.onChange((state) => changes.push(state))

  const encoder = new BatchEncoder({ bytesInitial: 1_024 })
  encoder.start()
  const forged = JSON.stringify({ version: 1, reason: 'mine', sinceMs: 5, by: 'x', isRoot: true })
  encoder.append(0, Buffer.from('emergency'), Buffer.from(forged))
  encoder.append(0, Buffer.from('emergency'), Buffer.from('{"version":1'))
  encoder.append(0, Buffer.from('stop-everything'), Buffer.from('{}'))
  await producer.send(CONTROL_TOPIC, 0, Buffer.from(encoder.finish()))
  await eventually('three are refused', () => refusedCount() === 3)

  expect(topic.current()).toEqual({ ...NO_CONTROL, emergency: ON.to })
  expect(changes).toEqual([])
  expect(said.map(({ fields }) => (fields['error'] as { code: string }).code)).toEqual(
    new Array(3).fill('GS_CONTROL_INVALID'),
  )
})

test('after the cluster was away, the orders given meanwhile are learned', async () => {
  const broker = await startBroker()
  const { topic } = await follow(broker)
  await topic.write(ON)
  await eventually('it stands', () => topic.current().emergency !== null)

  const again = await broker.restart()
  cleanups.push(() => again.stop())
  const other = await follow(again)
  await other.topic.write(OFF)

  await eventually('the end is known', () => topic.current().emergency === null)
})
