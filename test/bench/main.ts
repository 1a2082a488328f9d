/** `npm run bench [name…]`: runs the benchmarks named, or all, one after the other, and prints what they measured. */

import { benchBatch } from './batch.ts'
import { benchEnrich } from './enrich.ts'
import { benchIdle, benchIngest } from './ingest.ts'
import type { BenchResult } from './report.ts'
import { formatPreamble, formatResults } from './report.ts'
import { benchTiers } from './tiers.ts'

/** Every benchmark by name. A new one is a file beside this one and a line here. */
const BENCHMARKS: Record<string, () => Promise<BenchResult[]>> = {
  batch: benchBatch,
  enrich: benchEnrich,
  tiers: benchTiers,
  ingest: benchIngest,
  idle: benchIdle,
}

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !Object.hasOwn(BENCHMARKS, name))
if (unknown.length > 0) {
  console.error(
    `No benchmark is named ${unknown.join(', ')}; there are ${Object.keys(BENCHMARKS).join(', ')}.`,
  )
  process.exitCode = 2
} else {
  console.log(formatPreamble(['npm run bench', ...(asked.length > 0 ? ['--', ...asked] : [])].join(' ')))
  for (const name of asked.length > 0 ? asked : Object.keys(BENCHMARKS)) {
    console.log(`\n${name}`)
    console.log(formatResults(await BENCHMARKS[name]()))
  }
}
