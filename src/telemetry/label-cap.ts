/**
 * Metric labels from outside (stream names, client ids) must not grow without bound: each distinct value is a time
 * series for ever. The first so many values keep their name, all later ones share `other`.
 */

/** The label that stands for every value past the cap. */
export const OTHER_LABEL = 'other'

export class LabelCap {
  readonly #values = new Set<string>()
  readonly #valuesMax: number
  readonly #charsMax: number

  constructor({
    valuesMax = 200,
    charsMax = 249,
  }: { readonly valuesMax?: number; readonly charsMax?: number } = {}) {
    this.#valuesMax = valuesMax
    this.#charsMax = charsMax
  }

  /** The value itself while there is room for it (and it is not overlong), else `other`. */
  labelOf(value: string): string {
    if (this.#values.has(value)) return value
    if (this.#values.size >= this.#valuesMax || value.length > this.#charsMax) return OTHER_LABEL
    this.#values.add(value)
    return value
  }
}
