import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/core/random.ts'
import { readSnapshot, writeSnapshot } from '../../src/storage/snapshot-file.ts'
import { SimDisk } from '../support/sim-disk.ts'
import { codeOf } from './support.ts'

const PATH = '/data/state'

async function diskWith(content: string): Promise<SimDisk> {
  const disk = new SimDisk()
  await disk.mkdir('/data')
  await disk.syncDirectory('/')
  await writeSnapshot(disk, PATH, Buffer.from(content))
  return disk
}

describe('snapshot file', () => {
  test('gives back what was written last, and null when nothing was', async () => {
    const disk = await diskWith('first')
    await writeSnapshot(disk, PATH, Buffer.from('second'))
    expect((await readSnapshot(disk, PATH))?.toString()).toBe('second')
    expect(await readSnapshot(disk, '/data/other')).toBeNull()
  })

  test('holds no bytes as well as many', async () => {
    const disk = await diskWith('')
    expect(await readSnapshot(disk, PATH)).toEqual(Buffer.alloc(0))
  })

  test('D9: a power cut at any call leaves the old bytes or the new ones, and the new ones once it resolved', async () => {
    const random = seededRandom(1)
    let isComplete = false
    for (let call = 1; !isComplete; call += 1) {
      const disk = await diskWith('old')
      const died = disk.dieAfter(call).then(() => false)
      isComplete = await Promise.race([died, writeSnapshot(disk, PATH, Buffer.from('new')).then(() => true)])
      for (let state = 0; state < 40; state += 1) {
        const found = (await readSnapshot(disk.crash(random), PATH))?.toString()
        expect(isComplete ? ['new'] : ['old', 'new'], `call ${call}`).toContain(found)
      }
    }
  })

  test('D9: what was read after a kill is still there after a power cut', async () => {
    const random = seededRandom(2)
    for (let call = 1; call <= 8; call += 1) {
      const disk = await diskWith('old')
      const died = disk.dieAfter(call)
      await Promise.race([died, writeSnapshot(disk, PATH, Buffer.from('new'))])
      disk.revive()
      const seen = (await readSnapshot(disk, PATH))?.toString()
      expect((await readSnapshot(disk.crash(random, 'none'), PATH))?.toString(), `call ${call}`).toBe(seen)
    }
  })

  test('D4: a call that fails, any of them, is a failure, and the old bytes or the new ones are there', async () => {
    for (let call = 1; ; call += 1) {
      const disk = await diskWith('old')
      disk.failAfter(call, 'EIO')
      const code = await codeOf(() => writeSnapshot(disk, PATH, Buffer.from('new')))
      if (!disk.hasFailed) break
      disk.heal()
      expect(code, `call ${call}`).toBe('GS_STORAGE_FAILED')
      expect(['old', 'new']).toContain((await readSnapshot(disk, PATH))?.toString())
      await writeSnapshot(disk, PATH, Buffer.from('again'))
      expect((await readSnapshot(disk, PATH))?.toString()).toBe('again')
    }
  })

  test('D8: any flipped bit and any cut is found', async () => {
    const disk = await diskWith('some content')
    const size = disk.bytesOf(PATH).length
    for (let bit = 0; bit < size * 8; bit += 1) {
      const damaged = disk.fork()
      damaged.flip(PATH, bit >>> 3, 1 << (bit & 7))
      expect(await codeOf(() => readSnapshot(damaged, PATH)), `bit ${bit}`).toBe('GS_STORAGE_CORRUPT')
    }
    for (let kept = 0; kept < size; kept += 1) {
      const damaged = disk.fork()
      damaged.setBytes(PATH, damaged.bytesOf(PATH).subarray(0, kept))
      expect(await codeOf(() => readSnapshot(damaged, PATH)), `cut at ${kept}`).toBe('GS_STORAGE_CORRUPT')
    }
  })

  test('D10: a newer format is refused by name, an impossible one is damage', async () => {
    const disk = await diskWith('some content')
    expect(await codeOf(() => readSnapshot(withVersion(disk, 2), PATH))).toBe('GS_STORAGE_VERSION')
    expect(await codeOf(() => readSnapshot(withVersion(disk, 0), PATH))).toBe('GS_STORAGE_CORRUPT')
  })
})

/** The snapshot as a writer of another version would have left it. */
function withVersion(disk: SimDisk, version: number): SimDisk {
  const changed = disk.fork()
  const bytes = Buffer.from(changed.bytesOf(PATH))
  bytes.writeUInt32BE(version, 8)
  bytes.writeUInt32BE(crc32c(bytes.subarray(8)), 4)
  changed.setBytes(PATH, bytes)
  return changed
}

/** CRC-32C by its definition, bit by bit: not the one under test. */
function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}
