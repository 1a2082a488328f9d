/**
 * What there is of a log, in memory and in its checkpoint: the segments, where the log starts, how far it is compacted, and
 * what is on its way out. Owns the order of "the checkpoint says so" and "the files are so". Whoever calls sees to it that
 * one change runs at a time.
 */

import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import type { Offset } from '../core/brands.ts'
import { asOffset } from '../core/brands.ts'
import type { Diagnostics } from '../telemetry/diagnostics.ts'
import type { SegmentRecord, Swap } from './checkpoint.ts'
import { writeCheckpoint } from './checkpoint.ts'
import type { RecoveredLog } from './log-recovery.ts'
import { removeSegmentFiles } from './log-recovery.ts'
import type { Segment, SegmentContext } from './segment.ts'
import { logFileName } from './segment-format.ts'
import { SegmentList } from './segment-list.ts'

/** A segment that takes the place of others. */
export interface SegmentSwap {
  readonly fresh: Segment
  readonly replaced: readonly Segment[]
}

export class LogInventory {
  readonly segments: SegmentList
  /** The last segment as of its last sync: what the checkpoint may vouch for. */
  syncedRecord: SegmentRecord | null = null
  readonly #context: SegmentContext
  readonly #diagnostics: Diagnostics
  #logStartOffset: Offset
  #cleanedOffset: Offset
  #removing: Offset[] = []
  /** True while the checkpoint on disk tells of a swap, which may be long finished. */
  #isSwapNoted = false

  constructor(context: SegmentContext, recovered: RecoveredLog, diagnostics: Diagnostics) {
    this.#context = context
    this.#diagnostics = diagnostics
    this.segments = new SegmentList(recovered.segments, recovered.losses)
    this.#logStartOffset = recovered.logStartOffset
    this.#cleanedOffset = recovered.cleanedOffset
  }

  /** The first offset that may be read. */
  get logStartOffset(): Offset {
    return this.#logStartOffset
  }

  /** Everything below is compacted. */
  get cleanedOffset(): Offset {
    return this.#cleanedOffset
  }

  /** The segment that is written to. */
  get active(): Segment {
    const segment = this.segments.last
    assert(segment !== undefined, 'an open log has a segment to write to')
    return segment
  }

  /** Writes the checkpoint as things are. */
  save(): Promise<void> {
    return this.#save(null)
  }

  /** Notes, durably, up to where the log is compacted. */
  async noteCleaned(offset: Offset): Promise<void> {
    this.#cleanedOffset = offset
    await this.save()
  }

  /**
   * Lets go of the first `count` segments. In this order:
   * 1. The checkpoint says that they are going, and where the log now starts; it is durable.
   * 2. Only then are the files removed. A crash in between leaves files that the next start removes.
   */
  async removeLeading(count: number, logStartOffset: Offset): Promise<void> {
    const before = {
      segments: this.segments.all,
      losses: this.segments.losses,
      start: this.#logStartOffset,
      removing: this.#removing,
    }
    const going = before.segments.slice(0, count)
    const kept = before.segments.slice(count)
    const start = asOffset(Math.max(logStartOffset, count > 0 ? (kept[0]?.baseOffset ?? 0) : 0))
    const losses = before.losses.filter((loss) => loss.toOffset > start || loss.toOffset === loss.fromOffset)
    this.segments.set(kept, losses)
    this.#logStartOffset = start
    this.#removing = [...before.removing, ...going.map((segment) => segment.baseOffset)]
    try {
      await this.save()
    } catch (error) {
      // Nothing has happened yet: the log goes on as it was.
      this.segments.set(before.segments, before.losses)
      this.#logStartOffset = before.start
      this.#removing = before.removing
      throw error
    }
    for (const segment of going) await segment.discard()
    await this.removeFiles()
  }

  /** Removes the files of all segments that the checkpoint lists as going, those too that could not be removed before. */
  async removeFiles(): Promise<void> {
    for (const base of this.#removing) {
      try {
        await removeSegmentFiles(this.#context, base)
        this.#removing = this.#removing.filter((other) => other !== base)
      } catch (error) {
        const path = join(this.#context.directory, logFileName(base))
        this.#diagnostics.warn({ path, err: error }, 'segment could not be removed, tried again later')
      }
    }
  }

  /** A noted swap is finished when a start finds its file; this makes sure that it does not find a later one's. */
  async forgetSwap(): Promise<void> {
    if (this.#isSwapNoted) await this.save()
  }

  /** Decides a swap: from here on a start finishes it. */
  async decideSwap(swap: SegmentSwap): Promise<void> {
    const gone = swap.replaced.slice(1).map((segment) => segment.baseOffset)
    this.#removing = [...this.#removing, ...gone]
    this.#isSwapNoted = true
    await this.#save(swap)
  }

  async #save(swap: SegmentSwap | null): Promise<void> {
    const { active, syncedRecord } = this
    assert(
      syncedRecord !== null && syncedRecord.baseOffset === active.baseOffset,
      'the last segment has been vouched for',
    )
    const swaps: Swap[] = []
    let sealed = this.segments.all.slice(0, -1)
    if (swap !== null) {
      const { fresh, replaced } = swap
      swaps.push({ baseOffset: fresh.baseOffset, replaced: replaced.map((segment) => segment.toRecord()) })
      sealed = sealed.flatMap((segment) => {
        if (segment === replaced[0]) return [fresh]
        return replaced.includes(segment) ? [] : [segment]
      })
    }
    const { disk, directory } = this.#context
    await writeCheckpoint(disk, directory, {
      logStartOffset: this.#logStartOffset,
      endOffset: syncedRecord.endOffset,
      segments: [...sealed.map((segment) => segment.toRecord()), { ...syncedRecord, holes: active.holes }],
      removing: this.#removing,
      losses: this.segments.losses,
      cleanedOffset: this.#cleanedOffset,
      swaps,
    })
    if (swap === null) this.#isSwapNoted = false
  }
}
