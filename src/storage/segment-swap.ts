/**
 * Puts a written segment in the place of those that it was made from. In this order:
 * 1. The new file is whole and durable under `<segment>.cleaned`. Until now a crash leaves a file of no meaning, which the
 *    next start removes.
 * 2. It is renamed to `<segment>.swap`, and that name is synced.
 * 3. The checkpoint names the new segment instead of the old ones, and says that a swap is under way. This decides: before
 *    it, a start removes the `.swap` file and has the old segments; from it on, a start finishes the swap.
 * 4. The file takes the name of the first old segment, and that is synced. Only then do the other old files go.
 *
 * Readers notice nothing: those that hold an old segment read on from its open file, and the new one is read from the open
 * `.swap` file before it has its name.
 */

import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import type { Offset } from '../core/brands.ts'
import type { CleanedSegment } from './cleaned-segment.ts'
import type { SegmentContext } from './segment.ts'
import { Segment } from './segment.ts'
import { cleanedFileName, swapFileName } from './segment-format.ts'
import type { SegmentList } from './segment-list.ts'

/** What a swap needs of the log; called while nothing else changes its files. */
export interface SwappableLog {
  readonly context: SegmentContext
  readonly segments: SegmentList
  /** Makes the decision durable. When it rejects, what the disk holds is not known, and the log has failed. */
  commitSwap(fresh: Segment, replaced: readonly Segment[]): Promise<void>
  /** Runs a change of the files; when it rejects, the log has failed. */
  guard(run: () => Promise<void>): Promise<void>
  /** Removes the files of segments that the log has let go of. */
  removeFiles(): Promise<void>
}

/** Swaps; false, with nothing changed, when the segments are not what they were when the new one was made of them. */
export async function swapSegments(
  log: SwappableLog,
  replaced: readonly Segment[],
  cleaned: CleanedSegment,
): Promise<boolean> {
  const { disk, directory } = log.context
  const first = replaced[0]
  assert(first !== undefined && first.baseOffset === cleaned.baseOffset, 'a segment keeps its name')
  if (!areReplaceable(log.segments, replaced)) return false
  const swapPath = join(directory, swapFileName(cleaned.baseOffset))
  const fresh = freshSegment(log.context, replaced, cleaned)
  let isDecided = false
  try {
    await disk.rename(join(directory, cleanedFileName(cleaned.baseOffset)), swapPath)
    await disk.syncDirectory(directory)
    fresh.adoptFile(await disk.open(swapPath, 'read'), cleaned.indexes)
    // Both files are held open, so that neither is looked up by a name that changes its meaning.
    await first.use(() =>
      fresh.use(async () => {
        if (!areReplaceable(log.segments, replaced)) return
        isDecided = true
        await log.commitSwap(fresh, replaced)
        await log.guard(() => takeName(log, fresh, replaced))
      }),
    )
  } finally {
    if (!isDecided) await disk.unlink(swapPath).catch(() => {})
    // Whichever of the two the log is left with, it is not read from the files of the other any more.
    const { all } = log.segments
    for (const segment of [fresh, ...replaced]) if (!all.includes(segment)) await segment.discard()
  }
  if (!isDecided) return false
  await fresh.saveIndexes()
  await log.removeFiles()
  await log.segments.closeUnused()
  return true
}

async function takeName(log: SwappableLog, fresh: Segment, replaced: readonly Segment[]): Promise<void> {
  const { disk, directory } = log.context
  const before = log.segments.all
  const others = before.filter((segment) => !replaced.includes(segment))
  const place = others.findIndex((segment) => segment.baseOffset > fresh.baseOffset)
  log.segments.set(others.toSpliced(place === -1 ? others.length : place, 0, fresh), log.segments.losses)
  for (const segment of replaced) segment.isRemoved = true
  try {
    await disk.rename(join(directory, swapFileName(fresh.baseOffset)), fresh.path)
  } catch (error) {
    // The old files are still under their names: what is left of the log reads from them.
    log.segments.set(before, log.segments.losses)
    for (const segment of replaced) segment.isRemoved = false
    throw error
  }
  await disk.syncDirectory(directory)
}

/** A reader may have found one of them damaged, and retention may have taken one, since they were read. */
function areReplaceable(segments: SegmentList, replaced: readonly Segment[]): boolean {
  const at = segments.all.indexOf(replaced[0] as Segment)
  if (at === -1 || at + replaced.length >= segments.all.length) return false
  return replaced.every(
    (segment, index) => segments.all[at + index] === segment && segment.holes.length === 0,
  )
}

function freshSegment(
  context: SegmentContext,
  replaced: readonly Segment[],
  cleaned: CleanedSegment,
): Segment {
  const { baseOffset, bytes, endOffset, indexes } = cleaned
  const first = replaced[0] as Segment
  const last = replaced.at(-1) as Segment
  return new Segment(context, {
    baseOffset,
    bytes,
    endOffset: endOffset as Offset,
    maxTimestamp: indexes.maxTimestamp,
    maxTimestampOffset: indexes.maxTimestampOffset,
    createdMs: first.createdMs,
    appendedMs: last.appendedMs,
    holes: [],
  })
}
