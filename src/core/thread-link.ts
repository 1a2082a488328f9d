/**
 * A role in a worker thread, and the handle the main thread holds on it. Owns the few messages between the two:
 * started, failed to start, stop, status, metrics, and the calls that a role offers by name. The role's own work never
 * crosses this link; it talks Kafka.
 *
 * Options and answers are plain JSON-like data (they are structured-cloned). A failure keeps its code across.
 */

import { parentPort, Worker } from 'node:worker_threads'
import type { Clock } from './clock.ts'
import { systemClock } from './clock.ts'
import { GopherShipError } from './errors.ts'
import type { PlainFailure } from './plain-failure.ts'
import { decodeFailure, encodeFailure } from './plain-failure.ts'
import { collectStartGarbageSoon } from './start-garbage.ts'

/** Anything that lists its metrics as data; a prom-client `Registry` does. */
export interface MetricsSource {
  getMetricsAsJSON(): Promise<object[]>
}

/** What a thread's role gives once it runs. */
export interface ThreadService {
  /** Told to the main thread once: ports, ids. Plain data. */
  readonly ready: unknown
  readonly metrics: MetricsSource
  /** A cheap snapshot, plain data. */
  status(): unknown
  /** Answers a call from the main thread; argument and answer are plain data. A name it does not know it throws for. */
  call?(name: string, argument: unknown): unknown
  /** Finishes what was begun and lets go of everything; the thread ends after it. */
  stop(): Promise<void>
}

export interface ThreadDefinition<Options> {
  start(options: Options): Promise<ThreadService>
}

type Question = 'status' | 'metrics' | 'stop' | 'call'
interface Asked {
  readonly kind: 'question'
  readonly id: number
  readonly question: Question
  /** Of a call. */
  readonly name?: string
  readonly argument?: unknown
}
type ToThread = { readonly kind: 'begin'; readonly options: unknown } | Asked
type FromThread =
  | { readonly kind: 'ready'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly failure: PlainFailure }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'refusal'; readonly id: number; readonly failure: PlainFailure }

/**
 * The worker side: starts the role with the thread's options and answers the main thread until told to stop.
 * Call it once, at the end of a thread's entry module. A role that cannot go on throws: an uncaught error ends the
 * thread, and whoever supervises it starts a new one.
 */
export function serveThread<Options>(definition: ThreadDefinition<Options>): void {
  const port = parentPort
  if (port === null)
    throw new Error('serveThread was called outside a worker thread: this module is a thread entry')
  const say = (message: FromThread) => port.postMessage(message)

  const begun = Promise.withResolvers<Options>()
  const started = begun.promise.then((options) => definition.start(options))
  started.then(
    (service) => {
      say({ kind: 'ready', value: service.ready })
      collectStartGarbageSoon(systemClock)
    },
    (error: unknown) => {
      say({ kind: 'failed', failure: encodeFailure(error) })
      port.close()
    },
  )
  const answer = async ({ question, name, argument }: Asked): Promise<unknown> => {
    const service = await started
    if (question === 'call') {
      if (service.call === undefined || name === undefined) throw new TypeError('this thread takes no calls')
      return await service.call(name, argument)
    }
    if (question === 'status') return await service.status()
    if (question === 'metrics') return await service.metrics.getMetricsAsJSON()
    return await service.stop()
  }
  port.on('message', (message: ToThread) => {
    if (message.kind === 'begin') {
      begun.resolve(message.options as Options)
      return
    }
    answer(message)
      .then(
        (value) => say({ kind: 'answer', id: message.id, value }),
        (error: unknown) => say({ kind: 'refusal', id: message.id, failure: encodeFailure(error) }),
      )
      // With its port closed nothing holds the thread any more, unless the role forgot something.
      .finally(() => message.question === 'stop' && port.close())
  })
}

/** V8 heap limits of a thread, in MiB, as Node names them. */
export interface ThreadResources {
  readonly maxOldGenerationSizeMb?: number
  readonly maxYoungGenerationSizeMb?: number
}

export interface WarmThreadOptions {
  readonly name: string
  readonly module: URL
  readonly resourceLimits?: ThreadResources
}

/** A thread that loads its module before its role is to start, so that the start need not wait for it. */
export class WarmThread {
  #worker: Worker | null

  private constructor(worker: Worker) {
    this.#worker = worker
    // One that fails is nobody's any more: whoever starts the role makes another, and hears why that one fails.
    worker.on('error', () => {
      this.#worker = null
    })
    worker.once('exit', () => {
      this.#worker = null
    })
  }

  /** Begins to load. The module is a thread's entry, which calls `serveThread`. */
  static open({ name, module, resourceLimits }: WarmThreadOptions): WarmThread {
    return new WarmThread(new Worker(module, { name, ...(resourceLimits && { resourceLimits }) }))
  }

  /** Taken, ended, or failed. */
  get isGone(): boolean {
    return this.#worker === null
  }

  /** The thread, for the one who takes it first; null when it is gone. */
  take(): Worker | null {
    const worker = this.#worker
    this.#worker = null
    return worker
  }

  /** Ends it, unless it was taken. */
  async discard(): Promise<void> {
    await this.take()?.terminate()
  }
}

export interface ThreadHandleOptions {
  /** Shown in diagnostics and as the operating system's thread name. */
  readonly name: string
  /** The thread's entry module; see `moduleUrl`. */
  readonly module: URL
  /** Given to the role's `start`; plain data. */
  readonly options: unknown
  readonly clock: Clock
  /** The thread must say that it is ready within this time, or it is ended. */
  readonly startMsMax?: number
  /** A question that is not answered within this time fails with GS_THREAD_FAILED (the thread is busy or stuck). */
  readonly answerMsMax?: number
  readonly resourceLimits?: ThreadResources
  /** One with the same name, module and limits, used if it is still there. */
  readonly warm?: WarmThread
  /** Called once if the thread ends without `stop` having been called, after it was ready. */
  readonly onCrash: (failure: Error) => void
}

interface Pending {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** The main thread's hold on one worker thread. Used for one run: a restart makes a new handle. */
export class ThreadHandle {
  readonly name: string
  readonly #options: ThreadHandleOptions
  readonly #pending = new Map<number, Pending>()
  #worker: Worker | null = null
  #exited: Promise<void> = Promise.resolve()
  #nextId = 1
  #isReady = false
  #isStopping = false
  #failure: Error | null = null

  constructor(options: ThreadHandleOptions) {
    this.name = options.name
    this.#options = options
  }

  /**
   * Starts the thread and resolves with what its role announced. Rejects with the role's own failure, or with
   * GS_THREAD_FAILED when the thread died or stayed silent; either way nothing is left running.
   */
  async start(): Promise<unknown> {
    const { name, module, options, clock, resourceLimits, warm, startMsMax = 30_000 } = this.#options
    const worker = warm?.take() ?? new Worker(module, { name, ...(resourceLimits && { resourceLimits }) })
    this.#worker = worker
    worker.postMessage({ kind: 'begin', options } satisfies ToThread)
    try {
      return await new Promise<unknown>((resolve, reject) => {
        const deadline = clock.after(startMsMax, () =>
          reject(this.#failed(`did not become ready within ${startMsMax} ms`)),
        )
        const settle = (run: () => void) => {
          deadline.cancel()
          run()
        }
        this.#exited = new Promise<void>((resolveExit) => {
          worker.once('exit', (exitCode) => {
            const failure = this.#failure ?? this.#failed(`ended by itself with exit code ${exitCode}`)
            this.#worker = null
            for (const pending of this.#pending.values()) pending.reject(failure)
            this.#pending.clear()
            settle(() => reject(failure))
            resolveExit()
            if (this.#isReady && !this.#isStopping) this.#options.onCrash(failure)
          })
        })
        worker.once('error', (error) => {
          this.#failure = this.#failed('stopped on an uncaught error', error)
        })
        worker.on('message', (message: FromThread) => {
          if (message.kind === 'ready') {
            this.#isReady = true
            settle(() => resolve(message.value))
          } else if (message.kind === 'failed') {
            const failure = decodeFailure(message.failure)
            this.#failure = failure
            settle(() => reject(failure))
          } else {
            this.#settleAnswer(message)
          }
        })
      })
    } catch (error) {
      this.#isStopping = true
      await worker.terminate()
      throw error
    }
  }

  /** The role's snapshot. Rejects with GS_THREAD_FAILED when the thread is gone or does not answer in time. */
  status({ answerMsMax = this.#options.answerMsMax ?? 2_000 } = {}): Promise<unknown> {
    return this.#ask('status', answerMsMax)
  }

  /** The thread's metrics as prom-client's JSON, to be aggregated with those of the other threads. */
  async metricsJson(): Promise<object[]> {
    return (await this.#ask('metrics', this.#options.answerMsMax ?? 2_000)) as object[]
  }

  /**
   * Has the role answer a call by name, and resolves with what it says. Rejects with its failure, or with GS_THREAD_FAILED
   * when the thread is gone or does not answer in time; the call may have been heard all the same.
   */
  call(name: string, argument: unknown): Promise<unknown> {
    return this.#ask('call', this.#options.answerMsMax ?? 2_000, { name, argument })
  }

  /** Asks the role to stop and waits for the thread to end; ends it by force after `stopMsMax`. Idempotent. */
  async stop({ stopMsMax = 20_000 }: { readonly stopMsMax?: number } = {}): Promise<void> {
    this.#isStopping = true
    const worker = this.#worker
    if (worker === null) return
    try {
      await this.#ask('stop', stopMsMax)
    } finally {
      // A role that answered but left a handle open would keep the thread, and the process, alive for ever.
      const grace = this.#options.clock.after(1_000, () => void worker.terminate())
      await this.#exited
      grace.cancel()
    }
  }

  /** Ends the thread at once, as a crash would; for tests and for a thread that does not answer. */
  async terminate(): Promise<void> {
    await this.#worker?.terminate()
  }

  #ask(
    question: Question,
    answerMsMax: number,
    call: { readonly name?: string; readonly argument?: unknown } = {},
  ): Promise<unknown> {
    const what = call.name ?? question
    const worker = this.#worker
    if (worker === null) return Promise.reject(this.#failed(`was asked for its ${what} but is not running`))
    const id = this.#nextId++
    return new Promise<unknown>((resolve, reject) => {
      const deadline = this.#options.clock.after(answerMsMax, () => {
        this.#pending.delete(id)
        reject(this.#failed(`did not answer "${what}" within ${answerMsMax} ms`))
      })
      const settle = (run: () => void) => {
        deadline.cancel()
        run()
      }
      this.#pending.set(id, {
        resolve: (value) => settle(() => resolve(value)),
        reject: (error) => settle(() => reject(error)),
      })
      worker.postMessage({ kind: 'question', id, question, ...call } satisfies ToThread)
    })
  }

  #settleAnswer(message: Extract<FromThread, { kind: 'answer' | 'refusal' }>): void {
    const pending = this.#pending.get(message.id)
    if (pending === undefined) return // It came after its deadline.
    this.#pending.delete(message.id)
    if (message.kind === 'answer') pending.resolve(message.value)
    else pending.reject(decodeFailure(message.failure))
  }

  #failed(what: string, cause?: unknown): GopherShipError {
    const reason = cause instanceof Error ? `: ${cause.message}` : ''
    return new GopherShipError('GS_THREAD_FAILED', `the ${this.name} thread ${what}${reason}`, {
      cause,
      facts: { thread: this.name },
    })
  }
}
