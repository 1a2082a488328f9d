import { describe, expect, it } from 'vitest'
import { EventPlaceReader } from '../../src/audit/event-place.ts'
import { compileTopology } from '../../src/topology/compile.ts'
import { checkTopology } from '../../src/topology/declaration.ts'
import { createEnricher } from '../../src/topology/enricher.ts'

const TOPOLOGY = compileTopology(
  checkTopology(
    {
      name: 'example',
      source: { streams: 'all' },
      stages: [{ stage: 'json', tiers: ['full'] }],
      sinks: { enriched: 'enriched.{stream}', deadLetter: 'dead-letter' },
    },
    'test',
  ),
)

function read(text: string): { offset: number; density: string; fault: string | null } {
  const reader = new EventPlaceReader('raw-vault.web', 3)
  const bytes = Buffer.from(`before${text}behind`)
  reader.read(bytes, 6, bytes.length - 6)
  const { offset, density, fault } = reader
  return { offset, density, fault }
}

const event = ({
  id = 'raw-vault.web:3:1200',
  density = 'full',
  topic = 'raw-vault.web',
  place = '1200',
} = {}) =>
  `{"eventId":"${id}","body":"x","density":"${density}","vault":{"topic":"${topic}","partition":3,"offset":${place}}}`

describe('the place of an event', () => {
  it('is read off the events that the enricher writes, at every density that makes events', () => {
    const enricher = createEnricher(TOPOLOGY)
    const value = Buffer.from('{"a":"}}","vault":{"offset":1}}')
    for (const density of ['full', 'partial'] as const) {
      for (const offset of [0, 7, 123_456_789_012]) {
        const text = enricher.enrichToJson(
          value,
          0,
          value.length,
          5,
          'raw-vault.web',
          3,
          offset,
          null,
          density,
        )

        expect(read(String(text))).toEqual({ offset, density, fault: null })
      }
    }
  })

  it('is not believed when the body ends like an event but the event does not', () => {
    const inner = event().replaceAll('"', '\\"')

    expect(read(`{"eventId":"raw-vault.web:3:1","body":"${inner}"}`).fault).toBe('foreign')
  })

  it.each([
    ['another topic', event({ topic: 'raw-vault.other' }), 'foreign'],
    ['a density without a stage', event({ density: 'passthrough' }), 'foreign'],
    ['no offset', event({ place: '' }), 'foreign'],
    ['an offset beyond what is safe', event({ place: '99999999999999999' }), 'foreign'],
    ['an id of another offset', event({ id: 'raw-vault.web:3:1201' }), 'id-mismatch'],
    ['an id with more digits', event({ id: 'raw-vault.web:3:12000' }), 'id-mismatch'],
    ['an id of another partition', event({ id: 'raw-vault.web:4:1200' }), 'id-mismatch'],
    ['nothing', '', 'foreign'],
    ['text', 'hello}}', 'foreign'],
  ])('has a fault: %s', (_, text, fault) => {
    expect(read(text)).toMatchObject({ offset: -1, fault })
  })
})
