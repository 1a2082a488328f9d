/**
 * POSTs records to a URL, as bodies of NDJSON. At least once: a body whose answer was lost is sent again, with the same
 * `Idempotency-Key`, by this run or by the next; where the replay stands is committed when a body was answered with 2xx.
 *
 * Redirects are not followed: a replay goes where it was told to, and nowhere else.
 */

import { RecordCursor } from '../batch/record-cursor.ts'
import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import { backoffMs } from '../kafka/backoff.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { commitOffsets } from '../kafka/group-offsets.ts'
import type { KafkaCheckpoint } from './kafka-checkpoint.ts'
import { recordLine } from './record-line.ts'
import { invalidReplay, ReplayError } from './replay-error.ts'
import type { ReplayRange } from './replay-plan.ts'
import type { ReplayProgress, ReplayTarget, ReplayUnit } from './replay-target.ts'

/** The part of `fetch` that this needs. */
export type Post = (
  url: string,
  request: {
    readonly method: 'POST'
    readonly headers: Record<string, string>
    readonly body: string
    readonly redirect: 'manual'
    readonly signal: AbortSignal
  },
) => Promise<{ readonly status: number; readonly body: { cancel(): Promise<void> } | null }>

export interface UrlTargetOptions {
  readonly url: string
  readonly topic: string
  readonly checkpoint: KafkaCheckpoint
  readonly isRestart: boolean
  readonly clock: Clock
  readonly random: Random
  readonly post: Post
  readonly signal?: AbortSignal
}

/** A body is closed at this size; the servers of this world take a megabyte. */
const BODY_CHARS_MAX = 512 * 1024
const ANSWER_MS_MAX = 30_000
const ATTEMPTS_MAX = 8
const BACKOFF_MS = { initialMs: 200, maxMs: 10_000 }

/** The URL when it can be posted to. Throws GS_REPLAY_INVALID. */
export function checkedUrl(text: string): string {
  const form = 'such as https://example.org/v1/streams/web'
  if (!URL.canParse(text)) throw invalidReplay(`expected --to-url to be a URL, ${form}; found "${text}"`)
  const { protocol, username, password } = new URL(text)
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw invalidReplay(`expected --to-url to begin with http:// or https://, ${form}; found "${text}"`)
  }
  if (username !== '' || password !== '') {
    throw invalidReplay(
      `expected --to-url without a name and password in it, ${form}: they would be seen by whoever lists processes`,
    )
  }
  return text
}

export class UrlTarget implements ReplayTarget {
  readonly name: string
  readonly #cluster: KafkaCluster
  readonly #options: UrlTargetOptions
  readonly #cursor = new RecordCursor()
  readonly #written = new Map<number, number>()

  constructor(cluster: KafkaCluster, options: UrlTargetOptions) {
    this.name = options.url
    this.#cluster = cluster
    this.#options = options
  }

  async open(ranges: readonly ReplayRange[]): Promise<readonly ReplayProgress[] | null> {
    const { checkpoint, isRestart } = this.#options
    const earlier = isRestart ? null : await checkpoint.read(ranges)
    for (const { partition, writtenCount } of earlier ?? []) this.#written.set(partition, writtenCount)
    if (earlier !== null) return earlier
    await this.#remember(
      ranges.map((range) => ({ ...range, position: range.from, takenCount: 0, writtenCount: 0 })),
    )
    return null
  }

  async write({ batches, progress }: ReplayUnit): Promise<number> {
    const { topic, checkpoint } = this.#options
    const { partition } = progress
    const cursor = this.#cursor
    let lines: string[] = []
    let chars = 0
    let firstOffset = -1
    let count = 0
    const send = async () => {
      if (lines.length === 0) return
      await this.#post(lines.join(''), `${checkpoint.groupId}:${partition}:${firstOffset}`)
      lines = []
      chars = 0
      firstOffset = -1
    }
    for (const { bytes } of batches) {
      cursor.open(bytes, 0)
      while (cursor.next()) {
        const line = recordLine(cursor, topic, partition)
        if (chars + line.length > BODY_CHARS_MAX) await send()
        if (firstOffset < 0) firstOffset = cursor.offset
        lines.push(line)
        chars += line.length
        count += 1
      }
      cursor.close()
    }
    await send()
    const writtenCount = (this.#written.get(partition) ?? 0) + count
    await this.#remember([{ ...progress, writtenCount }])
    this.#written.set(partition, writtenCount)
    return count
  }

  async finish(): Promise<{ countedRecords: null }> {
    return { countedRecords: null }
  }

  async stop(): Promise<void> {}

  async #remember(places: readonly ReplayProgress[]): Promise<void> {
    const { checkpoint } = this.#options
    const offsets = places.map((place) => checkpoint.offsetOf(place))
    await commitOffsets(this.#cluster, { groupId: checkpoint.groupId }, offsets)
  }

  async #post(body: string, idempotencyKey: string): Promise<void> {
    const { url, post, clock, random, signal } = this.#options
    let found = ''
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      if (attempt > 0) await clock.sleep(backoffMs(BACKOFF_MS, attempt, random), signal)
      signal?.throwIfAborted()
      const abort = new AbortController()
      const deadline = clock.after(ANSWER_MS_MAX, () =>
        abort.abort(new Error(`no answer within ${ANSWER_MS_MAX} ms`)),
      )
      try {
        const answer = await post(url, {
          method: 'POST',
          headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': idempotencyKey },
          body,
          redirect: 'manual',
          signal: signal === undefined ? abort.signal : AbortSignal.any([abort.signal, signal]),
        })
        await answer.body?.cancel()
        if (answer.status >= 200 && answer.status < 300) return
        found = `HTTP ${answer.status}`
        if (!isPassing(answer.status)) break
      } catch (error) {
        signal?.throwIfAborted()
        found = error instanceof Error ? reasonOf(error) : String(error)
      } finally {
        deadline.cancel()
      }
    }
    const hint = found.startsWith('HTTP 3')
      ? '; redirects are not followed, give the address that it leads to'
      : ''
    const message = `expected ${url} to answer 2xx, found ${found}${hint}. The same command goes on from here.`
    throw new ReplayError('GS_REPLAY_TARGET', message, { facts: { url, found } })
  }
}

/** Answers after which the same body may be taken later. */
const isPassing = (status: number) => status >= 500 || status === 408 || status === 425 || status === 429

function reasonOf(error: Error): string {
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
