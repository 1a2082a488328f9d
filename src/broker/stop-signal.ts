/** Tells whoever waits long that the broker stops. A plain set: hundreds of fetches come and go on it. */
export class StopSignal {
  readonly #listeners = new Set<() => void>()
  #stopped = false

  get isStopped(): boolean {
    return this.#stopped
  }

  /** Runs `listener` when the stop begins, at once when it has begun. Returns how to unsubscribe. */
  onStop(listener: () => void): () => void {
    if (this.#stopped) {
      listener()
      return () => {}
    }
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  stop(): void {
    this.#stopped = true
    for (const listener of [...this.#listeners]) listener()
    this.#listeners.clear()
  }
}
