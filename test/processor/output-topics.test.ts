// The topics that a processor's output goes to: as many partitions as their vault topic, whatever happens to either.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AmbientWriter, createAmbientBuffer } from '../../src/pressure/ambient-status.ts'
import { GUARANTEES } from '../../src/processor/delivery.ts'
import { eventually } from '../support/eventually.ts'
import { ENRICHED, numbered, ProcessorWorld, VAULT } from './support.ts'

let world: ProcessorWorld

beforeEach(async () => {
  world = await ProcessorWorld.start()
})

afterEach(() => world.stop())

describe.each(GUARANTEES)('output topics, %s', (guarantee) => {
  beforeEach(() => {
    world.guarantee = guarantee
  })

  it('gain partitions when their vault topic does', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    await world.startProcessor()
    await world.produce(VAULT, numbered(10))
    await eventually('the first are committed', async () => (await world.committed()) === 10)

    await world.growTopic(VAULT, 4)
    await world.produce(VAULT, numbered(10, 10), 3)

    await eventually('those of a new partition are committed', async () => (await world.committed(3)) === 10)
    expect(await world.partitionCount(ENRICHED)).toBe(4)
    await eventually('every event can be read', async () => (await world.bodies()).length === 20)
  })

  it.each([ENRICHED, 'passthrough.web', 'gophership.debt'])(
    '%s is made again when it was deleted',
    async (topic) => {
      await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
      const ambient = createAmbientBuffer()
      new AmbientWriter(ambient).setEmergency(topic !== ENRICHED)
      const failures: Error[] = []
      await world.startProcessor({ ambient, onFailed: (error) => failures.push(error) })
      await world.produce(VAULT, numbered(10))
      await eventually('the first are committed', async () => (await world.committed()) === 10)

      for (let batch = 1; batch <= 40; batch++) {
        if (batch === 10) await world.deleteTopic(topic)
        await world.produce(VAULT, numbered(10, batch * 10))
      }

      await eventually('all are committed', async () => (await world.committed()) === 410, {
        withinMs: 20_000,
      })
      expect(failures).toEqual([])
      await eventually('it is there', async () => (await world.partitionCount(topic)) > 0)
      await world.produce(VAULT, numbered(10, 410))
      await eventually('what comes behind is committed', async () => (await world.committed()) === 420)
      await eventually('it can be read', async () => (await world.values(topic)).length > 0)
    },
    60_000,
  )

  it('gain partitions when their vault topic does, also where batches are forwarded', async () => {
    await world.cluster.ensureTopic(VAULT, { partitionCount: 2 })
    const ambient = createAmbientBuffer()
    new AmbientWriter(ambient).setEmergency(true)
    await world.startProcessor({ ambient })
    await world.produce(VAULT, numbered(10))
    await eventually('the first are committed', async () => (await world.committed()) === 10)

    await world.growTopic(VAULT, 4)
    await world.produce(VAULT, numbered(10, 10), 3)

    await eventually('those of a new partition are committed', async () => (await world.committed(3)) === 10)
    expect(await world.partitionCount('passthrough.web')).toBe(4)
    await eventually('all can be read', async () => (await world.values('passthrough.web')).length === 20)
  })
})
