/**
 * What retention may not delete yet. Some topics' records are still needed by somebody outside the broker after they have
 * aged (they wait to be processed, or are owed): for each partition that somebody says from which offset on, and retention
 * by time and by size stops there. DeleteRecords does not: it is a person's order.
 *
 * Until a partition of a topic that matches the pattern was told of for the first time, all of it is held, so that a start
 * cannot delete what is needed before it has been asked for. Holds live in memory, with the partition: a topic that is
 * deleted and created again begins anew.
 */

import type { Registry } from 'prom-client'
import { Gauge } from 'prom-client'
import { GopherShipError } from '../../core/errors.ts'
import type { Diagnostics } from '../../telemetry/diagnostics.ts'
import type { Partition } from './partition.ts'

/** The call to the broker's thread that sets holds: its argument is a list of `RetentionHold`, its answer a count. */
export const HOLD_RETENTION_CALL = 'holdRetention'

/** Everything of a partition from `offset` on is held; null lets retention have all that its rules give it. */
export interface RetentionHold {
  readonly topic: string
  readonly partition: number
  readonly offset: number | null
}

export interface RetentionHoldsOptions {
  /** A regular expression for whole topic names; null when no topic is held before it is told of. */
  readonly heldTopicsPattern: string | null
  readonly diagnostics: Diagnostics
  readonly metrics: Registry
  /** The partition of that name, if there is one. */
  find(topic: string, partition: number): Partition | undefined
}

export class RetentionHolds {
  readonly #options: RetentionHoldsOptions
  readonly #pattern: RegExp | null
  readonly #holds = new WeakMap<Partition, number | null>()
  /** Bytes that only a hold keeps, by partition: those that are more than none. */
  readonly #heldBytes = new Map<Partition, number>()

  /** Throws GS_CONFIG_INVALID for a pattern that is no regular expression. */
  constructor(options: RetentionHoldsOptions) {
    this.#options = options
    this.#pattern = parsePattern(options.heldTopicsPattern)
    const sum = () => this.heldBytes
    new Gauge({
      name: 'gophership_broker_retention_held_bytes',
      help: 'Bytes past their retention that are kept because they are still needed.',
      registers: [options.metrics],
      collect() {
        this.set(sum())
      },
    })
  }

  /** Bytes past their retention that a hold keeps, over all partitions. */
  get heldBytes(): number {
    let bytes = 0
    for (const [partition, held] of this.#heldBytes) {
      if (partition.isGone) this.#heldBytes.delete(partition)
      else bytes += held
    }
    return bytes
  }

  /** Sets holds. Partitions that do not exist are passed over: whoever holds tells again. Returns how many were set. */
  set(holds: readonly RetentionHold[]): number {
    let count = 0
    for (const { topic, partition, offset } of holds) {
      if (offset !== null && !(Number.isSafeInteger(offset) && offset >= 0)) {
        throw new TypeError(`a hold's offset is a whole number from 0, or null; found ${offset}`)
      }
      const found = this.#options.find(topic, partition)
      if (found === undefined) continue
      this.#holds.set(found, offset)
      count += 1
    }
    return count
  }

  /** Retention may delete what is below this offset; infinite where nothing is held. */
  heldOffsetOf(partition: Partition): number {
    const told = this.#holds.get(partition)
    if (told === undefined) return this.#pattern?.test(partition.topicName) ? 0 : Number.POSITIVE_INFINITY
    return told ?? Number.POSITIVE_INFINITY
  }

  /** Applies retention to a partition, up to its hold; resolves with how many segments went. */
  async applyRetention(partition: Partition, nowMs: number): Promise<number> {
    const { log } = partition
    const heldOffset = this.heldOffsetOf(partition)
    const count = await log.applyRetention(nowMs, { heldOffset })
    this.#note(partition, { heldOffset, heldBytes: log.heldBytes })
    return count
  }

  /** Says once that a hold keeps bytes, and once that it does no more. */
  #note(partition: Partition, held: { heldOffset: number; heldBytes: number }): void {
    const { diagnostics } = this.#options
    const wasHeld = this.#heldBytes.has(partition)
    const where = { topic: partition.topicName, partition: partition.index }
    if (held.heldBytes === 0) {
      if (this.#heldBytes.delete(partition))
        diagnostics.info(where, 'nothing is kept past its retention any more')
      return
    }
    this.#heldBytes.set(partition, held.heldBytes)
    if (wasHeld) return
    diagnostics.warn(
      { ...where, ...held, isTold: this.#holds.has(partition) },
      'records past their retention are kept because they are still needed; the disk fills until they are not',
    )
  }
}

function parsePattern(pattern: string | null): RegExp | null {
  if (pattern === null) return null
  try {
    return new RegExp(`^(?:${pattern})$`)
  } catch (cause) {
    throw new GopherShipError(
      'GS_CONFIG_INVALID',
      `heldTopicsPattern: expected a regular expression, found "${pattern}"`,
      { cause, facts: { pattern } },
    )
  }
}
