/**
 * Opens the batch in a file and reports how that ended and what it cost: `node open-bomb.ts <file> <codec> [limit]`.
 *
 * Growth is the peak resident size while it is opened, less what was held before. The peak is the kernel's own
 * (`VmHWM`), reset just before; `getrusage` will not do, since its peak is inherited from the parent over `exec`. The
 * bomb comes from a file and is not built here, because the builder's garbage, freed at the wrong moment, spoils both.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import type { Compression } from '../../src/batch/record-batch.ts'
import { RecordCursor } from '../../src/batch/record-cursor.ts'
import { batchOf, codeOf, plainRecords } from './samples.ts'

const peakBytes = () =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]) * 1024

const [file, codec, limit] = process.argv.slice(2)
const cursor = new RecordCursor()
// The codec is warmed up first: what is measured is the bomb, not the loading of code.
cursor.open(batchOf(plainRecords(1_000), { compression: Number(codec) as Compression }))
const batch = readFileSync(file)

writeFileSync('/proc/self/clear_refs', '5') // proc(5): resets the peak to what is resident now.
const heldBytes = peakBytes()
const cpuBefore = process.cpuUsage()
const code = codeOf(() =>
  cursor.open(batch, 0, limit === undefined ? {} : { inflatedBytesMax: Number(limit) }),
)
// Time on the processor, all threads: the wall clock says how busy the machine is.
const { user, system } = process.cpuUsage(cpuBefore)
const cpuMs = (user + system) / 1000
process.stdout.write(`${JSON.stringify({ code, grownBytes: peakBytes() - heldBytes, cpuMs })}\n`)
