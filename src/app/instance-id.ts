/**
 * The name of this installation, for ever: chosen once, kept in the data directory. Processors are static members of their
 * group under it (KIP-345), so that after a crash the restarted one has its partitions back at once, instead of
 * waiting for the session of its dead predecessor to run out.
 */

import { join } from 'node:path'
import type { Disk } from '../core/disk.ts'
import type { Random } from '../core/random.ts'
import { readSnapshot, writeSnapshot } from '../storage/snapshot-file.ts'

const FILE_NAME = 'instance-id'
const ID_BYTES = 8

/** The installation's id, 16 hexadecimal digits; made and made durable on the first call. The caller holds the directory's lock. */
export async function loadInstanceId(disk: Disk, random: Random, dataDir: string): Promise<string> {
  const path = join(dataDir, FILE_NAME)
  const known = await readSnapshot(disk, path)
  if (known !== null) return known.toString('utf8')
  const instanceId = random.bytes(ID_BYTES).toString('hex')
  await writeSnapshot(disk, path, Buffer.from(instanceId))
  return instanceId
}
