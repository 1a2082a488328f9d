/**
 * Producers that run random transactions and note what they are told, and a reader: together they know what a
 * read_committed consumer may see after any crash, and what it must.
 */

import { expect } from 'vitest'
import type { Random } from '../../../src/core/random.ts'
import { offsetFetchApi } from '../../../src/wire/09-offset-fetch.ts'
import type { RawConnection } from '../../listener/raw-connection.ts'
import { committedRecords } from '../../support/committed-reader.ts'
import { fetchOne } from '../broker-client.ts'
import { fetchCommitted, TransactionClient } from './transaction-client.ts'

/** Partitions of the topic `orders`. */
export const PARTITIONS = [0, 1, 2, 3]
export const TIMEOUT_MS = 2000

/** What a producer knows of one of its transactions. `unknown`: it asked for the end and was not answered. */
export interface Attempt {
  readonly name: string
  readonly values: Map<number, string[]>
  outcome: 'open' | 'committing' | 'aborting' | 'committed' | 'aborted'
  readonly stagedOffset: number | null
}

export function must(errorCode: number, what: string): void {
  if (errorCode !== 0) throw new Error(`${what} was answered ${errorCode}`)
}

export class OracleProducer {
  readonly index: number
  readonly attempts: Attempt[] = []
  readonly #random: Random
  #client: TransactionClient | null = null
  #count = 0

  constructor(index: number, random: Random) {
    this.index = index
    this.#random = random
  }

  /** Runs transactions until the connection breaks. */
  async work(connection: RawConnection): Promise<void> {
    try {
      await this.#resume(connection)
      for (;;) await this.#transact()
    } catch (error) {
      if (!connection.isClosed) throw error
    }
  }

  /** Starts anew under the producer's id, without a transaction. */
  async takeOver(connection: RawConnection): Promise<void> {
    await TransactionClient.begun(connection, `tx-${this.index}`, TIMEOUT_MS)
  }

  /** After a crash a producer either asks again for the end it had asked for, or starts anew and is told nothing. */
  async #resume(connection: RawConnection): Promise<void> {
    const last = this.attempts.at(-1)
    if (this.#client !== null && last !== undefined && this.#random.below(2) === 0) {
      this.#client.connection = connection
      const isEnding = last.outcome === 'committing' || last.outcome === 'aborting'
      if (isEnding) {
        const isCommit = last.outcome === 'committing'
        const errorCode = await this.#client.end(isCommit)
        // 48: the request had not arrived before the transaction's time was up; 90: and it was aborted for that.
        if (errorCode === 0) last.outcome = isCommit ? 'committed' : 'aborted'
        else if (errorCode !== 90 && errorCode !== 48) must(errorCode, 'the end of a transaction')
      }
    }
    this.#client = await TransactionClient.begun(connection, `tx-${this.index}`, TIMEOUT_MS)
  }

  async #transact(): Promise<void> {
    const client = this.#client as TransactionClient
    const number = this.#count++
    const places = PARTITIONS.filter(() => this.#random.below(2) === 0)
    const withOffsets = this.#random.below(3) > 0
    const attempt: Attempt = {
      name: `${this.index}.${number}`,
      values: new Map(),
      outcome: 'open',
      stagedOffset: withOffsets ? number : null,
    }
    this.attempts.push(attempt)
    if (places.length === 0 && !withOffsets) return
    if (places.length > 0) must(await client.add('orders', places), 'AddPartitionsToTxn')
    for (const place of places) {
      const values = Array.from(
        { length: 1 + this.#random.below(3) },
        (_, index) => `${attempt.name}/${index}`,
      )
      attempt.values.set(place, values)
      must((await client.produce(values, { partition: place })).errorCode, 'Produce')
    }
    const member = { groupId: `group-${this.index}` }
    if (withOffsets) {
      must(await client.addOffsets(member.groupId), 'AddOffsetsToTxn')
      must(await client.commitOffset(number, member), 'TxnOffsetCommit')
    }
    const isCommit = this.#random.below(4) > 0
    attempt.outcome = isCommit ? 'committing' : 'aborting'
    must(await client.end(isCommit), 'EndTxn')
    attempt.outcome = isCommit ? 'committed' : 'aborted'
  }
}

/** Follows all partitions, as a consumer that keeps its positions over crashes of the broker. */
export class OracleReader {
  readonly values = PARTITIONS.map((): string[] => [])
  readonly #offsets = PARTITIONS.map(() => 0)

  async poll(connection: RawConnection): Promise<boolean> {
    let moved = false
    for (const partition of PARTITIONS) {
      const offset = this.#offsets[partition] as number
      const answer = await fetchCommitted(connection, { partition, offset })
      must(answer.errorCode, 'Fetch')
      const { records, nextOffset } = committedRecords(answer, offset)
      this.values[partition]?.push(...records.map(({ value }) => value))
      this.#offsets[partition] = nextOffset
      if (nextOffset > offset) moved = true
    }
    return moved
  }

  async follow(connection: RawConnection): Promise<void> {
    try {
      for (;;) await this.poll(connection)
    } catch (error) {
      if (!connection.isClosed) throw error
    }
  }
}

export async function nothingIsOpen(connection: RawConnection): Promise<boolean> {
  for (const partition of PARTITIONS) {
    const { lastStableOffset, highWatermark } = await fetchOne(connection, { partition })
    if (lastStableOffset !== highWatermark) return false
  }
  return true
}

export async function committedOffset(connection: RawConnection, groupId: string): Promise<number> {
  const { topics } = await connection.request(offsetFetchApi, 7, {
    groupId,
    requireStable: true,
    topics: [{ name: 'orders', partitionIndexes: [0] }],
  })
  const partition = topics[0]?.partitions[0]
  must(partition?.errorCode ?? -1, 'OffsetFetch')
  return partition?.committedOffset ?? -1
}

/** Every transaction is there as a whole, once, or not at all; gives the names of those that are. */
export function checkSeen(
  producers: readonly { readonly attempts: readonly Attempt[] }[],
  seen: readonly (readonly string[])[],
): Set<string> {
  const present = new Set<string>()
  const counts = seen.map((values) => {
    const byValue = new Map<string, number>()
    for (const value of values) byValue.set(value, (byValue.get(value) ?? 0) + 1)
    return byValue
  })
  let expectedTotal = 0
  for (const attempt of producers.flatMap(({ attempts }) => attempts)) {
    const wanted = [...attempt.values].flatMap(([place, values]) => values.map((value) => ({ place, value })))
    const found = wanted.filter(({ place, value }) => counts[place]?.has(value))
    const isAllOrNothing = found.length === 0 || found.length === wanted.length
    expect(isAllOrNothing, `${attempt.name} (${attempt.outcome}) is torn`).toBe(true)
    for (const { place, value } of found) expect(counts[place]?.get(value), `${value} in ${place}`).toBe(1)
    if (attempt.outcome === 'committed')
      expect(found.length, `${attempt.name} was committed`).toBe(wanted.length)
    if (attempt.outcome === 'aborted' || attempt.outcome === 'open') {
      expect(found.length, `${attempt.name} was never committed`).toBe(0)
    }
    expectedTotal += found.length
    if (found.length > 0) present.add(attempt.name)
  }
  expect(seen.flat()).toHaveLength(expectedTotal)
  return present
}

/** The group's offset is that of the last transaction that committed, as far as the producer can know. */
export function checkOffset(
  producer: { readonly attempts: readonly Attempt[] },
  present: ReadonlySet<string>,
  offset: number,
): void {
  let possible = new Set([-1])
  for (const { name, outcome, stagedOffset, values } of producer.attempts) {
    if (stagedOffset === null) continue
    const isCertain = outcome === 'committed' || present.has(name)
    const isPossible = outcome === 'committing' && values.size === 0
    if (isCertain) possible = new Set([stagedOffset])
    else if (isPossible) possible.add(stagedOffset)
  }
  expect([...possible]).toContain(offset)
}
