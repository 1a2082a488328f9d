/** A bound on waiting for something that has no deadline of its own. */

import type { Clock } from '../core/clock.ts'
import { KafkaTimeoutError } from '../kafka/kafka-errors.ts'

/**
 * The promise's result, or GS_KAFKA_TIMEOUT after `ms`; what it does later is ignored. Only for look-ups: the failure
 * says that nothing was stored.
 */
export function within<T>(clock: Clock, ms: number, what: string, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => {
      reject(
        new KafkaTimeoutError(`${what} took longer than ${ms} ms`, {
          timeoutMs: ms,
          possiblyPersisted: false,
        }),
      )
    })
    promise.then(resolve, reject).finally(() => timer.cancel())
  })
}
