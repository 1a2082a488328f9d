import { readFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { SourceTopics } from '../../src/enrichment/source-topics.ts'
import { parseTopology } from '../../src/topology/parse-topology.ts'
import { DEFAULT_STREAM_TOPICS } from '../../src/vault/stream-topics.ts'
import { createPartitionsApi } from '../../src/wire/37-create-partitions.ts'
import { FakeBroker } from '../kafka/fake-broker.ts'
import { openCluster } from '../kafka/support.ts'

const VAULT = 'raw-vault.web'
const topics = new SourceTopics(
  parseTopology(
    readFileSync(new URL('../../topologies/density-tier.yaml', import.meta.url), 'utf8'),
    'density-tier.yaml',
  ),
  DEFAULT_STREAM_TOPICS,
)
const cleanups: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp()
})

async function start(counts: Record<string, number>) {
  const broker = await FakeBroker.start({ topics: counts })
  const cluster = openCluster([broker.address])
  await cluster.connect()
  cleanups.push(
    () => broker.stop(),
    () => cluster.close(),
  )
  return { broker, cluster }
}

test('outputs that are there are not waited for when a partition of theirs has no leader', async () => {
  const { broker, cluster } = await start({
    [VAULT]: 2,
    'enriched.web': 2,
    'passthrough.web': 2,
    'dead-letter': 1,
  })
  for (const name of ['enriched.web-1', 'passthrough.web-1', 'dead-letter-0']) broker.leaders.set(name, -1)

  await topics.ensureOutputs(cluster, VAULT)
  await topics.ensurePassthrough(cluster, VAULT)
}, 5_000)

test('an output gets as many partitions as its vault topic has by now', async () => {
  const { broker, cluster } = await start({ [VAULT]: 2, 'enriched.web': 2, 'dead-letter': 1 })
  broker.always(createPartitionsApi, ({ value }) => {
    for (const { name, count } of value.topics) broker.topics.set(name, count)
    return { results: value.topics.map(({ name }) => ({ name })) }
  })
  await topics.ensureOutputs(cluster, VAULT)
  broker.topics.set(VAULT, 5)

  await topics.ensureOutputs(cluster, VAULT)

  expect(broker.topics.get('enriched.web')).toBe(5)
})
