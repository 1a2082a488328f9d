/** Replay and redrive against the real broker, whose transactions and group offsets are the ones to get along with. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { COMPRESSION } from '../../src/batch/record-batch.ts'
import { encodeDeadLetterHeaders } from '../../src/enrichment/dead-letter-headers.ts'
import type { KafkaCluster } from '../../src/kafka/cluster.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { KafkaCheckpoint } from '../../src/replay/kafka-checkpoint.ts'
import { type ReplayReport, replay } from '../../src/replay/replay.ts'
import { planRanges } from '../../src/replay/replay-plan.ts'
import type { ReplayTarget } from '../../src/replay/replay-target.ts'
import { TopicTarget, VerbatimConversion } from '../../src/replay/topic-target.ts'
import { run } from '../cli/run-cli.ts'
import { openCluster } from '../kafka/support.ts'
import { type ApacheKafka, canRunApacheKafka, startApacheKafka } from '../support/apache-kafka.ts'

const VAULT = 'raw-vault.web'

let kafka: ApacheKafka
let cluster: KafkaCluster

/** 1,000 records in ten batches of every codec, by turns in two partitions, and one dead letter. */
async function fill(): Promise<void> {
  await cluster.ensureTopic(VAULT, { partitionCount: 2 })
  await cluster.ensureTopic('dead-letter', { partitionCount: 1 })
  const producer = new Producer(cluster, { idempotent: true })
  const encoder = new BatchEncoder()
  for (let batch = 0; batch < 10; batch += 1) {
    encoder.start({ compression: Object.values(COMPRESSION)[batch % 5] ?? COMPRESSION.none })
    for (let index = 0; index < 100; index += 1) {
      encoder.append(1_760_000_000_000 + index, null, Buffer.from(`value ${batch * 100 + index}`))
    }
    await producer.send(VAULT, batch % 2, Buffer.from(encoder.finish()))
  }
  const place = { topic: VAULT, partition: 1, offset: 3 }
  const facts = { reason: 'stage-failed', stage: 'json', message: 'm', attempt: 1, ...place }
  encoder.start()
  encoder.append(1_760_000_000_000, null, Buffer.from('value'), encodeDeadLetterHeaders(facts, []))
  await producer.send('dead-letter', 0, Buffer.from(encoder.finish()))
  await producer.stop()
}

const copies = () =>
  new TopicTarget(cluster, {
    name: 'copies',
    topics: [{ topic: 'copies', partitionCount: 2 }],
    conversion: new VerbatimConversion('copies'),
    checkpoint: new KafkaCheckpoint(cluster, { topic: VAULT, id: 'copies' }),
    isRestart: false,
  })

async function runTo(target: ReplayTarget): Promise<ReplayReport> {
  const source = { topic: VAULT, partition: null, from: null, to: null }
  try {
    return await replay({
      cluster,
      clock: cluster.clock,
      topic: VAULT,
      ranges: await planRanges(cluster, source),
      filter: null,
      target,
      ratePerSecond: 500,
    })
  } finally {
    await target.stop()
  }
}

describe.runIf(canRunApacheKafka())('a replay on Apache Kafka', () => {
  beforeAll(async () => {
    kafka = await startApacheKafka()
    cluster = openCluster(kafka.bootstrapServers)
    await cluster.connect()
    await fill()
  }, 90_000)

  afterAll(async () => {
    await cluster?.close()
    await kafka?.stop()
  })

  it('goes on after it was cut off, and is not done twice', async () => {
    const cut = copies()
    const write = cut.write.bind(cut)
    let writeCount = 0
    cut.write = async (unit) => {
      writeCount += 1
      if (writeCount === 4) throw new Error('cut off')
      return await write(unit)
    }
    await expect(runTo(cut)).rejects.toThrow('cut off')

    expect(await runTo(copies())).toMatchObject({ takenCount: 1_000, writtenCount: 1_000, isResumed: true })
    expect(await runTo(copies())).toMatchObject({ wasDone: true })
    const again = await run([
      ...['replay', '--stream', 'web', '--to-topic', 'again'],
      ...['--kafka-bootstrap-servers', kafka.bootstrapServers[0] ?? ''],
    ])
    expect(again.out).toBe('1,000 records read, 1,000 written to again: they match\n')
  }, 30_000)

  it('sends a dead letter back once', async () => {
    const command = (...args: string[]) =>
      run([
        'dead-letter',
        ...args,
        '-o',
        'json',
        '--kafka-bootstrap-servers',
        kafka.bootstrapServers[0] ?? '',
      ])
    const first = await command('redrive', '--all')
    const second = await command('redrive', '--all')

    expect(JSON.parse(first.out)).toMatchObject({
      sentCount: 1,
      sent: [{ letter: 'dead-letter:0:0', record: `${VAULT}:1:500` }],
    })
    expect(JSON.parse(second.out)).toMatchObject({ sentCount: 0, refused: { 'already-redriven': 1 } })
  }, 30_000)
})
