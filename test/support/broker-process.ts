/**
 * The embedded broker in a process of its own, on the real disk, for tests that kill it: what is not written when it dies is
 * gone, what is written stays.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BrokerOptions } from '../../src/broker/broker-options.ts'

const MAIN = fileURLToPath(new URL('broker-main.ts', import.meta.url))
const START_MS_MAX = 20_000

export class BrokerProcess {
  readonly directory: string
  readonly #options: Partial<BrokerOptions>
  /** Everything it printed since its last start. */
  output = ''
  port = 0
  #child: ChildProcess | null = null

  private constructor(directory: string, options: Partial<BrokerOptions>) {
    this.directory = directory
    this.#options = options
  }

  /** Starts a broker on an empty folder. */
  static async start(options: Partial<BrokerOptions> = {}): Promise<BrokerProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'gophership-broker-process-'))
    const broker = new BrokerProcess(directory, options)
    await broker.start()
    return broker
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Starts it, on the port it had; resolves when it answers. */
  async start(): Promise<void> {
    this.output = ''
    const options = JSON.stringify({ groupInitialRebalanceDelayMs: 0, ...this.#options })
    const child = spawn(process.execPath, [MAIN, this.directory, String(this.port), options], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    const ready = Promise.withResolvers<number>()
    const collect = (chunk: Buffer) => {
      this.output += chunk.toString('utf8')
      const port = /^port (\d+)$/m.exec(this.output)?.[1]
      if (port !== undefined) ready.resolve(Number(port))
    }
    child.stdout?.on('data', collect)
    child.stderr?.on('data', collect)
    child.once('exit', () => ready.reject(new Error(`the broker ended: ${this.output.slice(-4000)}`)))
    const timer = setTimeout(() => ready.reject(new Error('the broker took too long to start')), START_MS_MAX)
    try {
      this.port = await ready.promise
    } finally {
      clearTimeout(timer)
    }
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null || child.exitCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  async destroy(): Promise<void> {
    await this.kill()
    await rm(this.directory, { recursive: true, force: true })
  }
}
