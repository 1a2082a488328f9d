/**
 * Requests that the network holds up: a producer gives its connection up, asks again on another and goes on, or a successor takes its
 * id; what it had sent arrives in the middle of a later transaction. No schedule tears that one, or moves its offsets.
 */

import { afterEach, it } from 'vitest'
import type { Random } from '../../../src/core/random.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { endTxnApi } from '../../../src/wire/26-end-txn.ts'
import { txnOffsetCommitApi } from '../../../src/wire/28-txn-offset-commit.ts'
import type { RawConnection } from '../../listener/raw-connection.ts'
import type { TestBroker } from '../../support/broker.ts'
import { eventually } from '../../support/eventually.ts'
import { SimDisk, simPath } from '../../support/sim-disk.ts'
import { connectTo, createTopic, startBroker, stopBrokers } from '../broker-client.ts'
import { TransactionClient } from './transaction-client.ts'
import type { Attempt } from './transaction-oracle.ts'
import {
  checkOffset,
  checkSeen,
  committedOffset,
  must,
  nothingIsOpen,
  OracleReader,
  PARTITIONS,
} from './transaction-oracle.ts'

afterEach(stopBrokers)

const SCHEDULES = 100
const BLOCKS = process.env['GOPHERSHIP_TEST_LONG'] === '1' ? 10 : 1
const TRANSACTIONS = 5

class Schedule {
  readonly attempts: Attempt[] = []
  readonly name: string
  readonly #broker: TestBroker
  readonly #random: Random
  /** What was sent and has not arrived. */
  #held: (() => void)[] = []
  readonly #connections: RawConnection[] = []
  #client: TransactionClient | null = null

  constructor(name: string, broker: TestBroker, random: Random) {
    this.name = name
    this.#broker = broker
    this.#random = random
  }

  async run(): Promise<void> {
    this.#client = await TransactionClient.begun(await this.#connect(), this.name)
    for (let number = 0; number < TRANSACTIONS; number += 1) await this.#transact(number)
    for (const arrive of this.#held) arrive()
    await new Promise((resolve) => setTimeout(resolve, 5))
    for (const connection of this.#connections) connection.close()
  }

  async #connect(): Promise<RawConnection> {
    const connection = await connectTo(this.#broker)
    this.#connections.push(connection)
    return connection
  }

  async #transact(number: number): Promise<void> {
    const client = this.#client as TransactionClient
    const attempt: Attempt = {
      name: `${this.name}.${number}`,
      values: new Map(),
      outcome: 'open',
      stagedOffset: number,
    }
    this.attempts.push(attempt)
    must(await client.add('orders', PARTITIONS), 'AddPartitionsToTxn')
    must(await client.addOffsets(this.name), 'AddOffsetsToTxn')
    for (const partition of PARTITIONS) {
      await this.#someArrive()
      const values = [`${attempt.name}/${partition}`]
      attempt.values.set(partition, values)
      must((await client.produce(values, { partition })).errorCode, 'Produce')
    }
    if (this.#random.below(3) === 0) await this.#giveUp(() => this.#holdOffset(number))
    must(await client.commitOffset(number, { groupId: this.name }), 'TxnOffsetCommit')
    await this.#someArrive()
    const isCommit = this.#random.below(3) > 0
    const dice = this.#random.below(4)
    if (dice === 0) {
      // Its holder stalls with the request for the end on its way, and a successor takes the id.
      this.#holdEnd(true)
      this.#client = await TransactionClient.begun(await this.#connect(), this.name)
      attempt.outcome = 'aborted'
      return
    }
    if (dice === 1) await this.#giveUp(() => this.#holdEnd(isCommit))
    must(await client.end(isCommit), 'EndTxn')
    attempt.outcome = isCommit ? 'committed' : 'aborted'
  }

  /** What `hold` sends is held up, and the producer goes over to a new connection. */
  async #giveUp(hold: () => void): Promise<void> {
    hold()
    ;(this.#client as TransactionClient).connection = await this.#connect()
  }

  #holdEnd(committed: boolean): void {
    const { connection, transactionalId, producerId, producerEpoch } = this.#client as TransactionClient
    const request = { transactionalId, producerId, producerEpoch, committed }
    this.#held.push(() => arriveOn(connection, () => connection.sendRequest(endTxnApi, 3, request)))
  }

  #holdOffset(committedOffset: number): void {
    const { connection, transactionalId, producerId, producerEpoch } = this.#client as TransactionClient
    const request = {
      transactionalId,
      producerId,
      producerEpoch,
      groupId: this.name,
      topics: [
        { name: 'orders', partitions: [{ partitionIndex: 0, committedOffset, committedMetadata: '' }] },
      ],
    }
    this.#held.push(() => arriveOn(connection, () => connection.sendRequest(txnOffsetCommitApi, 3, request)))
  }

  async #someArrive(): Promise<void> {
    const waiting = this.#held
    this.#held = waiting.filter(() => this.#random.below(3) > 0)
    for (const arrive of waiting) if (!this.#held.includes(arrive)) arrive()
    if (this.#held.length < waiting.length) await new Promise((resolve) => setImmediate(resolve))
  }
}

function arriveOn(connection: RawConnection, send: () => number): void {
  if (!connection.isClosed) send()
}

it.each(Array.from({ length: BLOCKS }, (_, block) => block * SCHEDULES + 1))(
  `no late request tears a transaction, over ${SCHEDULES} schedules from seed %i on`,
  async (firstSeed) => {
    const broker = await startBroker({ disk: new SimDisk(), directory: simPath('broker') })
    const connection = await connectTo(broker)
    await createTopic(connection, 'orders', { partitionCount: PARTITIONS.length })
    const schedules: Schedule[] = []
    for (let seed = firstSeed; seed < firstSeed + SCHEDULES; seed += 1) {
      const schedule = new Schedule(`s${seed}`, broker, seededRandom(seed))
      schedules.push(schedule)
      await schedule.run()
    }
    await eventually('all transactions to end', () => nothingIsOpen(connection))
    const reader = new OracleReader()
    while (await reader.poll(connection));

    const present = checkSeen(schedules, reader.values)
    for (const schedule of schedules) {
      await eventually('stable offsets', async () => {
        checkOffset(schedule, present, await committedOffset(connection, schedule.name))
        return true
      })
    }
  },
  120_000,
)
