/** A compactor in a process of its own, to be killed: says `settled <records>` whenever it has settled some. */

import { createAmbientBuffer } from '../../src/pressure/ambient-status.ts'
import { startCompactor } from './support.ts'

const { compactor } = await startCompactor(String(process.argv[2]), createAmbientBuffer(), {})
let said = 0
setInterval(() => {
  const { settledRecordCount } = compactor.status()
  if (settledRecordCount === said) return
  said = settledRecordCount
  process.stdout.write(`settled ${said}\n`)
}, 1)
