/**
 * Overload: records arrive at four times what full density can process, for a while, and then it is quiet. Watched from outside,
 * over the admin address and the process's own file in `/proc`: lag, tiers, memory, debt.
 */

import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { eventually } from '../../support/eventually.ts'
import { GopherShipProcess } from '../../support/gophership-process.ts'
import { connect, openDebt } from '../shedding-kills.ts'

const EVERYDAY_SECONDS = 6
const TOPOLOGY = fileURLToPath(new URL('slow.yaml', import.meta.url))

export interface OverloadOptions {
  readonly seconds: number
  readonly lagObjectiveSeconds: number
  /** Of one worker at full density, about; four times as much is sent. */
  readonly fullRecordsPerSecond: number
}

export interface OverloadReport {
  readonly recordCount: number
  readonly lagSecondsMax: number
  /** The tiers as they followed on each other. */
  readonly tiers: readonly string[]
  readonly idleMiB: number
  readonly peakMiB: number
  readonly owedMax: number
  readonly repaidSeconds: number
}

interface Status {
  readonly pressure: {
    readonly tier: string
    readonly pressureText: string
    readonly sensors: readonly { name: string; value: number }[]
  }
}

/** Runs the overload, and waits until nothing is owed; the process goes on running. */
export async function overload({
  seconds,
  lagObjectiveSeconds,
  fullRecordsPerSecond,
}: OverloadOptions): Promise<{ report: OverloadReport; gophership: GopherShipProcess }> {
  const gophership = await GopherShipProcess.prepare([
    '--processor-topology',
    TOPOLOGY,
    '--processor-worker-count',
    '1',
    '--pressure-lag-objective-ms',
    String(lagObjectiveSeconds * 1_000),
    '--pressure-dwell-ms',
    String(Math.min(5_000, lagObjectiveSeconds * 333)),
  ])
  await gophership.start()
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  const idleMiB = await residentMiB(gophership)
  const watch = watchUntil(gophership)
  // An everyday load first, from which it knows what its work costs.
  let recordCount = await sendFor(gophership, EVERYDAY_SECONDS, fullRecordsPerSecond / 2)
  recordCount += await sendFor(gophership, seconds, fullRecordsPerSecond * 4)
  const quietMs = performance.now()
  const cluster = await connect(gophership)
  let owedMax = 0
  await eventually(
    'nothing is owed, and all is processed',
    async () => {
      const owed = (await openDebt(cluster)).reduce((sum, entry) => sum + entry.recordCount, 0)
      owedMax = Math.max(owedMax, owed)
      return owed === 0 && watch.lagRecords() === 0
    },
    { withinMs: 600_000, everyMs: 500 },
  )
  await cluster.close()
  const seen = await watch.stop()
  return {
    gophership,
    report: {
      recordCount,
      ...seen,
      idleMiB,
      owedMax,
      repaidSeconds: Math.round((performance.now() - quietMs) / 1_000),
    },
  }
}

/** Sends so many records a second, paced by the clock and not by the answers; returns how many it were. */
async function sendFor(
  gophership: GopherShipProcess,
  seconds: number,
  recordsPerSecond: number,
): Promise<number> {
  let recordCount = 0
  const startedMs = performance.now()
  for (let tick = 0; performance.now() - startedMs < seconds * 1_000; tick++) {
    const count = Math.round(recordsPerSecond / 20)
    await send(gophership, count)
    recordCount += count
    const restMs = (tick + 1) * 50 - (performance.now() - startedMs)
    if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs))
  }
  return recordCount
}

async function send(gophership: GopherShipProcess, count: number): Promise<void> {
  const lines = Array.from(
    { length: count },
    (_, index) =>
      `{"time":"2024-05-17T10:05:00Z","level":"info","msg":"request completed","path":"/api/orders/${index}","status":200,"user":"user-${index % 97}"}`,
  )
  const response = await fetch(`${gophership.httpUrl}/v1/streams/burst`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join('\n'),
  })
  await response.arrayBuffer()
  if (response.status !== 200) throw new Error(`the load was answered with ${response.status}`)
}

async function residentMiB({ pid }: GopherShipProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024)
}

function watchUntil(gophership: GopherShipProcess) {
  let isStopped = false
  let lagSecondsMax = 0
  let lagRecords = Number.NaN
  let peakMiB = 0
  const tiers: string[] = ['full']
  const running = (async () => {
    while (!isStopped) {
      const response = await fetch(`${gophership.adminUrl}/v1/status`)
      const { pressure } = (await response.json()) as Status
      const readingOf = (sensor: string) => pressure.sensors.find(({ name }) => name === sensor)?.value ?? 0
      lagSecondsMax = Math.max(lagSecondsMax, readingOf('lagSeconds'))
      lagRecords = readingOf('lagRecords')
      if (tiers.at(-1) !== pressure.tier) tiers.push(pressure.tier)
      peakMiB = Math.max(peakMiB, await residentMiB(gophership))
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
  })()
  return {
    lagRecords: () => lagRecords,
    async stop() {
      isStopped = true
      await running
      return { lagSecondsMax: Math.round(lagSecondsMax * 10) / 10, tiers, peakMiB }
    },
  }
}
