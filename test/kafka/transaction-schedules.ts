/**
 * Many transactions under a bad network, with zombies: two producers under one id at a time, the older of which may find out
 * late. What they were told is held against what a committed reader sees at the end.
 */

import { expect } from 'vitest'
import { isFailure } from '../../src/core/errors.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { KafkaCluster } from '../../src/kafka/cluster.ts'
import { fetchCommittedOffsets } from '../../src/kafka/group-offsets.ts'
import { TopicReader } from '../../src/kafka/topic-reader.ts'
import type { TransactionVersion } from '../../src/kafka/transaction-coordinator.ts'
import { TransactionalProducer } from '../../src/kafka/transactional-producer.ts'
import { batchOf, openCluster } from './support.ts'
import { UnrulyProxy } from './unruly-proxy.ts'

/** What a producer was told about one transaction. `unknown`: that it may have been committed. */
type Outcome = 'committed' | 'not committed' | 'unknown'

export interface SchedulesOptions {
  readonly seed: number
  readonly transactionCount: number
  readonly version: TransactionVersion
  /** Starts the server so that all clients come through the proxy; returns where it really listens, and how to stop it. */
  readonly start: (proxyPort: number) => Promise<{ readonly port: number; stop(): Promise<void> }>
}

export interface SchedulesResult {
  readonly outcomes: Readonly<Record<Outcome, number>>
  readonly fencedCount: number
  readonly cutCount: number
}

const PARTITION_COUNT = 3
const BATCHES_PER_PARTITION = 2
const TRANSACTION_TIMEOUT_MS = 3_000

/** Runs the schedule and checks it; throws what is torn, doubled, missing or hung. */
export async function runSchedules({
  seed,
  transactionCount,
  version,
  start,
}: SchedulesOptions): Promise<SchedulesResult> {
  const random = seededRandom(seed)
  const proxy = await UnrulyProxy.start({ random, delayMsMax: 8, lateMsMax: 150, cutChance: 0.05 })
  const server = await start(proxy.port)
  proxy.upstreamPort = server.port
  const cluster = openCluster([`127.0.0.1:${proxy.port}`], { backoff: { initialMs: 2, maxMs: 30 } })
  const topic = `schedules-${seed}-v${version}`
  const groupId = `${topic}-group`
  const outcomes = new Map<number, Outcome>()
  let fencedCount = 0
  let nextId = 0

  /** One holder of the id, until it is fenced or has done its share. */
  const runHolder = async (share: number): Promise<void> => {
    const producer = new TransactionalProducer(cluster, {
      transactionalId: `${topic}-id`,
      transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
      transactionVersionMax: version,
    })
    try {
      await producer.init()
      for (let count = 0; count < share; count++) {
        const id = nextId++
        outcomes.set(id, 'not committed')
        producer.begin()
        for (let index = 0; index < PARTITION_COUNT * BATCHES_PER_PARTITION; index++) {
          const partition = index % PARTITION_COUNT
          void producer.send(
            topic,
            partition,
            batchOf(`${id}.${partition}.${Math.floor(index / PARTITION_COUNT)}`),
          )
        }
        const offsets = [{ topic, partition: 0, offset: id + 1 }]
        const identity = { groupId, generationId: -1, memberId: '', groupInstanceId: null }
        producer.sendOffsets(identity, offsets).catch(() => {})
        if (random.float() < 0.2) {
          await producer.abort()
          continue
        }
        outcomes.set(id, 'unknown')
        try {
          await producer.commit()
          outcomes.set(id, 'committed')
        } catch (error) {
          if (!isFailure(error)) throw error
          if (error.facts['possiblyCommitted'] !== true) outcomes.set(id, 'not committed')
          if (producer.state === 'broken') await producer.abort()
        }
      }
    } catch (error) {
      if (!isFailure(error, 'GS_KAFKA_FENCED')) throw error
    } finally {
      if (producer.state === 'fenced') fencedCount++
      await producer.stop()
    }
  }

  try {
    await cluster.connect()
    await cluster.ensureTopic(topic, { partitionCount: PARTITION_COUNT })
    proxy.isUnruly = true
    while (nextId < transactionCount) {
      const share = 1 + Math.floor(random.float() * 12)
      const zombie = runHolder(share + 20)
      // The next holder comes while the last one is still at it.
      await new Promise((resolve) => setTimeout(resolve, random.float() * 400))
      await Promise.all([zombie, runHolder(share)])
    }
    proxy.isUnruly = false
    // Nothing hangs: the end is stable once the last timeout has passed.
    const seen = await readCommitted(cluster, topic)
    checkSeen(seen, outcomes)
    await checkPosition(cluster, groupId, topic, seen)
  } finally {
    await cluster.close()
    await proxy.stop()
    await server.stop()
  }
  const count = (wanted: Outcome) => [...outcomes.values()].filter((outcome) => outcome === wanted).length
  return {
    outcomes: {
      committed: count('committed'),
      'not committed': count('not committed'),
      unknown: count('unknown'),
    },
    fencedCount,
    cutCount: proxy.cutCount,
  }
}

/** Values by partition. */
async function readCommitted(cluster: KafkaCluster, topic: string): Promise<string[][]> {
  const seen: string[][] = Array.from({ length: PARTITION_COUNT }, () => [])
  const reader = new TopicReader(cluster, {
    topic,
    onRecord: ({ partition, value }) => seen[partition]?.push(`${value}`),
  })
  try {
    await reader.catchUp({ timeoutMs: TRANSACTION_TIMEOUT_MS + 10_000 })
  } finally {
    await reader.stop()
  }
  return seen
}

function checkSeen(seen: readonly (readonly string[])[], outcomes: ReadonlyMap<number, Outcome>): void {
  const idsByPartition = seen.map((values, partition) => {
    expect(new Set(values).size, `doubled in partition ${partition}`).toBe(values.length)
    const ids = [...new Set(values.map((value) => Number(value.split('.')[0])))]
    const expected = ids.flatMap((id) =>
      Array.from({ length: BATCHES_PER_PARTITION }, (_, index) => `${id}.${partition}.${index}`),
    )
    expect(values, `torn or out of order in partition ${partition}`).toEqual(expected)
    return ids
  })
  for (const ids of idsByPartition) expect(ids, 'torn over partitions').toEqual(idsByPartition[0])
  const visible = new Set(idsByPartition[0])
  for (const [id, outcome] of outcomes) {
    if (outcome === 'committed')
      expect(visible.has(id), `transaction ${id} was committed and is missing`).toBe(true)
    if (outcome === 'not committed')
      expect(visible.has(id), `transaction ${id} was not committed and is seen`).toBe(false)
  }
}

/** The group's position is that of the last transaction that committed. */
async function checkPosition(
  cluster: KafkaCluster,
  groupId: string,
  topic: string,
  seen: readonly (readonly string[])[],
): Promise<void> {
  const partitions = [{ topic, partition: 0 }]
  const [position] = await fetchCommittedOffsets(cluster, groupId, partitions, { requireStable: true })
  expect(position?.offset).toBe(Number(seen[0]?.at(-1)?.split('.')[0] ?? -2) + 1)
}
