/**
 * Control groups, versions 1 and 2: where ours is, and how much memory it may use. Parsing is pure; `findMemoryLimit` reads.
 * Sources: the kernel's `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/memory.rst`, and `proc(5)`.
 */

import type { Disk } from '../../core/disk.ts'
import { readKernelFile } from './kernel-file.ts'

/** The process's place in each hierarchy, as paths below the hierarchy's root; null where it has none. */
export interface CgroupPaths {
  /** Version 2, the line `0::/path`. */
  readonly unified: string | null
  /** Version 1, the hierarchy with the controller `memory`. */
  readonly memory: string | null
}

/** Parses `/proc/self/cgroup`: lines of `id:controllers:path`. */
export function parseCgroupPaths(text: string): CgroupPaths {
  let unified: string | null = null
  let memory: string | null = null
  for (const line of text.split('\n')) {
    const [, id, controllers, path] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? []
    if (path === undefined || controllers === undefined) continue
    if (id === '0' && controllers === '') unified = path
    if (controllers.split(',').includes('memory')) memory = path
  }
  return { unified, memory }
}

/** Version 1 says "no limit" with the largest page-aligned number; anything near it is one. */
const UNLIMITED_BYTES_MIN = 2 ** 60

/** Parses `memory.max` and `memory.limit_in_bytes`; null for no limit, and for what is no number. */
export function parseMemoryLimit(text: string): number | null {
  const word = text.trim()
  if (!/^\d+$/.test(word)) return null
  const bytes = Number(word)
  return bytes > 0 && bytes < UNLIMITED_BYTES_MIN ? bytes : null
}

/** Parses one line such as `MemTotal:  24684092 kB` of `/proc/meminfo` or `/proc/self/status` to bytes; null without it. */
export function parseKilobyteLine(text: string, name: string): number | null {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name}:`))
  const [, kilobytes] = /:\s*(\d+) kB\s*$/.exec(line ?? '') ?? []
  return kilobytes === undefined ? null : Number(kilobytes) * 1024
}

/** A folder and all folders above it, up to the root: `/a/b` gives `/a/b`, `/a` and the empty text. */
export function withAncestors(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '..')
  return [...parts.keys(), parts.length].reverse().map((count) => {
    return parts
      .slice(0, count)
      .map((part) => `/${part}`)
      .join('')
  })
}

export interface MemoryLimit {
  readonly bytes: number
  /** The file that sets it: a control group's, or the machine's `/proc/meminfo`. */
  readonly path: string
}

/**
 * The memory this process may use: the lowest limit of its control group and of those around it, or the machine's memory.
 * In a container the path in `/proc/self/cgroup` may be that of the host, which is not there; the root of what is mounted is
 * then the container's own group, and it is among the ancestors. Null when nothing can be read.
 */
export async function findMemoryLimit(disk: Disk): Promise<MemoryLimit | null> {
  const { unified, memory } = parseCgroupPaths((await readKernelFile(disk, '/proc/self/cgroup')) ?? '')
  const candidates = [
    ...withAncestors(unified ?? '/').map((path) => `/sys/fs/cgroup${path}/memory.max`),
    ...withAncestors(memory ?? '/').map((path) => `/sys/fs/cgroup/memory${path}/memory.limit_in_bytes`),
  ]
  let lowest: MemoryLimit | null = null
  for (const path of candidates) {
    const bytes = parseMemoryLimit((await readKernelFile(disk, path)) ?? '')
    if (bytes !== null && bytes < (lowest?.bytes ?? Number.POSITIVE_INFINITY)) lowest = { bytes, path }
  }
  const path = '/proc/meminfo'
  const bytes = parseKilobyteLine((await readKernelFile(disk, path)) ?? '', 'MemTotal')
  if (bytes !== null && bytes < (lowest?.bytes ?? Number.POSITIVE_INFINITY)) lowest = { bytes, path }
  return lowest
}
