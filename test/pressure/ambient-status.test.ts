import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/core/random.ts'
import type { AmbientStatus } from '../../src/pressure/ambient-status.ts'
import {
  AmbientCheck,
  AmbientReader,
  AmbientWriter,
  createAmbientBuffer,
} from '../../src/pressure/ambient-status.ts'
import { DRIVERS } from '../../src/pressure/drivers.ts'
import { DECISION_CAUSES } from '../../src/pressure/orders.ts'
import { TIERS, ZONES } from '../../src/pressure/tiers.ts'
import { checkProperty } from '../support/seeded-property.ts'

const PRESSED: AmbientStatus = {
  tier: 'partial',
  zone: 'yellow',
  score: 57,
  cause: 'ceiling',
  driver: 'residentMemory',
}

describe('the ambient status', () => {
  it('begins as full density in green', () => {
    const reader = new AmbientReader(createAmbientBuffer())

    expect(reader.read()).toEqual({ tier: 'full', zone: 'green', score: 0, cause: 'planner', driver: 'none' })
    expect(reader.isEmergency).toBe(false)
  })

  it('is laid out as it is drawn', () => {
    const buffer = createAmbientBuffer()
    const writer = new AmbientWriter(buffer)

    writer.publish(PRESSED)
    writer.setEmergency(true)

    const words = new Int32Array(buffer)
    expect(words[0]).toBe(1 | (1 << 2) | (57 << 4) | (1 << 11) | (DRIVERS.indexOf('residentMemory') << 14))
    expect(words[16]).toBe(1)
  })

  it('is read as it was published, for every tier, zone, cause and driver', () => {
    const anyStatus = fc.record({
      tier: fc.constantFrom(...TIERS),
      zone: fc.constantFrom(...ZONES),
      score: fc.nat({ max: 100 }),
      cause: fc.constantFrom(...DECISION_CAUSES),
      driver: fc.constantFrom(...DRIVERS),
    })
    const buffer = createAmbientBuffer()
    const writer = new AmbientWriter(buffer)
    const reader = new AmbientReader(buffer)
    checkProperty(
      'test/pressure/ambient-status.test.ts',
      500,
      fc.property(anyStatus, (status) => {
        writer.publish(status)
        expect(reader.read()).toEqual(status)
        expect(reader.tier).toBe(status.tier)
      }),
    )
  })

  it('has room for every driver', () => {
    expect(DRIVERS.length).toBeLessThanOrEqual(32)
    expect(DRIVERS[0]).toBe('none')
  })

  it('never shows a score that was not reached', () => {
    const buffer = createAmbientBuffer()

    new AmbientWriter(buffer).publish({ ...PRESSED, score: 79.99 })

    expect(new AmbientReader(buffer).read().score).toBe(79)
  })

  it('is passthrough under the emergency switch, and itself again after it', () => {
    const buffer = createAmbientBuffer()
    const writer = new AmbientWriter(buffer)
    const reader = new AmbientReader(buffer)
    writer.publish(PRESSED)

    writer.setEmergency(true)
    const during = reader.read()
    const tierDuring = reader.tier
    writer.setEmergency(false)

    expect(during).toEqual({ ...PRESSED, tier: 'passthrough', cause: 'emergency', driver: 'emergency' })
    expect(tierDuring).toBe('passthrough')
    expect(reader.read()).toEqual(PRESSED)
  })

  it('refuses memory of another size, and a word that nobody wrote', () => {
    const buffer = createAmbientBuffer()
    new Int32Array(buffer)[0] = -1

    expect(() => new AmbientReader(new SharedArrayBuffer(4))).toThrow(/expected 128 shared bytes, found 4/)
    expect(() => new AmbientReader(buffer).read()).toThrow(/not written by this release/)
    expect(new AmbientReader(buffer).tier).toBe('passthrough')
  })

  it('is seen by another thread', async () => {
    const buffer = createAmbientBuffer()
    const module = new URL('../../src/pressure/ambient-status.ts', import.meta.url).href
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads')
       import(workerData.module).then(({ AmbientReader }) => {
         const reader = new AmbientReader(workerData.buffer)
         parentPort.on('message', () => parentPort.postMessage([reader.tier, reader.isEmergency]))
         parentPort.postMessage('ready')
       })`,
      { eval: true, workerData: { buffer, module } },
    )
    await once(worker, 'message')

    new AmbientWriter(buffer).publish(PRESSED)
    worker.postMessage('read')
    const [seen] = await once(worker, 'message')
    await worker.terminate()

    expect(seen).toEqual(['partial', false])
  })
})

describe('a worker’s look at the tier', () => {
  const started = (recordsBetween?: number) => {
    const buffer = createAmbientBuffer()
    const options = { random: seededRandom(7), ...(recordsBetween === undefined ? {} : { recordsBetween }) }
    return { writer: new AmbientWriter(buffer), check: new AmbientCheck(new AmbientReader(buffer), options) }
  }

  it('comes after half to one and a half of the records between looks', () => {
    const { writer, check } = started(1_000)
    const distances: number[] = []
    for (let round = 0; round < 200; round += 1) {
      const tier = round % 2 === 0 ? 'partial' : 'full'
      writer.publish({ ...PRESSED, tier })
      let recordCount = 0
      while (check.tierFor(1) !== tier) recordCount += 1
      distances.push(recordCount)
    }

    const later = distances.slice(1)
    expect(Math.min(...later)).toBeGreaterThanOrEqual(499)
    expect(Math.max(...later)).toBeLessThanOrEqual(1_500)
    expect(new Set(later).size).toBeGreaterThan(100)
  })

  it('comes with every batch that is larger', () => {
    const { writer, check } = started(1_000)
    check.tierFor(2_000)

    writer.publish(PRESSED)

    expect(check.tierFor(2_000)).toBe('partial')
  })

  it('finds the emergency switch at every call, and the status at once when it ends', () => {
    const { writer, check } = started(1_000_000)
    check.tierFor(1)

    writer.setEmergency(true)
    writer.publish(PRESSED)
    const during = check.tierFor(1)
    writer.setEmergency(false)

    expect(during).toBe('passthrough')
    expect(check.tierFor(1)).toBe('partial')
  })
})
