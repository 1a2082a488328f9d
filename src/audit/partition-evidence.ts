/**
 * What was found of one vault partition in the topics that hold its outputs: which of its offsets have an event of which
 * density, which have a dead letter, and which came more than once. Bits, not objects: see `offset-set.ts`.
 */

import type { EventDensity } from './event-place.ts'
import { OffsetSet } from './offset-set.ts'

export class PartitionEvidence {
  /** Vault offsets with an event of full density; `again` holds those with more than one. */
  readonly full = new OffsetSet()
  readonly fullAgain = new OffsetSet()
  /** The same for events of partial density. */
  readonly partial = new OffsetSet()
  readonly partialAgain = new OffsetSet()
  /** The same for dead letters. */
  readonly deadLetters = new OffsetSet()
  readonly deadLettersAgain = new OffsetSet()
  /** Offsets in the enriched topic of records that are no events of this partition. */
  readonly foreign = new OffsetSet()
  /** Offsets in the enriched topic of events whose id does not fit their coordinates. */
  readonly misnamed = new OffsetSet()

  addEvent(density: EventDensity, offset: number): void {
    if (density === 'full') {
      if (!this.full.add(offset)) this.fullAgain.add(offset)
    } else if (!this.partial.add(offset)) this.partialAgain.add(offset)
  }

  /** One letter, which stands for one record or for a batch that could not be decoded. */
  addDeadLetter(first: number, last: number): void {
    for (let offset = first; offset <= last; offset += 1) {
      if (!this.deadLetters.add(offset)) this.deadLettersAgain.add(offset)
    }
  }
}
