/** Waiting for a condition of the outside world (another process, a socket), with a deadline that explains itself. */

/**
 * Calls `probe` until it gives a value other than undefined or false, and returns that.
 * Throws with `what` and the last failure when `withinMs` has passed.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  { withinMs = 10_000, everyMs = 25 }: { withinMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + withinMs
  let last: unknown
  for (;;) {
    try {
      const value = await probe()
      if (value !== undefined && value !== false) return value
      last = value
    } catch (error) {
      last = error
    }
    if (performance.now() > deadline) {
      throw new Error(`expected within ${withinMs} ms: ${what}; last seen: ${String(last)}`, { cause: last })
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
