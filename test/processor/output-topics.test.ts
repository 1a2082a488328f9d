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
