/**
 * From a producer's socket to durable, on the embedded broker: the Kafka endpoint and the HTTP door, and beside each
 * round the same load written to the embedded broker directly. GopherShip runs as a process of its own (roles broker, ingress and
 * admin: enrichment would share the cores and blur both sides alike), the load comes from another: librdkafka by way of kcat in
 * batches of 16 KiB, and an HTTP client with four connections and bodies of 1 MiB.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BatchEncoder } from '../../src/batch/batch-encoder.ts'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { GopherShipProcess } from '../support/gophership-process.ts'
import { kcat } from '../support/kcat.ts'
import { cpuSecondsOf, residentBytesOf } from './process-cpu.ts'
import type { BenchResult } from './report.ts'

const ROUNDS = 5
const LINE_BYTES = 200
const KAFKA_LINES = 500_000
const HTTP_REQUESTS = 100
const HTTP_BODY_BYTES = 1024 * 1024
const HTTP_CONNECTIONS = 4
const PROBE_INTERVAL_MS = 20

/** What one run of one load gave. */
interface Run {
  readonly linesPerSecond: number
  readonly megabytesPerSecond: number
  readonly ackP50Ms: number
  readonly ackP99Ms: number
  readonly cpuSecondsPerGigabyte: number
}

/** A JSON line of exactly `LINE_BYTES` with its newline. */
function lineOf(index: number): string {
  const start = `{"time":"2024-05-17T10:00:00.${100 + (index % 900)}Z","level":"info","message":"request ${index} completed`
  return `${start.padEnd(LINE_BYTES - 3, 'x')}"}`
}

/** Runs every load in turn, round after round, so that a slow minute of the machine hits all of them. */
export async function benchIngest(): Promise<BenchResult[]> {
  const directory = await mkdtemp(join(tmpdir(), 'gophership-bench-'))
  const gophership = await GopherShipProcess.prepare([
    '--roles',
    'broker,ingress,admin',
    '--log-level',
    'warn',
  ])
  try {
    const linesFile = join(directory, 'lines.ndjson')
    await writeFile(
      linesFile,
      `${Array.from({ length: KAFKA_LINES }, (_, index) => lineOf(index)).join('\n')}\n`,
    )
    const body = Buffer.from(
      `${Array.from({ length: Math.floor(HTTP_BODY_BYTES / LINE_BYTES) }, (_, index) => lineOf(index)).join('\n')}\n`,
    )
    const brokerReady: number[] = []
    brokerReady.push(await gophership.start())
    const loads: Record<string, () => Promise<Run>> = {
      'direct to the broker (librdkafka)': () =>
        kafkaRun(gophership, gophership.brokerAddress, 'bench-direct', linesFile),
      'Kafka endpoint (librdkafka)': () =>
        kafkaRun(gophership, gophership.kafkaAddress, 'bench-endpoint', linesFile),
      'HTTP NDJSON': () => httpRun(gophership, body),
    }
    const runs = new Map<string, Run[]>(Object.keys(loads).map((name) => [name, []]))
    for (let round = -1; round < ROUNDS; round++) {
      for (const [name, load] of Object.entries(loads)) {
        const run = await load()
        if (round >= 0) runs.get(name)?.push(run)
      }
    }
    const direct = runs.get('direct to the broker (librdkafka)') ?? []
    const endpoint = runs.get('Kafka endpoint (librdkafka)') ?? []
    return [
      ...[...runs].flatMap(([name, list]) => resultsOf(name, list)),
      {
        name: 'endpoint / direct, lines per second',
        unit: 'ratio',
        rounds: endpoint.map(
          (run, round) => run.linesPerSecond / (direct[round]?.linesPerSecond ?? Number.NaN),
        ),
        target: '≥ 0.6',
      },
      {
        name: 'resident memory after the load',
        unit: 'MiB',
        rounds: [(await residentBytesOf(gophership.pid)) / 2 ** 20],
      },
    ]
  } finally {
    await gophership.destroy()
    await rm(directory, { recursive: true, force: true })
  }
}

/** Starting, and doing nothing: how soon the whole is ready, and what it costs to leave it running. */
export async function benchIdle(): Promise<BenchResult[]> {
  const readyMs: number[] = []
  const cpuPercent: number[] = []
  const residentMib: number[] = []
  for (let round = 0; round < 3; round++) {
    const gophership = await GopherShipProcess.prepare()
    try {
      readyMs.push(await gophership.start())
      await new Promise((resolve) => setTimeout(resolve, 3_000))
      const before = await cpuSecondsOf(gophership.pid)
      await new Promise((resolve) => setTimeout(resolve, 10_000))
      cpuPercent.push(((await cpuSecondsOf(gophership.pid)) - before) * 10)
      residentMib.push((await residentBytesOf(gophership.pid)) / 2 ** 20)
    } finally {
      await gophership.destroy()
    }
  }
  return [
    { name: 'up, from exec to ready', unit: 'ms', rounds: readyMs, target: '< 2000' },
    { name: 'idle, processor time', unit: '% of a core', rounds: cpuPercent, target: '< 1' },
    { name: 'idle, resident memory', unit: 'MiB', rounds: residentMib, target: '< 200' },
  ]
}

function resultsOf(name: string, runs: readonly Run[]): BenchResult[] {
  const result = (what: string, unit: string, value: (run: Run) => number): BenchResult => ({
    name: `${name}, ${what}`,
    unit,
    rounds: runs.map(value),
  })
  return [
    result('throughput', 'lines/s', (run) => run.linesPerSecond),
    result('throughput', 'MB/s', (run) => run.megabytesPerSecond),
    result('ack p50', 'ms', (run) => run.ackP50Ms),
    result('ack p99', 'ms', (run) => run.ackP99Ms),
    result('processor time of GopherShip', 's/GB', (run) => run.cpuSecondsPerGigabyte),
  ]
}

async function measured(
  gophership: GopherShipProcess,
  bytes: number,
  lines: number,
  load: () => Promise<number[]>,
): Promise<Run> {
  const cpuBefore = await cpuSecondsOf(gophership.pid)
  const startedAt = performance.now()
  const ackMs = (await load()).toSorted((a, b) => a - b)
  const seconds = (performance.now() - startedAt) / 1_000
  const cpuSeconds = (await cpuSecondsOf(gophership.pid)) - cpuBefore
  const at = (share: number) =>
    ackMs[Math.min(ackMs.length - 1, Math.floor(ackMs.length * share))] ?? Number.NaN
  return {
    linesPerSecond: lines / seconds,
    megabytesPerSecond: bytes / 1e6 / seconds,
    ackP50Ms: at(0.5),
    ackP99Ms: at(0.99),
    cpuSecondsPerGigabyte: cpuSeconds / (bytes / 1e9),
  }
}

/** librdkafka as fast as it goes; how long an acknowledgement takes meanwhile is asked by a second, slow producer. */
function kafkaRun(
  gophership: GopherShipProcess,
  address: string,
  topic: string,
  linesFile: string,
): Promise<Run> {
  return measured(gophership, KAFKA_LINES * LINE_BYTES, KAFKA_LINES, async () => {
    const isOver = new AbortController()
    const probe = probeAcks(address, topic, isOver.signal)
    const settings = ['batch.size=16384', 'linger.ms=5', 'queue.buffering.max.messages=500000', 'acks=all']
    const done = await kcat([
      '-P',
      '-b',
      address,
      '-t',
      topic,
      ...settings.flatMap((setting) => ['-X', setting]),
      '-l',
      linesFile,
    ])
    isOver.abort()
    const ackMs = await probe
    if (done.exitCode !== 0) throw new Error(`kcat exited with ${done.exitCode}: ${done.stderr}`)
    return ackMs
  })
}

async function probeAcks(address: string, topic: string, signal: AbortSignal): Promise<number[]> {
  const cluster = new KafkaCluster({
    bootstrapServers: [address],
    clientId: 'bench-probe',
    clock: systemClock,
    random: systemRandom,
    diagnostics: silentDiagnostics,
  })
  await cluster.connect()
  const producer = new Producer(cluster)
  const encoder = new BatchEncoder()
  encoder.start()
  for (let index = 0; encoder.bytes < 16_000; index++)
    encoder.append(1_700_000_000_000, null, Buffer.from(lineOf(index)))
  const batch = Buffer.from(encoder.finish())
  await cluster.metadata([topic]).catch(() => {})
  const ackMs: number[] = []
  while (!signal.aborted) {
    const sentAt = performance.now()
    await producer.send(topic, 0, batch)
    ackMs.push(performance.now() - sentAt)
    await new Promise((resolve) => setTimeout(resolve, PROBE_INTERVAL_MS))
  }
  await producer.stop()
  await cluster.close()
  return ackMs
}

function httpRun(gophership: GopherShipProcess, body: Buffer): Promise<Run> {
  const linesPerBody = Math.floor(HTTP_BODY_BYTES / LINE_BYTES)
  return measured(gophership, HTTP_REQUESTS * body.length, HTTP_REQUESTS * linesPerBody, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: HTTP_CONNECTIONS })
    const ackMs: number[] = []
    let left = HTTP_REQUESTS
    const connection = async () => {
      while (left-- > 0) {
        const sentAt = performance.now()
        await post(agent, gophership.ports.http, body)
        ackMs.push(performance.now() - sentAt)
      }
    }
    await Promise.all(Array.from({ length: HTTP_CONNECTIONS }, connection))
    agent.destroy()
    return ackMs
  })
}

function post(agent: Agent, port: number, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/x-ndjson', 'content-length': body.length }
    const sent = request(
      { agent, port, host: '127.0.0.1', method: 'POST', path: '/v1/streams/bench-http', headers },
      (response) => {
        response.resume()
        response.on('end', () =>
          response.statusCode === 200 ? resolve() : reject(new Error(`HTTP ${response.statusCode}`)),
        )
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}
