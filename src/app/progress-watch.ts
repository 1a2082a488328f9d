/**
 * Whether work that is there is being done: a partition with records to process whose position has not moved for a
 * while is stalled. A processor that is merely behind moves, and one that has caught up has nothing to do.
 */

export interface PartitionProgress {
  readonly topic: string
  readonly partition: number
  /** The next offset to be processed. */
  readonly position: number
  /** Records between the position and the end of the partition. */
  readonly lagRecords: number
}

interface Sample {
  readonly position: number
  readonly movedMs: number
}

export class ProgressWatch {
  readonly #stalledMsMin: number
  #samples = new Map<string, Sample>()

  constructor({ stalledMsMin }: { readonly stalledMsMin: number }) {
    this.#stalledMsMin = stalledMsMin
  }

  /** Takes a look at all partitions, at `nowMs` on the monotonic clock, and returns those that are stalled. */
  observe(partitions: readonly PartitionProgress[], nowMs: number): PartitionProgress[] {
    const before = this.#samples
    this.#samples = new Map()
    return partitions.filter((progress) => {
      const { topic, partition, position, lagRecords } = progress
      const key = `${topic}/${partition}`
      const last = before.get(key)
      const isStill = last !== undefined && last.position === position && lagRecords > 0
      const movedMs = isStill ? last.movedMs : nowMs
      this.#samples.set(key, { position, movedMs })
      return nowMs - movedMs >= this.#stalledMsMin
    })
  }
}
