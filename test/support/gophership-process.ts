/**
 * A whole GopherShip as its users run it: `gophership up` in a process of its own, on free ports and a data directory
 * of the test's. The test stays outside the fault domain: it may kill this process at any instant.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface GopherShipPorts {
  readonly kafka: number
  readonly http: number
  readonly broker: number
  readonly admin: number
}

export class GopherShipProcess {
  readonly ports: GopherShipPorts
  readonly dataDir: string
  /** Everything the process printed since its last start, for failure messages. */
  output = ''
  #child: ChildProcess | null = null
  readonly #extraArguments: readonly string[]

  private constructor(ports: GopherShipPorts, dataDir: string, extraArguments: readonly string[]) {
    this.ports = ports
    this.dataDir = dataDir
    this.#extraArguments = extraArguments
  }

  /** Chooses ports and an empty data directory; starts nothing yet. */
  static async prepare(extraArguments: readonly string[] = []): Promise<GopherShipProcess> {
    const [kafka, http, broker, admin] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
    const dataDir = await mkdtemp(join(tmpdir(), 'gophership-e2e-'))
    return new GopherShipProcess({ kafka, http, broker, admin }, dataDir, extraArguments)
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error('the process is not running')
    return pid
  }

  get brokerAddress(): string {
    return `127.0.0.1:${this.ports.broker}`
  }

  get kafkaAddress(): string {
    return `127.0.0.1:${this.ports.kafka}`
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.ports.http}`
  }

  get adminUrl(): string {
    return `http://127.0.0.1:${this.ports.admin}`
  }

  /** Starts the process and resolves when it says it is ready for data. Returns how long that took, in ms. */
  async start({
    withinMs = 20_000,
    extraArguments = [],
  }: {
    withinMs?: number
    extraArguments?: readonly string[]
  } = {}): Promise<number> {
    const startedAt = performance.now()
    this.output = ''
    const child = spawn(
      process.execPath,
      [
        // As `npm start` does.
        '--max-semi-space-size=4',
        MAIN,
        'up',
        '--data-dir',
        this.dataDir,
        '--kafka-port',
        String(this.ports.kafka),
        '--http-port',
        String(this.ports.http),
        '--broker-port',
        String(this.ports.broker),
        '--admin-port',
        String(this.ports.admin),
        ...this.#extraArguments,
        ...extraArguments,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    const collect = (chunk: Buffer) => {
      this.output = (this.output + chunk.toString('utf8')).slice(-200_000)
    }
    child.stdout?.on('data', collect)
    child.stderr?.on('data', collect)
    this.#child = child
    await eventually(
      'the process answers /health/ready with 200',
      async () => {
        if (child.exitCode !== null) throw new Error(`exited with ${child.exitCode}:\n${this.output}`)
        const response = await fetch(`${this.adminUrl}/health/ready`)
        await response.arrayBuffer()
        return response.status === 200
      },
      { withinMs, everyMs: 10 },
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n--- output ---\n${this.output}`)
    })
    return performance.now() - startedAt
  }

  /** kill -9, at once; resolves when the process is gone. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === null || child.exitCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
    this.#child = null
  }

  /** SIGTERM; resolves with the exit code. */
  async stop({ withinMs = 30_000 }: { withinMs?: number } = {}): Promise<number | null> {
    const child = this.#child
    if (child === null) return null
    if (child.exitCode !== null) return child.exitCode
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), withinMs)
    const [code] = (await gone) as [number | null]
    clearTimeout(timer)
    this.#child = null
    return code
  }

  /** Kills what still runs and removes the data directory. */
  async destroy(): Promise<void> {
    await this.kill()
    await rm(this.dataDir, { recursive: true, force: true })
  }
}
