/** Which node coordinates which group (FindCoordinator), remembered until somebody reports that it is wrong. */

import type { findCoordinatorApi } from '../wire/10-find-coordinator.ts'
import type { RequestInputOf, ResponseOf } from '../wire/api.ts'
import type { BrokerAddress } from './broker-address.ts'
import { throwOnKafkaError } from './kafka-errors.ts'

/** The protocol's `key_type`. */
export const COORDINATOR_KEY = { group: 0, transaction: 1 } as const
export type CoordinatorKind = keyof typeof COORDINATOR_KEY

export interface Coordinator {
  readonly nodeId: number
  readonly address: BrokerAddress
}

export interface CoordinatorCacheOptions {
  readonly request: (
    value: RequestInputOf<typeof findCoordinatorApi>,
  ) => Promise<ResponseOf<typeof findCoordinatorApi>>
}

export class CoordinatorCache {
  readonly #options: CoordinatorCacheOptions
  /** A promise per key, so that all who ask at once share one lookup; a failed one is forgotten. */
  readonly #lookups = new Map<string, Promise<Coordinator>>()

  constructor(options: CoordinatorCacheOptions) {
    this.#options = options
  }

  /** The coordinator, asked for when not known. Throws GS_KAFKA_RESPONSE (15 while the cluster has none yet). */
  find(kind: CoordinatorKind, key: string): Promise<Coordinator> {
    const id = `${kind} ${key}`
    const known = this.#lookups.get(id)
    if (known !== undefined) return known
    const lookup = this.#lookup(kind, key)
    this.#lookups.set(id, lookup)
    lookup.catch(() => {
      if (this.#lookups.get(id) === lookup) this.#lookups.delete(id)
    })
    return lookup
  }

  /** The next `find` asks again. */
  forget(kind: CoordinatorKind, key: string): void {
    this.#lookups.delete(`${kind} ${key}`)
  }

  async #lookup(kind: CoordinatorKind, key: string): Promise<Coordinator> {
    // Versions up to 3 ask for one key, later ones for a list; the version decides which fields are sent and answered.
    const answer = await this.#options.request({
      key,
      keyType: COORDINATOR_KEY[kind],
      coordinatorKeys: [key],
    })
    const found = answer.coordinators.find((coordinator) => coordinator.key === key) ?? answer
    throwOnKafkaError('FindCoordinator', found.errorCode, { key, kind }, found.errorMessage)
    return { nodeId: found.nodeId, address: { host: found.host, port: found.port } }
  }
}
