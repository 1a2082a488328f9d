/** A batch that is ready to be sent, and how its memory is given back. */

import type { PartitionId } from '../core/brands.ts'

export interface OutputBatch {
  readonly topic: string
  readonly partition: PartitionId
  /** A view into memory that stays as it is until `release`. */
  readonly batch: Buffer
  readonly recordCount: number
  /** To be called once, when nobody reads `batch` any more. */
  release(): void
}
