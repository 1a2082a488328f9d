/** A topic: its name, its id for life, its settings and its partitions. */

import type { Partition } from './partition.ts'
import type { ConfigOverrides, EffectiveConfig } from './topic-config.ts'

export interface Topic {
  readonly name: string
  /** Sixteen bytes. A topic of the same name that is created later gets another id. */
  readonly id: Buffer
  readonly isInternal: boolean
  /** What the tags of its partitions' logs come from; null for a topic made before there were tags. */
  readonly tagSecret: Buffer | null
  overrides: ConfigOverrides
  config: EffectiveConfig
  /** By index; only ever grows. */
  readonly partitions: Partition[]
}
