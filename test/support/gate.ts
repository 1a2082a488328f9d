/** A gate that holds up whoever passes while it is closed, and a disk whose syncs of some files pass one. */

import type { Disk } from '../../src/core/disk.ts'
import { systemDisk } from '../../src/core/system-disk.ts'

/** Open at first. */
export class Gate {
  #open = Promise.resolve()
  #isClosed = false
  release = () => {}
  /** How many have come to it while it was closed. */
  heldCount = 0

  close(): void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#open = promise
    this.#isClosed = true
    this.release = () => {
      this.#isClosed = false
      resolve()
    }
  }

  pass(): Promise<void> {
    if (this.#isClosed) this.heldCount++
    return this.#open
  }
}

/** The system's disk, on which every sync of a file with `name` in its path passes the gate: written, and not durable before it. */
export function diskBehind(gate: Gate, name: string): Disk {
  const open: Disk['open'] = async (path, mode) => {
    const file = await systemDisk.open(path, mode)
    if (!path.includes(name)) return file
    return {
      read: (into, position) => file.read(into, position),
      write: (bytes, position) => file.write(bytes, position),
      writev: (buffers, position) => file.writev(buffers, position),
      datasync: () => gate.pass().then(() => file.datasync()),
      truncate: (bytes) => file.truncate(bytes),
      size: () => file.size(),
      close: () => file.close(),
    }
  }
  return { ...systemDisk, open }
}
