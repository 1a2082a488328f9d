/**
 * The way to one broker address: opens a connection when one is wanted, once for all who wait for it, and spaces out
 * the attempts after failures. It holds no requests: when a connection breaks, those who used it decide what to do.
 */

import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import type { BackoffOptions } from './backoff.ts'
import { backoffMs } from './backoff.ts'
import type { BrokerAddress } from './broker-address.ts'
import { formatBrokerAddress } from './broker-address.ts'
import type { BrokerConnection } from './broker-connection.ts'
import { KafkaDisconnectedError } from './kafka-errors.ts'

export interface BrokerLinkOptions {
  readonly address: BrokerAddress
  readonly clock: Clock
  readonly random: Random
  readonly backoff: BackoffOptions
  readonly open: (address: BrokerAddress) => Promise<BrokerConnection>
}

export class BrokerLink {
  readonly address: BrokerAddress
  readonly #options: BrokerLinkOptions
  #connection: BrokerConnection | null = null
  #opening: Promise<BrokerConnection> | null = null
  #failureCount = 0
  #retryAtMs = 0
  #isClosed = false

  constructor(options: BrokerLinkOptions) {
    this.#options = options
    this.address = options.address
  }

  /** The connection, when one is open right now. */
  get openConnection(): BrokerConnection | null {
    return this.#connection?.isOpen === true ? this.#connection : null
  }

  /** True while the next attempt has to wait because the last ones failed. */
  get isInBackoff(): boolean {
    return this.openConnection === null && this.#options.clock.monotonicMs() < this.#retryAtMs
  }

  /** The open connection, or a new one; waits out the backoff first. Throws what `open` throws. */
  connect(): Promise<BrokerConnection> {
    const open = this.openConnection
    if (open !== null) return Promise.resolve(open)
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null
    })
    return this.#opening
  }

  /** Closes for good; resolves when the socket is gone. */
  async close(): Promise<void> {
    this.#isClosed = true
    const connection = this.#connection
    this.#connection = null
    connection?.close()
    await Promise.all([connection?.closed, this.#opening?.catch(() => {})])
  }

  async #open(): Promise<BrokerConnection> {
    const { clock, random, backoff, address } = this.#options
    const waitMs = this.#retryAtMs - clock.monotonicMs()
    if (waitMs > 0) await clock.sleep(waitMs)
    this.#throwIfClosed()
    try {
      const connection = await this.#options.open(address)
      if (this.#isClosed) {
        connection.close()
        await connection.closed
      }
      this.#throwIfClosed()
      this.#failureCount = 0
      this.#connection = connection
      return connection
    } catch (error) {
      this.#failureCount++
      this.#retryAtMs = clock.monotonicMs() + backoffMs(backoff, this.#failureCount, random)
      throw error
    }
  }

  #throwIfClosed(): void {
    if (!this.#isClosed) return
    const server = formatBrokerAddress(this.address)
    throw new KafkaDisconnectedError(`${server}: the connection was closed by this side`, { server })
  }
}
