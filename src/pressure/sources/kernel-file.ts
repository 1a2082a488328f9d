/** The small text files of `/proc` and `/sys`: their size is not known before they are read, and any of them may be absent. */

import type { Disk } from '../../core/disk.ts'

/** Bytes read of such a file; those read here are far smaller. */
const KERNEL_FILE_BYTES_MAX = 16 * 1024

/** The text of a file, or null when it is absent or not for us to read: a sensor without its file is a sensor not known. */
export async function readKernelFile(disk: Disk, path: string): Promise<string | null> {
  try {
    const file = await disk.open(path, 'read')
    try {
      const bytes = Buffer.allocUnsafe(KERNEL_FILE_BYTES_MAX)
      return bytes.toString('utf8', 0, await file.read(bytes, 0))
    } finally {
      await file.close()
    }
  } catch {
    return null
  }
}
