/**
 * Keeps one worker thread running: a thread that ends without being asked to is started again, after a delay that
 * doubles with each failure and goes back to its shortest once the thread has stayed up. It never gives up: what was
 * acknowledged waits in the vault, and the next start may find the fault gone.
 *
 * The first start is the exception: it fails to the caller, because a wrong port or a locked directory is for the
 * person who typed it.
 */

import type { Clock, Timer } from './clock.ts'
import type { Random } from './random.ts'
import type { ThreadHandle } from './thread-link.ts'

export type ThreadState = 'idle' | 'starting' | 'running' | 'waiting' | 'stopping' | 'stopped'

export interface ThreadSupervisorOptions {
  readonly name: string
  readonly clock: Clock
  readonly random: Random
  /** Makes the handle for the next run; `ready` is what the run before announced, to keep ports the same. */
  readonly open: (run: {
    readonly ready: unknown
    readonly onCrash: (failure: Error) => void
  }) => ThreadHandle
  /** Told of every unasked end and every failed restart. */
  readonly onCrash?: (crash: { readonly failure: Error; readonly restartDelayMs: number }) => void
  readonly onRestarted?: () => void
  readonly delayMsMin?: number
  readonly delayMsMax?: number
  /** A thread that ran this long before it crashed starts again from the shortest delay. */
  readonly steadyMs?: number
}

export interface ThreadStatus {
  readonly name: string
  readonly state: ThreadState
  readonly restartCount: number
  readonly lastFailure: string | null
}

export class ThreadSupervisor {
  readonly name: string
  readonly #options: ThreadSupervisorOptions
  #handle: ThreadHandle | null = null
  #state: ThreadState = 'idle'
  #ready: unknown = null
  #restartCount = 0
  #failuresInRow = 0
  #lastFailure: Error | null = null
  #runningSinceMs = 0
  #timer: Timer | null = null
  #attempt: Promise<void> = Promise.resolve()

  constructor(options: ThreadSupervisorOptions) {
    this.name = options.name
    this.#options = options
  }

  /** The running thread, or null between a crash and the next start. */
  get handle(): ThreadHandle | null {
    return this.#state === 'running' ? this.#handle : null
  }

  /** What the role announced when it last became ready. */
  get ready(): unknown {
    return this.#ready
  }

  status(): ThreadStatus {
    return {
      name: this.name,
      state: this.#state,
      restartCount: this.#restartCount,
      lastFailure: this.#lastFailure?.message ?? null,
    }
  }

  /** Starts the thread for the first time. Rejects if it does not start; there is no retry then. */
  async start(): Promise<unknown> {
    await this.#startOnce()
    return this.#ready
  }

  /** Stops the thread, or the wait for its restart. Idempotent. */
  async stop(options: { readonly stopMsMax?: number } = {}): Promise<void> {
    const wasStarting = this.#state === 'starting'
    this.#state = 'stopping'
    this.#timer?.cancel()
    // A start under way has begun nothing that must be finished, and may take longer than a stop.
    if (wasStarting) await this.#handle?.terminate()
    await this.#attempt.catch(() => {})
    try {
      await this.#handle?.stop(options)
    } finally {
      this.#handle = null
      this.#state = 'stopped'
    }
  }

  async #startOnce(): Promise<void> {
    this.#state = 'starting'
    const handle = this.#options.open({ ready: this.#ready, onCrash: (failure) => this.#crashed(failure) })
    this.#handle = handle
    const ready = await handle.start()
    this.#ready = ready
    if (this.#isStopping()) return
    this.#state = 'running'
    this.#runningSinceMs = this.#options.clock.monotonicMs()
  }

  #crashed(failure: Error): void {
    if (this.#isStopping()) return
    const { clock, random, onCrash, delayMsMin = 100, delayMsMax = 30_000, steadyMs = 60_000 } = this.#options
    const wasSteady = this.#state === 'running' && clock.monotonicMs() - this.#runningSinceMs >= steadyMs
    this.#failuresInRow = wasSteady ? 1 : this.#failuresInRow + 1
    this.#lastFailure = failure
    this.#state = 'waiting'
    this.#handle = null
    const doubled = delayMsMin * 2 ** Math.min(this.#failuresInRow - 1, 30)
    // Up to a quarter more, so that threads felled by one cause do not come back in step.
    const restartDelayMs = Math.round(Math.min(doubled, delayMsMax) * (1 + random.float() / 4))
    onCrash?.({ failure, restartDelayMs })
    this.#timer = clock.after(restartDelayMs, () => {
      this.#attempt = this.#restart()
    })
  }

  async #restart(): Promise<void> {
    this.#restartCount += 1
    try {
      await this.#startOnce()
      if (!this.#isStopping()) this.#options.onRestarted?.()
    } catch (error) {
      this.#crashed(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #isStopping(): boolean {
    return this.#state === 'stopping' || this.#state === 'stopped'
  }
}
