/**
 * Enrichment on one core: the bytes of a line to the bytes of its event, as the processor has it done, at full and at partial
 * density. The bare `JSON.parse` and `JSON.stringify` of the same line stands
 * beside it: what is above that is what enrichment costs.
 */

import { readFileSync } from 'node:fs'
import { compileTopology } from '../../src/topology/compile.ts'
import type { Density } from '../../src/topology/declaration.ts'
import type { Enricher } from '../../src/topology/enricher.ts'
import { createEnricher } from '../../src/topology/enricher.ts'
import { parseTopology } from '../../src/topology/parse-topology.ts'
import type { BenchResult } from './report.ts'
import { measure, perSecond } from './report.ts'

const TOPOLOGY = new URL('../../topologies/density-tier.yaml', import.meta.url)
const LINE_COUNT = 4_000

const two = (value: number) => `${value % 60}`.padStart(2, '0')
/** `mm:ss`, the same for a hundred lines: a second at this speed holds many more. */
const clock = (index: number) => `${two(Math.floor(index / 6000))}:${two(Math.floor(index / 100))}`

interface Kind {
  readonly name: string
  readonly line: (index: number) => string
  readonly target?: string
  /** What partial density is to take of the time of full density. */
  readonly partialTarget?: string
}

/** Lines as programs write them, none like the one before. */
const KINDS: readonly Kind[] = [
  {
    name: 'JSON',
    target: '≥ 350k',
    partialTarget: '≤ 0.25',
    line: (index) =>
      `{"time":"2024-05-17T10:${clock(index)}.${100 + (index % 900)}Z","level":"info","msg":"request completed","method":"GET","path":"/api/v1/orders/${index}","status":200,"durationMs":${(index % 977) / 10},"user":"user-${index % 97}","region":"eu-west-1"}`,
  },
  {
    name: 'access log',
    target: '≥ 200k',
    partialTarget: '≤ 0.25',
    line: (index) =>
      `203.0.${index % 250}.${index % 199} - - [17/May/2024:10:${clock(index)} +0000] "GET /catalogue/item/${index}?page=${index % 9} HTTP/1.1" 200 ${1000 + index} "https://shop.example/catalogue" "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0"`,
  },
  {
    name: 'syslog (RFC 3164)',
    line: (index) =>
      `<38>May 17 10:${clock(index)} web-${index % 9} sshd[${2000 + index}]: Accepted publickey for deploy from 198.51.100.${index % 250} port ${40000 + index} ssh2: ED25519`,
  },
  {
    name: 'log4j text',
    line: (index) =>
      `2024-05-17 10:${clock(index)},${100 + (index % 900)} INFO [pool-1-thread-${index % 16}] com.example.orders.OrderService: Order ${index} was confirmed after ${index % 977} ms and handed to shipping`,
  },
]

export async function benchEnrich(): Promise<BenchResult[]> {
  const topology = compileTopology(parseTopology(readFileSync(TOPOLOGY, 'utf8'), 'density-tier.yaml'))
  // One for all, as a worker has it.
  const enricher = createEnricher(topology)
  const results: BenchResult[] = []
  for (const kind of KINDS) {
    const corpus = corpusOf(kind.line)
    const fullWork = enrichAll(enricher, corpus, 'full')
    const partialWork = enrichAll(enricher, corpus, 'partial')
    const name = `${kind.name}, ${corpus.lineBytes} B`
    results.push(
      await measure(`${name}, full`, () => perSecond(fullWork), {
        unit: 'lines/s',
        ...(kind.target === undefined ? {} : { target: kind.target }),
      }),
      await measure(`${name}, partial`, () => perSecond(partialWork), { unit: 'lines/s' }),
      await measure(`${name}, partial costs of full`, () => costRatio(partialWork, fullWork), {
        unit: '',
        ...(kind.partialTarget === undefined ? {} : { target: kind.partialTarget }),
      }),
    )
    if (kind.name !== 'JSON') continue
    // Beside the wall clock, not in place of it: on a machine that others use, the two tell load from cost.
    results.push(
      await measure(`${name}, full, by CPU time`, () => perCpuSecond(fullWork), { unit: 'lines/CPU s' }),
    )
    const bareWork = bareJson(corpus)
    results.push(
      await measure(`bare JSON.parse and stringify, ${corpus.lineBytes} B`, () => perSecond(bareWork), {
        unit: 'lines/s',
      }),
      await measure(`${name}, full costs of the bare two`, () => costRatio(fullWork, bareWork), { unit: '' }),
    )
  }
  return results
}

function enrichAll(enricher: Enricher, corpus: Corpus, density: Density): () => number {
  const { bytes, starts, ends } = corpus
  return () => {
    for (let index = 0; index < LINE_COUNT; index += 1) {
      const [start, end] = [starts[index] as number, ends[index] as number]
      const arrivedMs = 1_715_940_000_000 + index
      const event = enricher.enrich(bytes, start, end, arrivedMs, 'raw-vault.bench', 0, index, null, density)
      if (typeof event !== 'number') throw new Error(`a line of the benchmark was refused: ${event.message}`)
    }
    return LINE_COUNT
  }
}

/**
 * What `work` takes of the time of `other`. The two take turns, and the fastest of each counts: what slows a round down
 * is the machine's, and comes to both.
 */
function costRatio(work: () => number, other: () => number): number {
  let workMs = Number.POSITIVE_INFINITY
  let otherMs = Number.POSITIVE_INFINITY
  for (let round = 0; round < 30; round += 1) {
    workMs = Math.min(workMs, durationOf(work))
    otherMs = Math.min(otherMs, durationOf(other))
  }
  return workMs / otherMs
}

function durationOf(work: () => number): number {
  const startedMs = performance.now()
  work()
  return performance.now() - startedMs
}

/** How much `work` does in a second of this process's processor time, over about `durationMs` of it. */
function perCpuSecond(work: () => number, durationMs = 250): number {
  const started = process.cpuUsage()
  let done = 0
  let tookMs = 0
  do {
    done += work()
    const { user, system } = process.cpuUsage(started)
    tookMs = (user + system) / 1000
  } while (tookMs < durationMs)
  return (done / tookMs) * 1000
}

/** The floor under any enrichment of a JSON line that is parsed. */
function bareJson({ bytes, starts, ends }: Corpus): () => number {
  const output = Buffer.allocUnsafe(1 << 16)
  return () => {
    for (let index = 0; index < LINE_COUNT; index += 1) {
      const attributes: unknown = JSON.parse(bytes.toString('utf8', starts[index], ends[index]))
      output.write(JSON.stringify({ attributes }), 0, 'utf8')
    }
    return LINE_COUNT
  }
}

interface Corpus {
  readonly bytes: Buffer
  readonly starts: readonly number[]
  readonly ends: readonly number[]
  readonly lineBytes: number
}

/** The lines side by side in one buffer, as in a record batch. */
function corpusOf(line: Kind['line']): Corpus {
  const parts = Array.from({ length: LINE_COUNT }, (_, index) => Buffer.from(line(index)))
  const starts: number[] = []
  const ends: number[] = []
  let at = 0
  for (const part of parts) {
    starts.push(at)
    at += part.length
    ends.push(at)
  }
  return { bytes: Buffer.concat(parts), starts, ends, lineBytes: Math.round(at / LINE_COUNT) }
}
