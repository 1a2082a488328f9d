/**
 * What a record costs a worker at each tier, on one core: the batch as it was fetched, worked on as the processor does, its output
 * stamped as the producer does, its shortfall booked. No sockets and no disk: they are the same bytes at every tier.
 */

import { readFileSync } from 'node:fs'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { patchProducer } from '../../src/batch/record-batch.ts'
import { asOffset, asPartitionId } from '../../src/core/brands.ts'
import { EncoderPool } from '../../src/enrichment/encoder-pool.ts'
import type { OutputBatch } from '../../src/enrichment/output-batch.ts'
import { PartitionEnricher } from '../../src/enrichment/partition-enricher.ts'
import type { Tier } from '../../src/pressure/tiers.ts'
import { AssignedPartition, NOTHING_COUNTED } from '../../src/processor/assigned-partition.ts'
import type { PassthroughMode } from '../../src/processor/batch-tiers.ts'
import { workOnBatch } from '../../src/processor/batch-tiers.ts'
import { DebtTail } from '../../src/processor/debt-tail.ts'
import { compileTopology } from '../../src/topology/compile.ts'
import { createEnricher } from '../../src/topology/enricher.ts'
import { parseTopology } from '../../src/topology/parse-topology.ts'
import type { BenchResult } from './report.ts'
import { measure, perSecond } from './report.ts'

const TOPOLOGY = new URL('../../topologies/density-tier.yaml', import.meta.url)
const TIERS: readonly { name: string; tier: Tier; passthrough: PassthroughMode }[] = [
  { name: 'full', tier: 'full', passthrough: 'forward' },
  { name: 'partial', tier: 'partial', passthrough: 'forward' },
  { name: 'passthrough, forwarded', tier: 'passthrough', passthrough: 'forward' },
  { name: 'passthrough, deferred', tier: 'passthrough', passthrough: 'defer' },
]
/** Lines of about 200 bytes in a batch: as small clients fill it (16 KiB), and as large ones do (1 MiB). */
const BATCH_SIZES = [
  { name: '16 KiB batches', lineCount: 80 },
  { name: '1 MiB batches', lineCount: 4_800 },
] as const

export async function benchTiers(): Promise<BenchResult[]> {
  const results: BenchResult[] = []
  for (const { name: size, lineCount } of BATCH_SIZES) {
    const batch = batchOf(lineCount)
    let fullMedian = 0
    for (const { name, tier, passthrough } of TIERS) {
      const work = workerOf(batch, tier, passthrough)
      const result = await measure(`${name}, ${size}`, () => perSecond(work), { unit: 'records/s' })
      const median = medianOf(result)
      if (tier === 'full') fullMedian = median
      const ratio = `${(median / fullMedian).toFixed(1)} x full`
      results.push({
        ...result,
        name: tier === 'full' ? result.name : `${result.name}: ${ratio}`,
        ...(name === 'passthrough, forwarded' ? { target: '≥ 20 x full' } : {}),
      })
    }
  }
  return results
}

function medianOf({ rounds }: BenchResult): number {
  return rounds.toSorted((a, b) => a - b)[rounds.length >> 1] ?? 0
}

function batchOf(lineCount: number): Buffer {
  const encoder = new BatchEncoder()
  encoder.start()
  for (let index = 0; index < lineCount; index++) {
    const line = `{"time":"2024-05-17T10:05:0${index % 10}.${100 + (index % 900)}Z","level":"info","msg":"request completed","method":"GET","path":"/api/v1/orders/${index}","status":200,"durationMs":${(index % 977) / 10},"user":"user-${index % 97}"}`
    encoder.append(1_715_940_000_000, null, Buffer.from(line))
  }
  return Buffer.from(encoder.finish())
}

/** Works on the batch over and over, in runs of a few hundred thousand records; returns how many records a run has. */
function workerOf(batch: Buffer, tier: Tier, passthrough: PassthroughMode): () => number {
  const partition = asPartitionId(0)
  const encoders = new EncoderPool({ bytesInitial: 1 << 16, bytesMax: 4 << 20, keptMax: 4 })
  let sequence = 0
  const emit = (output: OutputBatch) => {
    patchProducer(output.batch, 0, { producerId: 7, producerEpoch: 0, baseSequence: sequence })
    sequence = (sequence + output.recordCount) % 0x7fff_ffff
    output.release()
  }
  const enricher = new PartitionEnricher({
    enricher: createEnricher(
      compileTopology(parseTopology(readFileSync(TOPOLOGY, 'utf8'), 'density-tier.yaml')),
    ),
    encoders,
    vaultTopic: 'raw-vault.bench',
    partition,
    enrichedTopic: 'enriched.bench',
    deadLetterTopic: 'dead-letter',
    batchBytesTarget: 512 * 1024,
    emit,
  })
  const options = {
    tier,
    passthrough,
    passthroughTopic: 'passthrough.bench',
    reason: () => ({ zone: 'red', driver: 'lagSeconds' }) as const,
    wallMs: () => 1_715_940_000_000,
    emit,
  }
  const batchesPerRun = tier === 'passthrough' ? 2_000 : Math.ceil(20_000 / batch.readInt32BE(57))
  return () => {
    const assigned = new AssignedPartition({
      topic: 'raw-vault.bench',
      partition,
      stream: 'bench',
      enricher,
      debt: new DebtTail({ topology: 'density-tier', topic: 'raw-vault.bench', partition }),
      start: asOffset(0),
      counts: NOTHING_COUNTED,
    })
    let recordCount = 0
    for (let index = 0; index < batchesPerRun; index++) {
      // As it lies in the log behind the one before; what forwarding writes into it is written over here.
      batch.writeBigInt64BE(BigInt(assigned.position), 0)
      recordCount += workOnBatch(assigned, batch, 0, options).recordCount
    }
    enricher.flush()
    return recordCount
  }
}
