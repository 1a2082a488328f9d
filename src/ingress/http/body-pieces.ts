/**
 * A body of unknown length as it comes. Its sender chooses the pieces, and a piece kept for itself costs some hundred
 * bytes whatever it holds: small ones are copied together, or a body of single bytes would cost far more memory than
 * admission counts for it.
 */

/** Pieces from this size on are kept as they are. */
const WHOLE_PIECE_BYTES_MIN = 4 * 1024
const BLOCK_BYTES = 16 * 1024

export class BodyPieces {
  readonly #pieces: Buffer[] = []
  /** Where small pieces go. What lies before `#blockStart` has been handed to `#pieces`. */
  #block = Buffer.alloc(0)
  #blockStart = 0
  #blockEnd = 0

  /** The buffer must not change afterwards. */
  append(piece: Buffer): void {
    if (piece.length >= WHOLE_PIECE_BYTES_MIN) {
      this.#closeSmall()
      this.#pieces.push(piece)
      return
    }
    if (this.#blockEnd + piece.length > this.#block.length) {
      this.#closeSmall()
      this.#block = Buffer.allocUnsafe(BLOCK_BYTES)
      this.#blockStart = 0
      this.#blockEnd = 0
    }
    this.#blockEnd += piece.copy(this.#block, this.#blockEnd)
  }

  /** Everything that was appended, in order. */
  joined(): Buffer {
    this.#closeSmall()
    const [only] = this.#pieces
    return this.#pieces.length === 1 && only !== undefined ? only : Buffer.concat(this.#pieces)
  }

  #closeSmall(): void {
    if (this.#blockEnd === this.#blockStart) return
    this.#pieces.push(this.#block.subarray(this.#blockStart, this.#blockEnd))
    this.#blockStart = this.#blockEnd
  }
}
