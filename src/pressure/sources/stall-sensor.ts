/**
 * `stallCpu`, `stallMemory`, `stallIo`: the kernel's pressure-stall information, for our own control group where it is
 * counted, else for the machine. Source: the kernel's `Documentation/accounting/psi.rst`.
 */

import type { Disk } from '../../core/disk.ts'
import type { Readings } from '../sensors.ts'
import { parseCgroupPaths } from './cgroup.ts'
import { readKernelFile } from './kernel-file.ts'

/** Parses the line `some avg10=0.12 avg60=…` of a pressure file; null without it. */
export function parseSomeAvg10(text: string): number | null {
  const [, percent] = /^some avg10=(\d+(?:\.\d+)?)(?= )/m.exec(text) ?? []
  return percent === undefined ? null : Number(percent)
}

const RESOURCES = ['cpu', 'memory', 'io'] as const

export class StallSensor {
  readonly #disk: Disk
  readonly #groupPath: string | null

  private constructor(disk: Disk, groupPath: string | null) {
    this.#disk = disk
    this.#groupPath = groupPath
  }

  static async start(disk: Disk): Promise<StallSensor> {
    const { unified } = parseCgroupPaths((await readKernelFile(disk, '/proc/self/cgroup')) ?? '')
    // The root group has no pressure files of its own.
    return new StallSensor(disk, unified === '/' ? null : unified)
  }

  /** Percent of the last 10 s; null where the kernel does not count. */
  async read(): Promise<Pick<Readings, 'stallCpu' | 'stallMemory' | 'stallIo'>> {
    const [stallCpu, stallMemory, stallIo] = await Promise.all(RESOURCES.map((name) => this.#percent(name)))
    return { stallCpu, stallMemory, stallIo } as Pick<Readings, 'stallCpu' | 'stallMemory' | 'stallIo'>
  }

  async #percent(resource: (typeof RESOURCES)[number]): Promise<number | null> {
    if (this.#groupPath !== null) {
      const path = `/sys/fs/cgroup${this.#groupPath}/${resource}.pressure`
      const percent = parseSomeAvg10((await readKernelFile(this.#disk, path)) ?? '')
      if (percent !== null) return percent
    }
    return parseSomeAvg10((await readKernelFile(this.#disk, `/proc/pressure/${resource}`)) ?? '')
  }
}
