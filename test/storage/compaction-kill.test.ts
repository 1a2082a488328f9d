/** D1: `kill -9` of a real process that appends and compacts on a real disk, over and over on the same log. */

import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { systemRandom } from '../../src/core/random.ts'
import { systemDisk } from '../../src/core/system-disk.ts'
import { readRecords } from './compaction-support.ts'
import { openLog } from './support.ts'

const CHILD = fileURLToPath(new URL('./compaction-child.ts', import.meta.url))
const ROUNDS = process.env['GOPHERSHIP_TEST_LONG'] === '1' ? 300 : 6
const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

interface Acknowledged {
  readonly offset: number
  readonly key: string
  /** Null for a tombstone. */
  readonly value: string | null
}

/** Runs the child until some time after its first compaction, kills it, and gives what it said. */
async function runAndKill(directory: string, firstValue: number) {
  const child = spawn(process.execPath, [CHILD, directory, String(firstValue)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { promise: compacted, resolve: onCompacted } = Promise.withResolvers<void>()
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  let said = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (text: string) => {
    said += text
    if (said.includes('c\n')) onCompacted()
  })
  await Promise.race([compacted, exited])
  await new Promise((resolve) => setTimeout(resolve, systemRandom.below(250)))
  child.kill('SIGKILL')
  await exited
  const lines = said.slice(0, said.lastIndexOf('\n')).split('\n')
  const acknowledged = lines.flatMap((line): Acknowledged[] => {
    const [offset, key, value] = line.split(' ')
    return key === undefined || value === undefined
      ? []
      : [{ offset: Number(offset), key, value: value === '-' ? null : value }]
  })
  return { acknowledged, compactionCount: lines.filter((line) => line === 'c').length }
}

test(`the latest value of every key survives, at its offset, over ${ROUNDS} kills`, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'gophership-compaction-'))
  folders.push(directory)
  /** By key: the latest that was acknowledged, or was found to have been written. */
  const latest = new Map<string, Acknowledged>()
  const byOffset = new Map<number, string>()
  let compactionCount = 0
  let removedCount = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const run = await runAndKill(directory, round * 1_000_000)
    compactionCount += run.compactionCount
    for (const each of run.acknowledged) {
      latest.set(each.key, each)
      byOffset.set(each.offset, `${each.key}=${each.value}`)
    }
    const log = await openLog(systemDisk, { directory, segmentBytesMax: 4_000 })
    const records = await readRecords(log)
    const found = new Map(records.map((record) => [record.key ?? '', record]))
    expect(log.quarantined).toEqual([])
    for (const { offset, key, value } of records) {
      // A record that was written and not acknowledged any more is as good as acknowledged once it was read.
      const known = byOffset.get(offset)
      if (known !== undefined) expect(`${key}=${value}`).toBe(known)
      byOffset.set(offset, `${key}=${value}`)
    }
    for (const [key, { offset, value }] of latest) {
      const record = found.get(key)
      // A tombstone whose time has passed leaves nothing at all of its key; what is there must not be older.
      if (record === undefined) expect(value).toBeNull()
      else expect(record.offset).toBeGreaterThanOrEqual(offset)
    }
    for (const [key, record] of found) {
      latest.set(key, { offset: record.offset, key, value: record.value })
    }
    removedCount += log.logEndOffset - records.length
    await log.close()
  }
  expect(compactionCount).toBeGreaterThanOrEqual(ROUNDS)
  expect(removedCount).toBeGreaterThan(0)
}, 600_000)
