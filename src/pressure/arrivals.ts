/**
 * When the records that still wait arrived, and so how long each of them will have waited when it is done. First in, first
 * out: the record at some place in the backlog is done when all before it are, and has waited since it came.
 *
 * The backlog alone does not say it. After a burst of a minute the backlog may drain in another minute at full density, and
 * the burst's last records are late all the same if they have waited ten seconds already.
 */

/** By `atMs` this many records had arrived, counted from some start. */
interface ArrivalPoint {
  readonly atMs: number
  readonly total: number
}

/** In order of time; the first point lies at or before the arrival of the oldest record that waits. */
export type ArrivalHistory = readonly ArrivalPoint[]

/** Points remembered; past it every second one is dropped, the newest excepted, and in between arrivals count as even. */
const POINTS_MAX = 256

/** Nothing has arrived yet. `nowMs` is monotonic. */
export const noArrivals = (nowMs: number): ArrivalHistory => [{ atMs: nowMs, total: 0 }]

/** The history after so many more records; what is done already is forgotten. */
export function recordArrivals(
  history: ArrivalHistory,
  { arrivedRecordCount, backlogRecordCount, nowMs }: ArrivalCounts,
): ArrivalHistory {
  const total = (history.at(-1)?.total ?? 0) + Math.max(0, arrivedRecordCount)
  const points = [...history, { atMs: nowMs, total }]
  // The last point that is done is kept: the oldest record that waits came after it.
  const waitingFrom = points.findIndex((point) => point.total > total - backlogRecordCount)
  const kept = points.slice(Math.max(0, (waitingFrom < 0 ? points.length : waitingFrom) - 1))
  if (kept.length <= POINTS_MAX) return kept
  return kept.filter((_, index) => index % 2 === 0 || index === kept.length - 1)
}

export interface ArrivalCounts {
  readonly arrivedRecordCount: number
  readonly backlogRecordCount: number
  /** Monotonic. */
  readonly nowMs: number
}

/**
 * The longest that any record of the backlog will have waited when it is done, in seconds, at so many seconds of processing
 * for each record, with `arrivingRecordCount` more about to come.
 */
export function projectWait(
  history: ArrivalHistory,
  { backlogRecordCount, nowMs }: Omit<ArrivalCounts, 'arrivedRecordCount'>,
  { secondsPerRecord, arrivingRecordCount = 0 }: { secondsPerRecord: number; arrivingRecordCount?: number },
): number {
  const total = history.at(-1)?.total ?? 0
  let longest = (backlogRecordCount + arrivingRecordCount) * secondsPerRecord
  for (const point of history) {
    const aheadRecordCount = backlogRecordCount - (total - point.total)
    if (aheadRecordCount <= 0) continue
    longest = Math.max(longest, (nowMs - point.atMs) / 1_000 + aheadRecordCount * secondsPerRecord)
  }
  return longest
}
