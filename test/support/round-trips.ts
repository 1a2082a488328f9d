/** How long round trips take, for tests that hold one client's pace against what others do to the server. */

/** The 99th percentile of so many round trips, one after the other, in milliseconds. */
export async function p99OfRoundTrips(count: number, roundTrip: () => Promise<unknown>): Promise<number> {
  const timesMs: number[] = []
  for (let index = 0; index < count; index += 1) {
    const startedMs = performance.now()
    await roundTrip()
    timesMs.push(performance.now() - startedMs)
  }
  timesMs.sort((a, b) => a - b)
  return timesMs[Math.floor(count * 0.99)] ?? 0
}

/** What a pace may become under attack: twice what it was; 50 ms are what a busy machine does by itself. */
export function allowedUnderAttack(beforeMs: number): number {
  return 2 * beforeMs + 50
}
