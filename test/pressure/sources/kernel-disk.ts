/** A disk that has a few small text files, whose size cannot be asked for, and nothing else. */

import type { Disk, DiskFile } from '../../../src/core/disk.ts'

export function kernelDisk(files: Readonly<Record<string, string>>): Disk {
  const open = async (path: string) => {
    const text = files[path]
    if (text === undefined) throw Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' })
    const file: Partial<DiskFile> = {
      read: async (into, position) => Buffer.from(text).copy(into, 0, position),
      close: async () => {},
    }
    return file as DiskFile
  }
  return { open } as Partial<Disk> as Disk
}
