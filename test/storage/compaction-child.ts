/**
 * A process for `compaction-kill.test.ts`: appends to a log and compacts it all the time, until it is killed. It says what was
 * acknowledged, one line each: `<offset> <key> <value>`, where value is `-` for a tombstone; and `c` for each compaction.
 */

import { writeSync } from 'node:fs'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { systemDisk } from '../../src/core/system-disk.ts'
import { KeyHash } from '../../src/storage/key-offsets.ts'
import { PARTITION_LOG_DEFAULTS, PartitionLog } from '../../src/storage/partition-log.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { keyedBatch, RESTLESS } from './compaction-support.ts'
import { LOG_TAG } from './support.ts'

const [directory = '', firstValue = '0'] = process.argv.slice(2)
const KEYS = 20
const log = await PartitionLog.open({
  disk: systemDisk,
  clock: systemClock,
  directory,
  options: { ...PARTITION_LOG_DEFAULTS, segmentBytesMax: 4_000 },
  diagnostics: silentDiagnostics,
  tag: LOG_TAG,
})
const keyHash = new KeyHash(systemRandom)

async function append(): Promise<never> {
  for (let value = Number(firstValue); ; value += 1) {
    const key = `k${systemRandom.below(KEYS)}`
    const text = systemRandom.below(6) === 0 ? null : String(value)
    const { baseOffset, durable } = log.append(keyedBatch([{ key, value: text }]))
    await durable
    writeSync(1, `${baseOffset} ${key} ${text ?? '-'}\n`)
  }
}

async function compact(): Promise<never> {
  for (;;) {
    await log.clean({
      nowMs: systemClock.wallMs(),
      stableOffset: log.durableEndOffset,
      minLagMs: 0,
      deleteRetentionMs: 20,
      keyBytesMax: 24 * 1024,
      keyHash,
      lastOfProducer: () => undefined,
      pace: RESTLESS,
    })
    writeSync(1, 'c\n')
    await systemClock.sleep(1)
  }
}

await Promise.all([append(), compact()])
