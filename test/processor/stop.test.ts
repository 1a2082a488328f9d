// A processor that is stopped at a bad moment: in a commit, or while its output cannot be written.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { GUARANTEES } from '../../src/processor/delivery.ts'
import { offsetCommitApi } from '../../src/wire/08-offset-commit.ts'
import { endTxnApi } from '../../src/wire/26-end-txn.ts'
import { eventually } from '../support/eventually.ts'
import { ENRICHED, numbered, ProcessorWorld, VAULT } from './support.ts'

/** What a worker's thread is given for it. */
const STOP_MS_MAX = 6_000

let world: ProcessorWorld
let failures: Error[]
const onFailed = (error: Error) => void failures.push(error)

beforeEach(async () => {
  world = await ProcessorWorld.start()
  failures = []
})

afterEach(() => world.stop())

async function stopMs(processor: { stop(): Promise<void> } | undefined): Promise<number> {
  const startedMs = performance.now()
  await processor?.stop()
  return performance.now() - startedMs
}

describe.each(GUARANTEES)('a processor is stopped, %s', (guarantee) => {
  beforeEach(() => {
    world.guarantee = guarantee
  })

  it('in the middle of a commit: that is no failure, and its successor goes on', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    const { processor, hold } = await world.startProcessor({ groupInstanceId: 'a', onFailed })
    await eventually('it has its partitions', () => processor.status().partitions.length === 2)
    const commits = hold(guarantee === 'exactly-once' ? endTxnApi : offsetCommitApi)
    await world.produce(VAULT, numbered(100))
    await eventually('a commit is under way', () => commits.heldCount === 1)

    const tookMs = await stopMs(world.processors.pop())

    expect(tookMs).toBeLessThan(STOP_MS_MAX)
    expect(failures).toEqual([])
    await world.startProcessor({ groupInstanceId: 'a' })
    await eventually('all are committed', async () => (await world.committed()) === 100, { withinMs: 20_000 })
    await eventually('every event can be read', async () => new Set(await world.bodies()).size === 100)
  }, 40_000)

  it('while its output is full and stuck: it does not wait for it to be written', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await world.cluster.ensureTopic(ENRICHED, { partitionCount: 2 })
    for (let batch = 0; batch < 80; batch++) await world.produce(VAULT, numbered(1_000, batch * 1_000))
    world.syncs.close()
    const { processor } = await world.startProcessor({ onFailed })
    const position = () => processor.status().partitions.find(({ partition }) => partition === 0)?.position
    let reached: number | undefined = 0
    await eventually(
      'it has come to a halt',
      () => {
        const before = reached
        reached = position()
        return (before ?? 0) > 30_000 && reached === before
      },
      { everyMs: 300 },
    )

    const tookMs = await stopMs(world.processors.pop())

    world.syncs.release()
    expect(tookMs).toBeLessThan(STOP_MS_MAX)
    expect(failures).toEqual([])
  }, 90_000)
})
