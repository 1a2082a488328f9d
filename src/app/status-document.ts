/** What `/v1/status` answers and `gophership status` prints. Plain data; a field is never renamed. */

import type { Readiness } from '../admin/admin-server.ts'
import type { CompactorStatus } from '../compactor/compactor-status.ts'
import type { ThreadStatus } from '../core/thread-supervisor.ts'
import type { PressureStatus } from '../pressure/pressure-status.ts'
import type { VaultWriterStatus } from '../vault/vault-writer.ts'

/** An address this process listens on. */
export interface ListeningAddress {
  readonly name: 'broker' | 'ingress.kafka' | 'ingress.http' | 'admin'
  readonly host: string
  readonly port: number
}

export interface StatusDocument {
  readonly version: string
  readonly processId: number
  readonly uptimeSeconds: number
  readonly roles: readonly string[]
  readonly dataDir: string
  readonly readiness: Readiness
  readonly listening: readonly ListeningAddress[]
  readonly kafka: { readonly bootstrapServers: readonly string[]; readonly isEmbedded: boolean }
  readonly threads: readonly ThreadStatus[]
  /** The embedded broker's own status; null without one, or while it does not answer. */
  readonly broker: unknown
  readonly ingress: {
    readonly admissionBytesHeld: number
    readonly admissionBytesMax: number
    readonly kafka: unknown
    readonly http: unknown
    /** With `durability`: what an acknowledgement is worth. */
    readonly vault: VaultWriterStatus
  } | null
  readonly processor: ProcessorStatusDocument | null
  /** What is owed and how it is repaid; null without the role, or while the thread does not answer. */
  readonly compactor: CompactorStatus | null
  /** Null where nothing is processed and no producer comes in. */
  readonly pressure: PressureStatus | null
}

export interface ProcessorStatusDocument {
  readonly topology: string
  readonly streams: readonly StreamStatus[]
  /** The worker threads with their own statuses; null for one that does not answer. */
  readonly workers: readonly { readonly name: string; readonly status: unknown }[]
}

/** One stream's processing, over all partitions and threads. */
export interface StreamStatus {
  readonly stream: string
  readonly partitionCount: number
  /** Vault records not yet enriched. */
  readonly lagRecords: number
  /** Age of the oldest of them; null when it is not known. */
  readonly lagSeconds: number | null
  readonly recordCount: number
  readonly eventCount: number
  readonly deadLetterCount: number
}
