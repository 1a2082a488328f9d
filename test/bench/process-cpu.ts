/** CPU time of another process, from the kernel's own account (proc(5), `/proc/<pid>/stat`). */

import { readFile } from 'node:fs/promises'

/** Clock ticks per second that the kernel reports in; fixed at 100 for user space on Linux. */
const TICKS_PER_SECOND = 100

/** User and system seconds that a process has used so far, over all its threads. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The command name may hold spaces and parentheses; the fields after it are numbers.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Resident memory of a process in bytes. */
export async function residentBytesOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) * 1024
}
