// One piece of debt: what it takes along, and what keeps it from counting.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { ChunkPayer, type PieceLimits } from '../../src/compactor/chunk-payer.ts'
import { LedgerView } from '../../src/compactor/ledger-view.ts'
import { OwnedPartition } from '../../src/compactor/owned-partition.ts'
import { VaultRangeReader } from '../../src/compactor/vault-range-reader.ts'
import { asOffset } from '../../src/core/brands.ts'
import { systemClock } from '../../src/core/clock.ts'
import { EncoderPool } from '../../src/enrichment/encoder-pool.ts'
import type { OutputBatch } from '../../src/enrichment/output-batch.ts'
import { PartitionEnricher } from '../../src/enrichment/partition-enricher.ts'
import type { GroupGeneration } from '../../src/kafka/group-member.ts'
import { GroupMember } from '../../src/kafka/group-member.ts'
import { TransactionalProducer } from '../../src/kafka/transactional-producer.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { compileTopology } from '../../src/topology/compile.ts'
import { createEnricher } from '../../src/topology/enricher.ts'
import { shorts } from '../ledger/support.ts'
import { eventually } from '../support/eventually.ts'
import {
  DEAD_LETTERS,
  debtOf,
  declaration,
  ENRICHED,
  lineOf,
  onceEach,
  openWorld,
  VAULT,
  type World,
} from './support.ts'

const NO_LIMIT = { recordCount: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY }

let world: World
const cleanups: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  world = await openWorld()
  await world.cluster.ensureTopic(ENRICHED, { partitionCount: 2 })
  await world.cluster.ensureTopic(DEAD_LETTERS, { partitionCount: 1 })
})

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  await world.stop()
})

/** A member of the compactors' group that has both partitions. */
async function join(): Promise<GroupMember> {
  const member = new GroupMember(world.cluster, { groupId: 'gophership-compactor', topics: [VAULT] })
  member.start({ onAssigned: () => {}, onRevoked: () => {}, onLost: () => {} })
  cleanups.push(() => member.stop())
  await eventually(
    'it is a member',
    () => member.generation() !== null && member.status().assignment.length === 2,
  )
  return member
}

async function openPayer(generation: () => GroupGeneration | null, generationId: number) {
  const { cluster } = world
  const ledger = new LedgerView(cluster, { diagnostics: silentDiagnostics })
  const producer = new TransactionalProducer(cluster, { transactionalId: 'test-compactor' })
  const reader = new VaultRangeReader(cluster)
  cleanups.push(
    () => ledger.stop(),
    () => producer.stop(),
    () => reader.stop(),
  )
  await producer.init()
  await ledger.catchUp()
  const payer = new ChunkPayer({ clock: systemClock, producer, reader, generation })
  const { topology, topic, partition } = debtOf(0, 0)
  const owned = new OwnedPartition({
    partition: { topology, topic, partition },
    generationId,
    stream: 'web',
    progress: asOffset(-1),
    ledger,
  })
  const made: OutputBatch[] = []
  const enricher = new PartitionEnricher({
    enricher: createEnricher(compileTopology(declaration)),
    encoders: new EncoderPool({ bytesInitial: 1_024, bytesMax: 1_000_000, keptMax: 1 }),
    vaultTopic: VAULT,
    partition,
    enrichedTopic: ENRICHED,
    deadLetterTopic: DEAD_LETTERS,
    batchBytesTarget: 4_096,
    emit: (output) => made.push(output),
  })
  const pay = (limits: Partial<PieceLimits> = {}) => {
    const entry = owned.books().find(({ state }) => state === 'open')
    if (entry === undefined) throw new Error('nothing is owed')
    return payer.pay(
      owned,
      { entry, enricher, made },
      { budget: NO_LIMIT, last: entry.last, mayGoOn: () => true, ...limits },
      new AbortController().signal,
    )
  }
  return { pay, owned, made }
}

const payerOf = async (member: GroupMember) =>
  openPayer(() => member.generation(), member.generation()?.generationId ?? -1)

/** Appends a transaction to the vault, as a producer's transaction arrives there. */
async function transaction(recordCount: number, end: 'commit' | 'abort'): Promise<void> {
  const producer = new TransactionalProducer(world.cluster, { transactionalId: 'test-source' })
  const encoder = new BatchEncoder()
  await producer.init()
  producer.begin()
  encoder.start()
  for (let index = 0; index < recordCount; index += 1) {
    encoder.append(Date.now(), null, Buffer.from(lineOf(0, index)))
  }
  await producer.send(VAULT, 0, encoder.finish())
  if (end === 'commit') await producer.commit()
  else await producer.abort()
  await producer.stop()
}

describe('a piece', () => {
  test('ends at the end of the batch in which a limit is reached, and the next one goes on from there', async () => {
    await world.produce(100)
    await world.owe(debtOf(5, 94))
    const { pay } = await payerOf(await join())

    expect((await pay({ budget: { ...NO_LIMIT, recordCount: 12 } })).range).toEqual({ first: 5, last: 19 })
    expect((await pay({ mayGoOn: () => false })).range).toEqual({ first: 20, last: 29 })
    expect((await pay({ last: asOffset(33) })).range).toEqual({ first: 30, last: 33 })
    expect(await pay()).toMatchObject({ range: { first: 34, last: 94 }, recordCount: 61, eventCount: 61 })
    expect(await world.outputs()).toEqual(new Map(onceEach(5, 94)))
  })

  test('takes along what holds no record: markers, and what a producer aborted', async () => {
    await transaction(10, 'commit') // 0-9, marker 10
    await transaction(10, 'abort') // 11-20, marker 21
    await transaction(10, 'abort') // 22-31, marker 32
    await world.owe(debtOf(5, 21), debtOf(22, 32, { tier: 'partial' }))
    const { pay } = await payerOf(await join())

    expect(await pay()).toMatchObject({ range: { first: 5, last: 21 }, recordCount: 5 })
    expect(await pay()).toMatchObject({ range: { first: 22, last: 32 }, recordCount: 0 })
    expect(await world.outputs()).toEqual(new Map(onceEach(5, 9)))
    expect(shorts(await world.books())).toEqual(['settled passthrough 5-21', 'settled partial 22-32'])
  })

  test('does not count when the group has gone on without the compactor that made it', async () => {
    await world.produce(20)
    await world.owe(debtOf(0, 19))
    const member = await join()
    const current = member.generation() as GroupGeneration
    const stale = { ...current, generationId: current.generationId - 1 }
    // It believes that it is still in its generation: only the coordinator knows better.
    const { pay, owned, made } = await openPayer(() => stale, stale.generationId)

    await expect(pay()).rejects.toMatchObject({
      code: 'GS_KAFKA_TRANSACTION',
      facts: { isGenerationOver: true },
    })

    expect((await world.outputs()).size).toBe(0)
    expect(shorts(await world.books())).toEqual(['open passthrough 0-19'])
    expect(shorts(owned.books())).toEqual(['open passthrough 0-19'])
    expect(made).toEqual([])
  })

  test('does not count in a later generation than that in which the partition was assigned', async () => {
    await world.produce(20)
    await world.owe(debtOf(0, 19))
    const member = await join()
    const { pay } = await openPayer(() => member.generation(), (member.generation()?.generationId ?? 0) - 1)

    await expect(pay()).rejects.toThrow('another compactor')
    expect((await world.outputs()).size).toBe(0)
    expect(shorts(await world.books())).toEqual(['open passthrough 0-19'])
  })

  test('can be tried again after a failure, and counts once', async () => {
    await world.produce(20)
    await world.owe(debtOf(0, 19))
    const member = await join()
    let isMember = false
    const { pay } = await openPayer(
      () => (isMember ? member.generation() : null),
      member.generation()?.generationId ?? -1,
    )
    await expect(pay()).rejects.toThrow('another compactor')
    isMember = true

    expect((await pay()).range).toEqual({ first: 0, last: 19 })
    expect(await world.outputs()).toEqual(new Map(onceEach(0, 19)))
  })
})
