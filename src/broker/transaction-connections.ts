/**
 * Which connection a transactional producer speaks on. A producer that got no answer gives its connection up and asks again
 * on a new one; what it had sent on the old one may still be on its way, held up in the network. Within one epoch nothing in
 * such a late EndTxn tells it from the one that ends the producer's next transaction, and it would end that one in the middle
 * (KIP-890 is about this). So:
 *
 * 1. A producer sends EndTxn on connection 1; it is held up. 2. It gives up, asks again on connection 2 and is answered.
 * 3. It begins its next transaction on connection 2. 4. The first EndTxn arrives, on connection 1, which is older than the one
 * that the producer has gone over to: it is not obeyed, and connection 1 is closed.
 *
 * A client that really keeps several connections connects again and goes on, on one that is newer.
 */

import type { Call } from './handlers/route.ts'
import type { TransactionSender } from './transactions/transaction-coordinator.ts'

/** Clients may keep one connection for the coordinator of transactions and another for that of their group. */
export type TransactionConnectionUse = 'coordinator' | 'group'

/** True when the producer has gone over to a newer connection since; this one is closed then, and gets no answer. */
export function isOvertaken(sender: TransactionSender, use: TransactionConnectionUse, call: Call): boolean {
  const transaction = call.broker.transactions.find(sender.transactionalId)
  if (transaction === undefined) return false
  // Others may say what they like of this id, without moving its producer's connection.
  if (transaction.producerId !== sender.producerId || transaction.producerEpoch !== sender.producerEpoch) {
    return false
  }
  const { id } = call.connection
  if (id >= transaction.connectionIds[use]) {
    transaction.connectionIds[use] = id
    return false
  }
  call.connection.close('transaction-overtaken', { transactionalId: sender.transactionalId.slice(0, 256) })
  return true
}
