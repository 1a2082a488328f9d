import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { baseOffsetAt } from '../../src/batch/record-batch.ts'
import type { KafkaCluster } from '../../src/kafka/cluster.ts'
import {
  batchesOf,
  type ScanOptions,
  type ScanRange,
  scanPartitions,
} from '../../src/kafka/partition-scan.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { TransactionalProducer } from '../../src/kafka/transactional-producer.ts'
import { startTestBroker, type TestBroker } from '../support/broker.ts'
import { batchOf, openCluster } from './support.ts'

let broker: TestBroker
let cluster: KafkaCluster
let producer: Producer

beforeEach(async () => {
  broker = await startTestBroker()
  cluster = openCluster([broker.address])
  await cluster.connect()
  await cluster.ensureTopic('t', { partitionCount: 2 })
  producer = new Producer(cluster)
  for (const values of [
    ['a', 'b'],
    ['c', 'd'],
    ['e', 'f'],
  ])
    await producer.send('t', 0, batchOf(...values))
  await producer.send('t', 1, batchOf('g'))
})

afterEach(async () => {
  await producer.stop()
  await cluster.close()
  await broker.stop()
})

const range = (partition: number, from: number, end: number): ScanRange => ({
  topic: 't',
  partition,
  from,
  end,
})

/** The first offsets of the batches that were handed over, by partition. */
async function scan(ranges: readonly ScanRange[], options: Partial<ScanOptions> = {}): Promise<string[]> {
  const seen: string[] = []
  await scanPartitions(cluster, ranges, {
    onBatches: (fetched, one) => {
      for (const at of batchesOf(fetched, one))
        seen.push(`${fetched.partition}:${baseOffsetAt(fetched.records, at)}`)
    },
    ...options,
  })
  return seen.sort()
}

describe('a scan', () => {
  it('hands over the batches that hold offsets of its ranges, and ends', async () => {
    expect(await scan([range(0, 1, 4), range(1, 0, 1)])).toEqual(['0:0', '0:2', '1:0'])
    expect(await scan([range(0, 4, 6)])).toEqual(['0:4'])
  })

  it('is done at once when there is nothing to read', async () => {
    expect(await scan([])).toEqual([])
    expect(await scan([range(0, 3, 3)])).toEqual([])
  })

  it('does not hand over the next batches before the last are done with', async () => {
    let busy = 0
    let busyMax = 0
    const onBatches = async () => {
      busy += 1
      busyMax = Math.max(busyMax, busy)
      await new Promise((resolve) => setImmediate(resolve))
      busy -= 1
    }
    await scan([range(0, 0, 6), range(1, 0, 1)], { onBatches, fetch: { partitionBytesMax: 80 } })

    expect(busyMax).toBe(1)
  })

  it('waits for a transaction that is open within its range, and says so when that takes too long', async () => {
    const transaction = new TransactionalProducer(cluster, { transactionalId: 'one' })
    await transaction.init()
    transaction.begin()
    await transaction.send('t', 1, batchOf('h'))

    await expect(scan([range(1, 0, 2)], { stallMsMax: 50 })).rejects.toMatchObject({
      code: 'GS_KAFKA_TIMEOUT',
      message: expect.stringContaining('nothing came of t-1 from offset 1'),
    })
    const seen = scan([range(1, 0, 2)])
    await transaction.commit()
    expect(await seen).toEqual(['1:0', '1:1'])
    await transaction.stop()
  })

  it('passes what was aborted, and ends behind it', async () => {
    const transaction = new TransactionalProducer(cluster, { transactionalId: 'one' })
    await transaction.init()
    transaction.begin()
    await transaction.send('t', 1, batchOf('h'))
    await transaction.abort()
    await transaction.stop()

    expect(await scan([range(1, 0, 3)])).toEqual(['1:0'])
  })

  it('ends with the reason of its signal', async () => {
    await expect(scan([range(0, 0, 100)], { signal: AbortSignal.timeout(50) })).rejects.toThrow('timeout')
  })
})
