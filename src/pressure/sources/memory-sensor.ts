/** `residentMemory`: resident memory of the process as a share of what it may use. */

import type { Disk } from '../../core/disk.ts'
import { findMemoryLimit, type MemoryLimit, parseKilobyteLine } from './cgroup.ts'
import { readKernelFile } from './kernel-file.ts'

export class MemorySensor {
  readonly #disk: Disk
  /** Null where no limit can be found; the sensor then never knows anything. */
  readonly limit: MemoryLimit | null

  private constructor(disk: Disk, limit: MemoryLimit | null) {
    this.#disk = disk
    this.limit = limit
  }

  /** Finds the limit once; a limit that is changed under a running process is seen at its next start. */
  static async start(disk: Disk): Promise<MemorySensor> {
    return new MemorySensor(disk, await findMemoryLimit(disk))
  }

  /** Resident memory over the limit, from 0; null when either is not known. */
  async read(): Promise<number | null> {
    if (this.limit === null) return null
    const status = await readKernelFile(this.#disk, '/proc/self/status')
    const residentBytes = parseKilobyteLine(status ?? '', 'VmRSS')
    return residentBytes === null ? null : residentBytes / this.limit.bytes
  }
}
