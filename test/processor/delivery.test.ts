// How a worker's work is made durable, against a broker of its own.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { IdempotentProducer } from '../../src/kafka/idempotent-producer.ts'
import { TransactionalProducer } from '../../src/kafka/transactional-producer.ts'
import { encodeDebtKey, encodeDebtValue } from '../../src/ledger/debt-record.ts'
import { ensureLedgerTopic } from '../../src/ledger/ledger-topic.ts'
import { AtLeastOnceDelivery } from '../../src/processor/at-least-once-delivery.ts'
import type { Delivery, Guarantee } from '../../src/processor/delivery.ts'
import { GUARANTEES } from '../../src/processor/delivery.ts'
import { TransactionalDelivery } from '../../src/processor/transactional-delivery.ts'
import { debt } from '../ledger/support.ts'
import { GROUP_ID, ProcessorWorld } from './support.ts'

let world: ProcessorWorld

beforeEach(async () => {
  world = await ProcessorWorld.start()
  await ensureLedgerTopic(world.cluster)
})

afterEach(() => world.stop())

function deliveryOf(guarantee: Guarantee): Delivery {
  const wallMs = () => Date.now()
  if (guarantee === 'at-least-once') {
    const commitOffsets = () => Promise.resolve()
    return new AtLeastOnceDelivery(new IdempotentProducer(world.cluster), { commitOffsets, wallMs })
  }
  const producer = new TransactionalProducer(world.cluster, { transactionalId: 'test' })
  return new TransactionalDelivery(producer, { wallMs })
}

describe.each(GUARANTEES)('a delivery, %s', (guarantee) => {
  it('commits more ledger records than one batch of the topic takes', async () => {
    const delivery = deliveryOf(guarantee)
    await delivery.open(AbortSignal.timeout(10_000))
    const entries = Array.from({ length: 5_000 }, (_, index) => debt(2 * index, 2 * index))
    const ledger = entries.map((entry) => ({
      key: encodeDebtKey({ ...entry, account: 'owed' }),
      value: encodeDebtValue(entry),
    }))

    await delivery.commit({
      offsets: [],
      ledger,
      generation: { groupId: GROUP_ID, generationId: -1, memberId: '', groupInstanceId: null },
    })

    await delivery.stop()
    expect(await world.values('gophership.debt')).toHaveLength(entries.length)
  })
})
