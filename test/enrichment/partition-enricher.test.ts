import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { BatchEncoder, encodeHeaders } from '../../src/batch/batch-encoder.ts'
import { COMPRESSION, patchBaseOffset } from '../../src/batch/record-batch.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { asOffset, asPartitionId } from '../../src/core/brands.ts'
import { EncoderPool } from '../../src/enrichment/encoder-pool.ts'
import type { OutputBatch } from '../../src/enrichment/output-batch.ts'
import { PartitionEnricher } from '../../src/enrichment/partition-enricher.ts'
import { compileTopology } from '../../src/topology/compile.ts'
import { createEnricher } from '../../src/topology/enricher.ts'
import { parseTopology } from '../../src/topology/parse-topology.ts'

const shipped = new URL('../../topologies/density-tier.yaml', import.meta.url)
const topology = compileTopology(parseTopology(readFileSync(shipped, 'utf8'), 'density-tier.yaml'))

interface Made {
  readonly topic: string
  readonly partition: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: Record<string, string>
}

function setUp({ batchBytesTarget = 64 * 1024 }: { batchBytesTarget?: number } = {}) {
  const outputs: OutputBatch[] = []
  const encoders = new EncoderPool({ bytesInitial: 1024, bytesMax: 4 * 1024 * 1024, keptMax: 2 })
  const enricher = new PartitionEnricher({
    enricher: createEnricher(topology),
    encoders,
    vaultTopic: 'raw-vault.web',
    partition: asPartitionId(3),
    enrichedTopic: 'enriched.web',
    deadLetterTopic: 'dead-letter',
    batchBytesTarget,
    emit: (output) => outputs.push(output),
  })
  return { enricher, outputs, encoders, made: () => outputs.flatMap(recordsOf) }
}

function recordsOf({ topic, partition, batch }: OutputBatch): Made[] {
  const cursor = new RecordCursor()
  const records: Made[] = []
  cursor.open(batch)
  while (cursor.next()) {
    records.push({
      topic,
      partition,
      key: cursor.keyBytes()?.toString() ?? null,
      value: cursor.valueBytes()?.toString('latin1') ?? null,
      headers: Object.fromEntries(
        cursor.headers().map(({ key, value }) => [key, value?.toString() ?? 'null']),
      ),
    })
  }
  return records
}

function vaultBatch(
  values: readonly (string | Buffer | null)[],
  { baseOffset = 100, compression = COMPRESSION.none as 0 | 1 | 2 | 3 | 4 } = {},
): Buffer {
  const encoder = new BatchEncoder()
  encoder.start({ compression })
  for (const [index, value] of values.entries()) {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value
    encoder.append(
      1_700_000_000_000 + index,
      Buffer.from(`k${index}`),
      bytes,
      encodeHeaders([{ key: 'own', value: Buffer.from('x') }]),
    )
  }
  const batch = Buffer.from(encoder.finish())
  patchBaseOffset(batch, 0, baseOffset)
  return batch
}

describe('PartitionEnricher', () => {
  it('makes one event for each record, in order, with its key and its place in the vault', () => {
    const { enricher, made } = setUp()

    const count = enricher.enrich(vaultBatch(['one', 'two']), 0, asOffset(100))
    enricher.flush()

    expect(count).toEqual({ nextOffset: 102, eventCount: 2, deadLetterCount: 0 })
    expect(made()).toMatchObject([
      { topic: 'enriched.web', partition: 3, key: 'k0' },
      { topic: 'enriched.web', partition: 3, key: 'k1' },
    ])
    expect(made().map(({ value }) => JSON.parse(value ?? ''))).toMatchObject([
      {
        eventId: 'raw-vault.web:3:100',
        body: 'one',
        vault: { topic: 'raw-vault.web', partition: 3, offset: 100 },
      },
      { eventId: 'raw-vault.web:3:101', body: 'two' },
    ])
  })

  it('leaves out records before the offset asked for', () => {
    const { enricher, made } = setUp()

    const count = enricher.enrich(vaultBatch(['seen', 'new']), 0, asOffset(101))
    enricher.flush()

    expect(count.eventCount).toBe(1)
    expect(made()).toHaveLength(1)
    expect(made()[0]?.value).toContain('"body":"new"')
  })

  it.each(Object.entries(COMPRESSION))('reads batches compressed with %s', (_, compression) => {
    const { enricher, made } = setUp()

    enricher.enrich(vaultBatch(['one', 'two', 'three'], { compression }), 0, asOffset(100))
    enricher.flush()

    expect(made()).toHaveLength(3)
  })

  it('sends a record that is not UTF-8 to the dead letters with its bytes, its headers and its coordinates, and goes on', () => {
    const { enricher, made } = setUp()

    const count = enricher.enrich(
      vaultBatch(['good', Buffer.from([0xff, 0xfe]), 'good too']),
      0,
      asOffset(100),
    )
    enricher.flush()

    expect(count).toMatchObject({ eventCount: 2, deadLetterCount: 1 })
    const letter = made().find(({ topic }) => topic === 'dead-letter')
    expect(letter).toMatchObject({
      key: 'k1',
      value: '\xff\xfe',
      headers: {
        'gophership-reason': 'invalid-utf8',
        'gophership-stage': 'decode',
        'gophership-attempt': '1',
        'gophership-topic': 'raw-vault.web',
        'gophership-partition': '3',
        'gophership-offset': '101',
        own: 'x',
      },
    })
  })

  it('sends a batch that does not inflate to the dead letters as it is, and goes on with the next', () => {
    const { enricher, made } = setUp()
    const batch = vaultBatch(['one', 'two'], { compression: COMPRESSION.lz4 })
    batch[80] = (batch[80] ?? 0) ^ 0xff

    const count = enricher.enrich(batch, 0, asOffset(100))
    enricher.enrich(vaultBatch(['three'], { baseOffset: 102 }), 0, asOffset(102))
    enricher.flush()

    expect(count.nextOffset).toBe(102)
    const [letter] = made().filter(({ topic }) => topic === 'dead-letter')
    expect(letter?.headers).toMatchObject({
      'gophership-reason': 'undecodable-batch',
      'gophership-offset': '100',
      'gophership-last-offset': '101',
    })
    expect(letter?.value).toBe(batch.toString('latin1'))
    expect(made().filter(({ topic }) => topic === 'enriched.web')).toHaveLength(1)
  })

  it('closes an output batch at its target size', () => {
    const { enricher, outputs } = setUp({ batchBytesTarget: 2_000 })

    enricher.enrich(vaultBatch(Array.from({ length: 50 }, (_, index) => `line ${index}`)), 0, asOffset(100))
    enricher.flush()

    expect(outputs.length).toBeGreaterThan(3)
    expect(Math.max(...outputs.map(({ batch }) => batch.length))).toBeLessThan(3_000)
  })

  it('dead-letters an event larger than its topic takes, and leaves out the bytes of a letter that is too large itself', () => {
    const { enricher, made } = setUp()
    enricher.outputBytesMax = 2_000

    enricher.enrich(vaultBatch(['"'.repeat(1_200), 'x'.repeat(5_000)]), 0, asOffset(100))
    enricher.flush()

    expect(made()).toMatchObject([
      { topic: 'dead-letter', value: '"'.repeat(1_200), headers: { 'gophership-reason': 'event-too-large' } },
      {
        topic: 'dead-letter',
        value: null,
        headers: { 'gophership-reason': 'event-too-large', 'gophership-value-omitted': 'too-large' },
      },
    ])
  })

  it('gives every encoder back when its output is discarded', () => {
    const { enricher, encoders } = setUp()
    enricher.enrich(vaultBatch(['one', Buffer.from([0xff])]), 0, asOffset(100))

    enricher.discard()

    expect(encoders.takenCount).toBe(0)
  })

  it('makes an event with a null body of a tombstone', () => {
    const { enricher, made } = setUp()

    enricher.enrich(vaultBatch([null]), 0, asOffset(100))
    enricher.flush()

    expect(JSON.parse(made()[0]?.value ?? '')).toMatchObject({ body: null })
  })
})
