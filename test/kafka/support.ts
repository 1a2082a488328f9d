/** What the client's tests share: a cluster object on real time, ready batches, and reading records back. */

import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { batchBytesAt } from '../../src/batch/record-batch.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import type { Clock } from '../../src/core/clock.ts'
import { systemClock } from '../../src/core/clock.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { KafkaClusterOptions } from '../../src/kafka/cluster.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import type { FetchedPartition } from '../../src/kafka/fetch-partition.ts'
import type { Fetcher } from '../../src/kafka/fetcher.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'

export function openCluster(
  bootstrapServers: readonly string[],
  options: Partial<KafkaClusterOptions> = {},
  clientId = 'gophership-test',
  clock: Clock = systemClock,
): KafkaCluster {
  return new KafkaCluster({
    bootstrapServers,
    clientId,
    clock,
    random: seededRandom(1),
    diagnostics: silentDiagnostics,
    options,
  })
}

/** One batch with these values, in a buffer of its own. */
export function batchOf(...values: readonly string[]): Buffer {
  const encoder = new BatchEncoder({ bytesMax: 64 * 1024 * 1024 })
  encoder.start()
  for (const value of values) encoder.append(1_700_000_000_000, null, Buffer.from(value))
  return Buffer.from(encoder.finish())
}

/** The values of whole batches, from `fetchOffset` on, control batches left out. */
export function valuesOf({
  records,
  fetchOffset,
}: Pick<FetchedPartition, 'records' | 'fetchOffset'>): string[] {
  const cursor = new RecordCursor()
  const values: string[] = []
  for (let at = 0; at < records.length; at += batchBytesAt(records, at)) {
    const header = cursor.open(records, at)
    while (cursor.next()) {
      if (!header.isControl && cursor.offset >= fetchOffset)
        values.push(cursor.valueBytes()?.toString() ?? '')
    }
  }
  return values
}

/** Polls until `count` values are there, by `topic-partition`, in the order they came; fails after `withinMs`. */
export async function readValues(
  fetcher: Fetcher,
  count: number,
  withinMs = 10_000,
): Promise<Map<string, string[]>> {
  const values = new Map<string, string[]>()
  const deadline = performance.now() + withinMs
  let found = 0
  while (found < count) {
    if (performance.now() > deadline)
      throw new Error(`expected ${count} values within ${withinMs} ms, found ${found}`)
    for (const fetched of await fetcher.poll({ timeoutMs: 200 })) {
      const key = `${fetched.topic}-${fetched.partition}`
      const more = valuesOf(fetched)
      found += more.length
      values.set(key, [...(values.get(key) ?? []), ...more])
    }
  }
  return values
}
