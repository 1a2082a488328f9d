import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { BatchHeader } from '../../../src/batch/record-batch.ts'
import { patchPartitionLeaderEpoch, readBatchHeader } from '../../../src/batch/record-batch.ts'
import { DEFAULT_BROKER_OPTIONS } from '../../../src/broker/broker-options.ts'
import { TopicRegistry } from '../../../src/broker/topics/topic-registry.ts'
import { decodeTopicsSnapshot, encodeTopicsSnapshot } from '../../../src/broker/topics/topics-snapshot.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { makeDurableDirectory } from '../../../src/storage/durable-directory.ts'
import { writeSnapshot } from '../../../src/storage/snapshot-file.ts'
import type { Diagnostics } from '../../../src/telemetry/diagnostics.ts'
import { silentDiagnostics } from '../../../src/telemetry/diagnostics.ts'
import { batchOf, ManualClock } from '../../storage/support.ts'
import { SimDisk, simPath } from '../../support/sim-disk.ts'

const DIRECTORY = simPath('broker')
const open: TopicRegistry[] = []
afterEach(async () => {
  for (const registry of open.splice(0)) await registry.close()
})

async function openRegistry(
  disk: SimDisk,
  seed = 1,
  diagnostics: Diagnostics = silentDiagnostics,
): Promise<TopicRegistry> {
  await makeDurableDirectory(disk, DIRECTORY)
  const registry = await TopicRegistry.open({
    disk,
    clock: new ManualClock(),
    random: seededRandom(seed),
    diagnostics,
    directory: DIRECTORY,
    options: DEFAULT_BROKER_OPTIONS,
  })
  open.push(registry)
  return registry
}

const declared = (name: string, partitionCount = 1) => ({ name, partitionCount, overrides: {} })

function batchToAppend(): [Buffer, BatchHeader] {
  const batch = batchOf('a')
  return [batch, readBatchHeader(batch, 0)]
}

describe('TopicRegistry', () => {
  it('makes a topic once, whoever asks meanwhile', async () => {
    const registry = await openRegistry(new SimDisk())

    const [first, second] = await Promise.all([
      registry.ensure(declared('t')),
      registry.ensure(declared('t', 9)),
    ])

    expect(first).toBe(second)
    expect(first?.partitions).toHaveLength(1)
  })

  it('is as before when the disk refuses a topic, and can make it once the disk is well', async () => {
    const disk = new SimDisk()
    const registry = await openRegistry(disk)
    disk.failAlways(['datasync'], 'ENOSPC')
    await expect(registry.ensure(declared('t'))).rejects.toMatchObject({ code: 'GS_STORAGE_FAILED' })
    const whileFull = [registry.byName('t'), registry.partitionCount]

    disk.heal()

    expect(whileFull).toEqual([undefined, 0])
    expect((await registry.ensure(declared('t'))).partitions).toHaveLength(1)
  })

  it('leaves nothing behind of a topic whose folder could not be made', async () => {
    const disk = new SimDisk()
    const registry = await openRegistry(disk)
    disk.failAlways(['mkdir'], 'EIO')
    await expect(registry.ensure(declared('t'))).rejects.toThrow()
    disk.heal()

    const again = await openRegistry(disk.fork(), 2)

    expect([...again.topics]).toEqual([])
    expect(disk.files().filter((path) => path.includes('/topics/'))).toEqual([])
  })

  it('keeps a topic when its deletion cannot be made durable', async () => {
    const disk = new SimDisk()
    const registry = await openRegistry(disk)
    const topic = await registry.ensure(declared('t'))
    disk.failAlways(['datasync'], 'EIO')

    await expect(registry.alone('t', () => registry.delete(topic))).rejects.toThrow()

    expect(registry.byName('t')).toBe(topic)
    expect(registry.byId(topic.id)).toBe(topic)
  })

  it('has its topic again when a deletion fails that others waited for', async () => {
    const disk = new SimDisk()
    const registry = await openRegistry(disk)
    const topic = await registry.ensure(declared('t', 2))
    disk.failAlways(['datasync'], 'EIO')

    const [deleted, ensured] = await Promise.allSettled([
      registry.alone('t', () => registry.delete(topic)),
      registry.ensure(declared('t')),
    ])
    disk.heal()
    await registry.ensure(declared('other'))
    const again = await openRegistry(disk.fork(), 2)

    expect(deleted?.status).toBe('rejected')
    expect(ensured).toMatchObject({ status: 'fulfilled', value: topic })
    expect(again.byName('t')?.partitions).toHaveLength(2)
  })

  it('finishes at the next start what a crash left of a deletion', async () => {
    const disk = new SimDisk()
    const registry = await openRegistry(disk)
    const topic = await registry.ensure(declared('gone'))
    await registry.ensure(declared('stays'))
    disk.failAlways(['removeDirectory', 'unlink'], 'EIO')
    await registry.alone('gone', () => registry.delete(topic))
    await registry.close()
    const left = disk.files().filter((path) => path.includes('/gone/')).length
    const after = disk.fork()

    const again = await openRegistry(after, 2)

    expect(left).toBeGreaterThan(0)
    expect([...again.topics].map(({ name }) => name)).toEqual(['stays'])
    expect(after.files().filter((path) => path.includes('/gone/'))).toEqual([])
    expect(await after.exists(simPath('broker', 'topics', 'gone'))).toBe(false)
  })

  it('gives the logs of each topic a secret of their own, for good', async () => {
    const disk = new SimDisk()
    const registry = await openRegistry(disk)
    const secrets = await Promise.all(
      ['a', 'b'].map(async (name) => (await registry.ensure(declared(name))).tagSecret?.toString('hex')),
    )
    await registry.close()

    const again = await openRegistry(disk.fork(), 2)

    expect(secrets.map((secret) => secret?.length)).toEqual([32, 32])
    expect(secrets[0]).not.toBe(secrets[1])
    expect(['a', 'b'].map((name) => again.byName(name)?.tagSecret?.toString('hex'))).toEqual(secrets)
  })

  it('reads a snapshot from before logs had tags, and what its topics hold', async () => {
    const disk = new SimDisk()
    const topic = { name: 'old', id: '00'.repeat(16), partitionCount: 1, configs: {} }
    const text = JSON.stringify({ version: 1, clusterId: 'c', topics: [topic], deleting: [] })
    await disk.mkdir(DIRECTORY)
    await writeSnapshot(disk, `${DIRECTORY}/topics.snapshot`, Buffer.from(text))
    const folder = `${DIRECTORY}/topics/old/${topic.id}/0`
    await disk.mkdir(folder)
    const batch = batchOf('old')
    patchPartitionLeaderEpoch(batch, 0, 0)
    disk.setBytes(`${folder}/00000000000000000000.log`, batch)

    const registry = await openRegistry(disk)

    expect(registry.byName('old')?.tagSecret).toBeNull()
    expect(registry.partition('old', 0)?.log.logEndOffset).toBe(1)
  })

  it('starts beside files and folders that are not its own, says so, and leaves them', async () => {
    const disk = new SimDisk()
    await (await openRegistry(disk)).ensure(declared('t'))
    const before = disk.fork()
    const topicsFolder = simPath('broker', 'topics')
    before.setBytes(join(topicsFolder, 'notes.txt'), Buffer.from('mine'))
    await before.mkdir(join(topicsFolder, 'lost+found', 'deeper'))
    await before.mkdir(join(topicsFolder, 'empty'))
    before.setBytes(join(topicsFolder, 't', 'notes.txt'), Buffer.from('mine'))
    const warned: unknown[] = []
    const diagnostics: Diagnostics = { ...silentDiagnostics, warn: ({ path }) => void warned.push(path) }

    const registry = await openRegistry(before, 2, diagnostics)

    expect([...registry.topics].map(({ name }) => name)).toEqual(['t'])
    const strangers = ['lost+found', 'notes.txt', join('t', 'notes.txt')]
    expect(warned.sort()).toEqual(strangers.map((name) => join(topicsFolder, name)))
    expect(before.bytesOf(join(topicsFolder, 'notes.txt')).toString()).toBe('mine')
    expect(await before.exists(join(topicsFolder, 'lost+found', 'deeper'))).toBe(true)
    expect(await before.exists(join(topicsFolder, 'empty'))).toBe(false)
  })

  it('says so when topics have folders and nothing tells which they are', async () => {
    const disk = new SimDisk()
    await (await openRegistry(disk)).ensure(declared('t'))
    const before = disk.fork()
    before.remove(join(DIRECTORY, 'topics.snapshot'))
    const warned: unknown[] = []

    await openRegistry(before, 2, { ...silentDiagnostics, warn: ({ path }) => void warned.push(path) })

    expect(warned).toEqual([join(DIRECTORY, 'topics', 't')])
  })

  it.each(['a folder that cannot be read', 'a snapshot of a newer release'])(
    'leaves no file open when it meets %s',
    async (obstacle) => {
      const disk = new SimDisk()
      const topic = await (await openRegistry(disk)).ensure(declared('t', 20))
      const after = disk.fork()
      const folder = join(DIRECTORY, 'topics', 't', topic.id.toString('hex'), '7')
      if (obstacle.startsWith('a folder')) after.failAlways(['readdir'], 'EIO', folder)
      else await writeSnapshot(after, join(folder, 'producers.snapshot'), Buffer.from([0, 99, 0, 0]))
      await expect(openRegistry(after, 2)).rejects.toThrow()

      expect(after.openPaths()).toEqual([])
    },
  )

  it('loses no record of a topic whose deletion failed, whatever call the disk refused', async () => {
    const lost: number[] = []
    let hasFailed = true
    for (let calls = 1; hasFailed; calls += 1) {
      const disk = new SimDisk()
      const registry = await openRegistry(disk)
      const topic = await registry.ensure(declared('t'))
      disk.failAfter(calls, 'EIO')
      const isDeleted = await registry
        .alone('t', () => registry.delete(topic))
        .then(
          () => true,
          () => false,
        )
      hasFailed = disk.hasFailed
      const appended = isDeleted ? undefined : registry.partition('t', 0)?.append(...batchToAppend())
      if (appended?.kind !== 'appended') continue
      await appended.durable

      for (const mode of ['none', 'all'] as const) {
        const again = await openRegistry(disk.crash(seededRandom(calls), mode), 2)
        if (again.partition('t', 0)?.highWatermark !== 1) lost.push(calls)
      }
    }
    expect(lost).toEqual([])
  })

  it('does not serve a topic that the next start may find deleted', async () => {
    const disk = new SimDisk()
    const registry = await openRegistry(disk)
    const topic = await registry.ensure(declared('t'))
    disk.failAlways(['syncDirectory'], 'EIO', DIRECTORY)

    await expect(registry.alone('t', () => registry.delete(topic))).rejects.toThrow()

    const served = registry.byName('t')
    disk.heal()
    await registry.close()
    expect(served).toBeUndefined()
    expect(disk.openPaths()).toEqual([])
  })

  it('removes a topic whose deletion failed halfway once another has its name', async () => {
    const disk = new SimDisk()
    const registry = await openRegistry(disk)
    const first = await registry.ensure(declared('t'))
    disk.failAlways(['syncDirectory'], 'EIO', DIRECTORY)
    await expect(registry.alone('t', () => registry.delete(first))).rejects.toThrow()
    disk.heal()
    const second = await registry.ensure(declared('t'))
    await registry.close()
    const after = disk.fork()

    const again = await openRegistry(after, 2)

    expect(again.byName('t')?.id).toEqual(second.id)
    expect(await after.readdir(join(DIRECTORY, 'topics', 't'))).toEqual([second.id.toString('hex')])
  })

  it('closes every partition of a deleted topic, though the files of one cannot be removed', async () => {
    const disk = new SimDisk()
    const registry = await openRegistry(disk)
    const topic = await registry.ensure(declared('t', 5))
    disk.failAlways(['removeDirectory'], 'EIO', join(topic.id.toString('hex'), '1'))

    await registry.alone('t', () => registry.delete(topic))
    await registry.close()

    expect(disk.openPaths()).toEqual([])
    expect(topic.partitions.map(({ isGone }) => isGone)).toEqual(Array(5).fill(true))
  })

  it('leaves nothing of a deleted topic, wherever the power fails', async () => {
    const left: number[] = []
    let isRemoved = false
    for (let calls = 1; !isRemoved; calls += 1) {
      const disk = new SimDisk()
      const cut = await openRegistry(disk)
      const topic = await cut.ensure(declared('gone', 2))
      const died = disk.dieAfter(calls)
      const removed = cut.alone('gone', () => cut.delete(topic)).then(() => cut.close())
      isRemoved = await Promise.race([removed.then(() => true), died.then(() => false)])
      open.splice(0)
      for (const mode of ['none', 'mixed', 'all'] as const) {
        const after = disk.crash(seededRandom(calls), mode)

        const again = await openRegistry(after, 2)

        const isThere = again.byName('gone') !== undefined
        const isLeft = await after.exists(simPath('broker', 'topics', 'gone'))
        if (isThere !== isLeft || (isRemoved && isThere)) left.push(calls)
      }
    }
    expect(left).toEqual([])
  })

  it("finds a record again after a power cut, wherever its topic's creation was killed before", async () => {
    const lost: number[] = []
    let isCreated = false
    for (let calls = 1; !isCreated; calls += 1) {
      const disk = new SimDisk()
      const killed = await openRegistry(disk)
      const died = disk.dieAfter(calls)
      isCreated = await Promise.race([killed.ensure(declared('t')).then(() => true), died.then(() => false)])
      open.splice(0)
      disk.revive()
      const registry = await openRegistry(disk, 2)
      const partition = (await registry.ensure(declared('t'))).partitions[0]
      const appended = partition?.append(...batchToAppend())
      if (appended?.kind === 'appended') await appended.durable

      const after = await openRegistry(disk.crash(seededRandom(calls), 'none'), 3)

      if (after.partition('t', 0)?.highWatermark !== 1) lost.push(calls)
    }
    expect(lost).toEqual([])
  })

  it('refuses a snapshot of a later version', () => {
    const bytes = encodeTopicsSnapshot({ clusterId: 'c', topics: [], deleting: [] })
    const later = Buffer.from(bytes.toString().replace('"version":2', '"version":3'))

    expect(decodeTopicsSnapshot(bytes).clusterId).toBe('c')
    expect(() => decodeTopicsSnapshot(later)).toThrow(expect.objectContaining({ code: 'GS_STORAGE_VERSION' }))
  })
})
