/** The ledger while it is read twice: before the outputs, and after. */

import { asPartitionId } from '../core/brands.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { type DebtAccounts, NO_ACCOUNTS } from '../ledger/debt-accounts.ts'
import { LEDGER_TOPIC, LedgerReader } from '../ledger/ledger-topic.ts'
import type { AuditOptions } from './audit-options.ts'
import type { Audited } from './audited-partition.ts'
import type { Finding } from './finding.ts'

/** The ledger as of its last reading; empty where there is none. */
export interface OpenLedger {
  accountsOf(partition: Audited): DebtAccounts
  catchUp(): Promise<void>
  findings(): Finding[]
  stop(): Promise<void>
}

/** Reads it for the first time. */
export async function openLedger(cluster: KafkaCluster, options: AuditOptions): Promise<OpenLedger> {
  const { topology, diagnostics, signal } = options
  let reader: LedgerReader | null = null
  const catchUp = async () => {
    // The topic comes with the first debt, which may be while the outputs are read.
    if (reader === null && (await cluster.refreshMetadata([LEDGER_TOPIC])).topics.has(LEDGER_TOPIC)) {
      reader = new LedgerReader(cluster, { diagnostics })
    }
    await reader?.catchUp(signal === undefined ? {} : { signal })
  }
  await catchUp()
  return {
    catchUp,
    accountsOf: ({ topic, partition }) =>
      reader?.fold.accountsOf({ topology, topic, partition: asPartitionId(partition) }) ?? NO_ACCOUNTS,
    findings: () => {
      const count = reader?.unreadableCount ?? 0
      if (count === 0) return []
      const detail = `${count} records of the ledger cannot be read; the diagnostics name them`
      const about = {
        kind: 'foreign-output',
        isViolation: true,
        detail,
        topic: LEDGER_TOPIC,
        partition: 0,
      } as const
      return [{ ...about, offsetCount: count, ranges: [], rangeCount: 0 }]
    },
    stop: async () => reader?.stop(),
  }
}
