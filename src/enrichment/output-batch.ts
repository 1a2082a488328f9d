/** A batch that is ready to be sent, with the encoder whose memory it lies in. */

import type { BatchEncoder } from '../batch/batch-encoder.ts'
import type { PartitionId } from '../core/brands.ts'

export interface OutputBatch {
  readonly topic: string
  readonly partition: PartitionId
  /** A view into the encoder's memory. */
  readonly batch: Buffer
  /** To be given back to its pool when nobody reads `batch` any more. */
  readonly encoder: BatchEncoder
  readonly recordCount: number
}
