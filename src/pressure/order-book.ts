/**
 * The orders that hold here: those of this process alone, and those that the control topic gives to all. An emergency holds
 * when either says so; ending the one does not end the other.
 */

import { type ControlState, type EmergencyOrder, NO_CONTROL } from './control-record.ts'
import type { StandingOrders } from './observer.ts'

export class OrderBook {
  #own: EmergencyOrder | null = null
  #cluster: ControlState = NO_CONTROL
  readonly #onChange: () => void

  constructor({ onChange }: { readonly onChange: () => void }) {
    this.#onChange = onChange
  }

  /** What holds now. Of two emergencies the one of this process is told, as its end is nearer at hand. */
  current(): StandingOrders {
    const { emergency, override } = this.#cluster
    if (this.#own !== null) return { emergency: { ...this.#own, scope: 'process' }, override }
    return { emergency: emergency && { ...emergency, scope: 'cluster' }, override }
  }

  get own(): EmergencyOrder | null {
    return this.#own
  }

  get cluster(): ControlState {
    return this.#cluster
  }

  /** Begins or, with null, ends the emergency of this process. */
  orderEmergency(order: EmergencyOrder | null): void {
    this.#own = order
    this.#onChange()
  }

  /** What the control topic says now. */
  follow(state: ControlState): void {
    this.#cluster = state
    this.#onChange()
  }
}
