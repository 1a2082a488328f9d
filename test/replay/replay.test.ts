/** Replays against a broker: what is in the target is what was in the vault. */

import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BatchEncoder, encodeHeaders } from '../../src/batch/batch-encoder.ts'
import { baseOffsetAt, batchBytesAt, COMPRESSION, recordCountAt } from '../../src/batch/record-batch.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { systemDisk } from '../../src/core/system-disk.ts'
import type { KafkaCluster } from '../../src/kafka/cluster.ts'
import { listOffsets } from '../../src/kafka/offsets.ts'
import { batchesOf, scanPartitions } from '../../src/kafka/partition-scan.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { type FileFormat, FileTarget } from '../../src/replay/file-target.ts'
import { KafkaCheckpoint } from '../../src/replay/kafka-checkpoint.ts'
import { recordFilter } from '../../src/replay/record-filter.ts'
import { type ReplayOptions, replay } from '../../src/replay/replay.ts'
import { planRanges, type ReplaySource } from '../../src/replay/replay-plan.ts'
import type { ReplayTarget } from '../../src/replay/replay-target.ts'
import { TopicTarget, VerbatimConversion } from '../../src/replay/topic-target.ts'
import { TopologyConversion } from '../../src/replay/topology-conversion.ts'
import { UrlTarget } from '../../src/replay/url-target.ts'
import { compileTopology } from '../../src/topology/compile.ts'
import { checkTopology } from '../../src/topology/declaration.ts'
import { openCluster } from '../kafka/support.ts'
import { startTestBroker, type TestBroker } from '../support/broker.ts'

const VAULT = 'raw-vault.web'
const T0 = 1_760_000_000_000
const BATCH_COUNT = 12
const RECORDS_PER_BATCH = 100

let broker: TestBroker
let cluster: KafkaCluster
let folder: string

beforeEach(async () => {
  broker = await startTestBroker()
  cluster = openCluster([broker.address])
  await cluster.connect()
  await cluster.ensureTopic(VAULT, { partitionCount: 2 })
  folder = await mkdtemp(join(tmpdir(), 'gophership-replay-'))
  await fillVault()
})

afterEach(async () => {
  await cluster.close()
  await broker.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Record n, one a second, by turns in partition 0 and 1 batch by batch; every codec; some values that are not text. */
async function fillVault(): Promise<void> {
  const producer = new Producer(cluster, { idempotent: true })
  const codecs = Object.values(COMPRESSION)
  for (let batch = 0; batch < BATCH_COUNT; batch += 1) {
    const encoder = new BatchEncoder()
    encoder.start({ compression: codecs[batch % codecs.length] ?? COMPRESSION.none })
    for (let index = 0; index < RECORDS_PER_BATCH; index += 1) {
      const number = batch * RECORDS_PER_BATCH + index
      const value =
        number % 50 === 0 ? Buffer.from([0xff, number & 0xff]) : Buffer.from(`{"n":${number},"level":"info"}`)
      const headers = encodeHeaders([{ key: 'n', value: Buffer.from(String(number)) }])
      encoder.append(
        T0 + number * 1_000,
        number % 3 === 0 ? null : Buffer.from(`k${number % 7}`),
        value,
        headers,
      )
    }
    await producer.send(VAULT, batch % 2, Buffer.from(encoder.finish()))
  }
  await producer.stop()
}

/** Every batch of a topic that readers see, by partition. */
async function batchesIn(topic: string): Promise<Map<number, Buffer[]>> {
  const partitionCount = (await cluster.partitionCount(topic)) ?? 0
  const partitions = Array.from({ length: partitionCount }, (_, partition) => partition)
  const ends = await listOffsets(
    cluster,
    partitions.map((partition) => ({ topic, partition, at: 'latest' as const })),
  )
  const found = new Map<number, Buffer[]>(partitions.map((partition) => [partition, []]))
  await scanPartitions(
    cluster,
    ends.map(({ partition, offset }) => ({ topic, partition, from: 0, end: offset })),
    {
      onBatches: (fetched, range) => {
        for (const at of batchesOf(fetched, range)) {
          found
            .get(fetched.partition)
            ?.push(Buffer.from(fetched.records.subarray(at, at + batchBytesAt(fetched.records, at))))
        }
      },
    },
  )
  return found
}

function recordsOf(batches: Iterable<Buffer>): string[] {
  const cursor = new RecordCursor()
  const records: string[] = []
  for (const batch of batches) {
    cursor.open(batch)
    while (cursor.next()) {
      const [key, value] = [cursor.keyBytes()?.toString('latin1'), cursor.valueBytes()?.toString('latin1')]
      records.push(`${cursor.timestamp} ${key} ${value} ${cursor.headersBytes().toString('latin1')}`)
    }
  }
  return records
}

const source = (changes: Partial<ReplaySource> = {}): ReplaySource => ({
  topic: VAULT,
  partition: null,
  from: null,
  to: null,
  ...changes,
})

async function run(
  target: ReplayTarget | null,
  changes: Partial<ReplayOptions> = {},
  from: Partial<ReplaySource> = {},
) {
  try {
    return await replay({
      cluster,
      clock: systemClock,
      topic: VAULT,
      ranges: await planRanges(cluster, source(from)),
      filter: null,
      target,
      ratePerSecond: null,
      ...changes,
    })
  } finally {
    await target?.stop()
  }
}

const copiesTo = (topic: string, { id = 'one', isRestart = false } = {}) =>
  new TopicTarget(cluster, {
    name: topic,
    topics: [{ topic, partitionCount: 2 }],
    conversion: new VerbatimConversion(topic),
    checkpoint: new KafkaCheckpoint(cluster, { topic: VAULT, id }),
    isRestart,
  })

const fileAt = (path: string, format: FileFormat, { id = 'one', isRestart = false } = {}) =>
  new FileTarget({ disk: systemDisk, path, format, id, topic: VAULT, isRestart })

/** Fails the nth write, before or after it was done. */
function failing(target: ReplayTarget, nth: number, when: 'before' | 'after'): ReplayTarget {
  let count = 0
  return {
    name: target.name,
    open: (ranges) => target.open(ranges),
    finish: () => target.finish(),
    stop: () => target.stop(),
    async write(unit) {
      count += 1
      if (count === nth && when === 'before') throw new Error('cut off')
      const written = await target.write(unit)
      if (count === nth) throw new Error('cut off')
      return written
    },
  }
}

describe('a copy to a topic', () => {
  it('is bit for bit what lies in the vault, batch by batch, in the same partitions', async () => {
    const report = await run(copiesTo('copies'))

    expect(report).toMatchObject({
      takenCount: 1_200,
      writtenCount: 1_200,
      cutBatchCount: 0,
      isResumed: false,
      wasDone: false,
    })
    const [vault, copies] = [await batchesIn(VAULT), await batchesIn('copies')]
    for (const partition of [0, 1]) {
      // Behind producer id, epoch and sequence, which are the replay's own: records, compressed as they are. Before, the times.
      const regions = (batches: Map<number, Buffer[]>, from: number, to?: number) =>
        (batches.get(partition) ?? []).map((batch) => batch.subarray(from, to).toString('hex'))

      expect(regions(copies, 57)).toEqual(regions(vault, 57))
      expect(regions(copies, 23, 43)).toEqual(regions(vault, 23, 43))
      expect((copies.get(partition) ?? []).map((batch) => (batch[22] as number) & 7)).toEqual(
        (vault.get(partition) ?? []).map((batch) => (batch[22] as number) & 7),
      )
    }
  })

  it.each([
    [1, 'before' as const],
    [1, 'after' as const],
    [4, 'before' as const],
    [4, 'after' as const],
  ])('is whole and single after it was cut off at write %i, %s it was done', async (nth, when) => {
    const options = { ratePerSecond: 500 } as const
    await expect(run(failing(copiesTo('copies'), nth, when), options)).rejects.toThrow('cut off')

    const report = await run(copiesTo('copies'))

    expect(report).toMatchObject({ takenCount: 1_200, writtenCount: 1_200, isResumed: true })
    const [vault, copies] = [await batchesIn(VAULT), await batchesIn('copies')]
    for (const partition of [0, 1]) {
      expect(recordsOf(copies.get(partition) ?? [])).toEqual(recordsOf(vault.get(partition) ?? []))
    }
  })

  it('goes on with the range that was fixed when it began, though the vault has grown', async () => {
    await expect(run(failing(copiesTo('copies'), 2, 'before'), { ratePerSecond: 500 })).rejects.toThrow(
      'cut off',
    )
    await fillVault()

    expect(await run(copiesTo('copies'))).toMatchObject({
      takenCount: 1_200,
      writtenCount: 1_200,
      isResumed: true,
    })
  })

  it('is not made twice by the same command, but when that is asked for', async () => {
    await run(copiesTo('copies'))

    expect(await run(copiesTo('copies'))).toMatchObject({ wasDone: true, writtenCount: 1_200 })
    expect(recordsOf([...(await batchesIn('copies')).values()].flat())).toHaveLength(1_200)
    expect(await run(copiesTo('copies', { isRestart: true }))).toMatchObject({
      wasDone: false,
      writtenCount: 1_200,
    })
    expect(recordsOf([...(await batchesIn('copies')).values()].flat())).toHaveLength(2_400)
  })

  it('takes the records of a time range exactly, also where it begins and ends within a batch', async () => {
    const time = (number: number) => ({ kind: 'time' as const, timestampMs: T0 + number * 1_000 })

    const report = await run(copiesTo('copies'), {}, { from: time(150), to: time(420) })

    expect(report).toMatchObject({ takenCount: 270, writtenCount: 270, cutBatchCount: 2 })
    const numbers = recordsOf([...(await batchesIn('copies')).values()].flat()).map(
      (record) => (Number(record.split(' ')[0]) - T0) / 1_000,
    )
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 270 }, (_, index) => 150 + index))
  })

  it('takes the records with a key and a pattern, and no other', async () => {
    const report = await run(copiesTo('copies'), {
      filter: recordFilter({ key: 'k4', match: '"n":[0-9]*1,' }),
    })

    const expected = Array.from({ length: 1_200 }, (_, number) => number).filter(
      (number) => number % 3 !== 0 && number % 7 === 4 && number % 10 === 1,
    )
    const records = recordsOf([...(await batchesIn('copies')).values()].flat())
    expect(report).toMatchObject({ takenCount: expected.length, writtenCount: expected.length })
    expect(records.map((record) => Number(/"n":(\d+)/.exec(record)?.[1])).sort((a, b) => a - b)).toEqual(
      expected,
    )
  })

  it('is only counted by a dry run', async () => {
    expect(await run(null)).toMatchObject({ takenCount: 1_200, writtenCount: 0 })
    expect(await cluster.partitionCount('copies')).toBe(null)
  })

  it('goes no faster than its rate', async () => {
    const startedMs = performance.now()
    await run(copiesTo('copies'), { ratePerSecond: 2_000 })

    expect(performance.now() - startedMs).toBeGreaterThan(550)
  })

  it('is refused by a topic with too few partitions', async () => {
    await cluster.ensureTopic('narrow', { partitionCount: 1 })

    await expect(run(copiesTo('narrow'))).rejects.toThrow(
      'at least 2 partitions, as many as are replayed, found 1',
    )
  })
})

describe('a replay through a topology', () => {
  const through = (topic: string) => {
    const declaration = {
      name: 'example',
      source: { streams: 'all' },
      stages: [{ stage: 'json', tiers: ['full'] }],
      sinks: { enriched: 'enriched.{stream}', deadLetter: 'dead-letter' },
    }
    const topology = compileTopology(checkTopology(declaration, 'test'))
    const names = { vaultTopic: VAULT, enrichedTopic: topic, deadLetterTopic: `${topic}.dead-letter` }
    return new TopicTarget(cluster, {
      name: topic,
      topics: [
        { topic, partitionCount: 2 },
        { topic: `${topic}.dead-letter`, partitionCount: 1 },
      ],
      conversion: new TopologyConversion({ topology, ...names }),
      checkpoint: new KafkaCheckpoint(cluster, { topic: VAULT, id: topic }),
      isRestart: false,
    })
  }

  it('gives the same bytes twice, and an output for every record', async () => {
    const report = await run(through('first'))
    // However much comes at once, and wherever it was cut off.
    const options = { fetch: { partitionBytesMax: 2_000 } }
    await expect(run(failing(through('second'), 2, 'after'), options)).rejects.toThrow('cut off')
    await run(through('second'), options)

    expect(report).toMatchObject({ takenCount: 1_200, writtenCount: 1_200 })
    for (const suffix of ['', '.dead-letter']) {
      const [first, second] = [await batchesIn(`first${suffix}`), await batchesIn(`second${suffix}`)]
      const regions = (batches: Map<number, Buffer[]>) =>
        [...batches].map(([partition, list]) => [
          partition,
          ...list.map((batch) => batch.subarray(57).toString('hex')),
        ])
      expect(regions(second)).toEqual(regions(first))
    }
    const letters = recordsOf([...(await batchesIn('first.dead-letter')).values()].flat())
    expect(letters).toHaveLength(24)
    expect(await cluster.partitionCount('enriched.web')).toBe(null)
    expect(await cluster.partitionCount('dead-letter')).toBe(null)
  })
})

describe('a replay to a file', () => {
  it('is refused by name where the file cannot be made or written over', async () => {
    for (const path of [join(folder, 'nowhere', 'a'), folder]) {
      await expect(run(fileAt(path, 'batches', { isRestart: true }))).rejects.toMatchObject({
        code: 'GS_REPLAY_TARGET',
        facts: { path },
      })
    }
  })

  it('writes the vault batches, whole, the same bytes every time', async () => {
    const report = await run(fileAt(join(folder, 'a'), 'batches'))
    await run(fileAt(join(folder, 'b'), 'batches'))

    expect(report).toMatchObject({ takenCount: 1_200, writtenCount: 1_200, countedRecords: 1_200 })
    const bytes = await readFile(join(folder, 'a'))
    expect(bytes.equals(await readFile(join(folder, 'b')))).toBe(true)
    const vault = await batchesIn(VAULT)
    const written = new Map<number, Buffer[]>([
      [0, []],
      [1, []],
    ])
    for (let at = 12 + bytes.readUInt32BE(8); at < bytes.length; at += 4 + batchBytesAt(bytes, at + 4)) {
      written.get(bytes.readUInt32BE(at))?.push(bytes.subarray(at + 4, at + 4 + batchBytesAt(bytes, at + 4)))
    }
    for (const partition of [0, 1]) {
      const hex = (batches: Map<number, Buffer[]>) =>
        (batches.get(partition) ?? []).map((batch) => batch.toString('hex'))
      expect(hex(written)).toEqual(hex(vault))
    }
    await expect(stat(join(folder, 'a.replay'))).rejects.toThrow('ENOENT')
  })

  it.each(['batches' as const, 'ndjson' as const])(
    'goes on where it was cut off, whatever was half written: %s',
    async (format) => {
      const path = join(folder, 'out')
      const plain = join(folder, 'plain')
      await run(fileAt(plain, format))
      for (const nth of [2, 1, 1]) {
        await expect(
          run(failing(fileAt(path, format), nth, 'after'), { ratePerSecond: 1_000 }),
        ).rejects.toThrow('cut off')
        await appendFile(path, 'half a unit, '.repeat(100_000))
      }

      const report = await run(fileAt(path, format))

      expect(report).toMatchObject({
        takenCount: 1_200,
        writtenCount: 1_200,
        countedRecords: 1_200,
        isResumed: true,
      })
      expect((await readFile(path)).equals(await readFile(plain))).toBe(true)
    },
  )

  it('writes a line for each record, and keeps bytes that are no text', async () => {
    const path = join(folder, 'out')
    const report = await run(
      fileAt(path, 'ndjson'),
      { filter: recordFilter({ key: null, match: null }) },
      { partition: 0, to: { kind: 'offset', offset: 3 } },
    )

    expect(report).toMatchObject({ countedRecords: 3 })
    const lines = (await readFile(path, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
    expect(lines).toEqual([
      {
        topic: VAULT,
        partition: 0,
        offset: 0,
        timestampMs: T0,
        key: null,
        value: { base64: '/wA=' },
        headers: [['n', '0']],
      },
      {
        topic: VAULT,
        partition: 0,
        offset: 1,
        timestampMs: T0 + 1_000,
        key: 'k1',
        value: '{"n":1,"level":"info"}',
        headers: [['n', '1']],
      },
      {
        topic: VAULT,
        partition: 0,
        offset: 2,
        timestampMs: T0 + 2_000,
        key: 'k2',
        value: '{"n":2,"level":"info"}',
        headers: [['n', '2']],
      },
    ])
  })

  it('leaves a file alone that is not its own', async () => {
    const path = join(folder, 'mine')
    await writeFile(path, 'precious')
    await expect(run(fileAt(path, 'ndjson'))).rejects.toThrow('it exists, and no replay was cut off there')
    expect(await readFile(path, 'utf8')).toBe('precious')

    await rm(path)
    await expect(run(failing(fileAt(path, 'ndjson'), 1, 'before'))).rejects.toThrow('cut off')
    await expect(run(fileAt(path, 'ndjson', { id: 'other' }))).rejects.toThrow(
      'belongs to a replay with other arguments',
    )
    expect(await run(fileAt(path, 'ndjson', { id: 'other', isRestart: true }))).toMatchObject({
      countedRecords: 1_200,
    })
  })
})

describe('a replay to a URL', () => {
  let server: Server
  let answers: number[]
  let bodies: { body: string; key: string | undefined }[]
  let headers: Record<string, string>

  beforeEach(async () => {
    answers = []
    bodies = []
    headers = {}
    server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString('utf8')
      })
      request.on('end', () => {
        const status = answers.shift() ?? 204
        if (status < 300) bodies.push({ body, key: request.headers['idempotency-key']?.toString() })
        response.writeHead(status, headers).end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })

  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  const target = () => {
    const { port } = server.address() as { port: number }
    return new UrlTarget(cluster, {
      url: `http://127.0.0.1:${port}/in`,
      topic: VAULT,
      checkpoint: new KafkaCheckpoint(cluster, { topic: VAULT, id: 'url' }),
      isRestart: false,
      clock: { ...systemClock, sleep: async () => {} },
      random: systemRandom,
      post: (url, request) => fetch(url, request),
    })
  }
  const offsetsOf = () =>
    bodies.flatMap(({ body }) =>
      body
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { partition: number; offset: number }),
    )

  it('posts every record once, in order, when the server takes them', async () => {
    expect(await run(target())).toMatchObject({ takenCount: 1_200, writtenCount: 1_200 })

    expect(offsetsOf().map(({ partition, offset }) => partition * 600 + offset)).toEqual(
      Array.from({ length: 1_200 }, (_, index) => index),
    )
    expect(new Set(bodies.map(({ key }) => key)).size).toBe(bodies.length)
  })

  it('tries again what the server cannot take now', async () => {
    answers = [503, 429, 500]

    expect(await run(target())).toMatchObject({ takenCount: 1_200, writtenCount: 1_200 })
    expect(offsetsOf()).toHaveLength(1_200)
  })

  it.each([
    [400, 'found HTTP 400'],
    [302, 'redirects are not followed'],
  ])('stops at HTTP %i, and goes on from there', async (status, says) => {
    headers = { location: 'http://127.0.0.1:1/elsewhere' }
    answers = [204, status]
    await expect(run(target(), { ratePerSecond: 1_000 })).rejects.toThrow(says)

    expect(await run(target())).toMatchObject({ takenCount: 1_200, writtenCount: 1_200, isResumed: true })
    expect(offsetsOf()).toHaveLength(1_200)
  })
})

describe('a plan', () => {
  it('is refused when nothing can lie in it, or it is not there', async () => {
    const time = (timestampMs: number) => ({ kind: 'time' as const, timestampMs })
    const refusal = (changes: Partial<ReplaySource>) => expect(planRanges(cluster, source(changes))).rejects

    await refusal({ from: time(T0 + 5), to: time(T0) }).toThrow('expected --from to lie before --to')
    await refusal({ from: { kind: 'offset', offset: 3 } }).toThrow('add --partition')
    await refusal({ partition: 2 }).toThrow('expected --partition from 0 to 1, found 2')
    await refusal({ topic: 'raw-vault.none' }).toThrow('no "raw-vault.none"')
  })

  it('is empty behind the last record, and what there is where it asks for more', async () => {
    const far = { kind: 'time' as const, timestampMs: T0 + 10_000_000_000 }

    expect(await planRanges(cluster, source({ from: far }))).toEqual([
      { partition: 0, from: 600, end: 600 },
      { partition: 1, from: 600, end: 600 },
    ])
    expect(
      await planRanges(cluster, source({ partition: 1, to: { kind: 'offset', offset: 9_999 } })),
    ).toEqual([{ partition: 1, from: 0, end: 600 }])
    expect(await run(copiesTo('copies'), {}, { from: far })).toMatchObject({
      takenCount: 0,
      writtenCount: 0,
      wasDone: false,
    })
  })
})

it('reads the vault only, which stays as it is', async () => {
  const before = await batchesIn(VAULT)
  await run(copiesTo('copies'))
  const after = await batchesIn(VAULT)

  for (const [partition, batches] of before) {
    expect(after.get(partition)?.map((batch) => baseOffsetAt(batch, 0))).toEqual(
      batches.map((batch) => baseOffsetAt(batch, 0)),
    )
    expect(batches.reduce((sum, batch) => sum + recordCountAt(batch, 0), 0)).toBe(600)
  }
})
