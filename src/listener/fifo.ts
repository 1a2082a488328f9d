/** A first-in first-out queue whose `shift` does not move the rest: arrays do, beyond a few thousand entries. */
export class Fifo<Item> {
  #items: (Item | undefined)[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  push(item: Item): void {
    this.#items.push(item)
  }

  /** The oldest item, left in place. */
  peek(): Item | undefined {
    return this.#items[this.#head]
  }

  /** Takes the oldest item, or undefined when there is none. */
  shift(): Item | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head] = undefined
    this.#head += 1
    if (this.#head === this.#items.length) {
      this.#items.length = 0
      this.#head = 0
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items.splice(0, this.#head)
      this.#head = 0
    }
    return item
  }

  /** Takes everything, oldest first. */
  drain(): Item[] {
    const rest = this.#items.slice(this.#head) as Item[]
    this.#items.length = 0
    this.#head = 0
    return rest
  }
}
