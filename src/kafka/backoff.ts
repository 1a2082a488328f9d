/**
 * Waiting between attempts: exponential, with full-range jitter of ±20 %, bounded (KIP-580). A fleet that lost its
 * broker must not come back in step.
 */

import type { Clock } from '../core/clock.ts'
import { isFailure } from '../core/errors.ts'
import type { Random } from '../core/random.ts'

export interface BackoffOptions {
  /** Wait after the first failure. */
  readonly initialMs: number
  /** Longest wait, before jitter. */
  readonly maxMs: number
}

const JITTER = 0.2

/** Milliseconds to wait after `failureCount` failures in a row (1 = the first). */
export function backoffMs(options: BackoffOptions, failureCount: number, random: Random): number {
  // 2^30 is past every maximum; the cap keeps the power finite for a client that fails for weeks.
  const exponent = Math.min(Math.max(failureCount - 1, 0), 30)
  const base = Math.min(options.initialMs * 2 ** exponent, options.maxMs)
  return base * (1 - JITTER + 2 * JITTER * random.float())
}

export interface RetryOptions {
  readonly clock: Clock
  readonly random: Random
  readonly backoff: BackoffOptions
  /** No attempt starts, and no wait ends, later than this on the monotonic clock. */
  readonly deadlineAtMs: number
  /** Default: the failure's own `retriable` flag. */
  readonly isRetriable?: (error: unknown) => boolean
  /** Called before each wait: the place to refresh metadata or forget a coordinator. Must not throw. */
  readonly beforeRetry?: (error: unknown) => void | Promise<void>
  readonly signal?: AbortSignal
}

/**
 * Runs `attempt` until it succeeds, fails for good, or the deadline would pass before the next try; then throws the
 * last attempt's error, which says more than "timed out" would.
 */
export async function withRetries<T>(
  options: RetryOptions,
  attempt: (remainingMs: number) => Promise<T>,
): Promise<T> {
  const { clock, random, backoff, deadlineAtMs, signal } = options
  const isRetriable = options.isRetriable ?? isRetriableFailure
  for (let failureCount = 1; ; failureCount++) {
    try {
      return await attempt(Math.max(1, deadlineAtMs - clock.monotonicMs()))
    } catch (error) {
      const waitMs = backoffMs(backoff, failureCount, random)
      if (!isRetriable(error) || clock.monotonicMs() + waitMs >= deadlineAtMs) throw error
      signal?.throwIfAborted()
      await options.beforeRetry?.(error)
      await clock.sleep(waitMs, signal)
    }
  }
}

function isRetriableFailure(error: unknown): boolean {
  return isFailure(error) && error.retriable
}
