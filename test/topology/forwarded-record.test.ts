import { describe, expect, it } from 'vitest'
import { enrich, enrichAtBoth } from './enrich-line.ts'

describe('an event of Fluent Bit', () => {
  it.each([
    ['with its time in front', '[1577876400.123456789, {"log":"m","level":"error","a":1}]'],
    ['without a space', '[1577876400.123456789,{"level":"error","message":"m","a":1}]'],
    ['with empty metadata', '[[1577876400.123456789, {}], {"log":"m","level":"error","a":1}]'],
  ])('%s is read as the record it holds', (_what, line) => {
    const event = enrichAtBoth(line)

    expect(event).toMatchObject({
      timestamp: '2020-01-01T11:00:00.123456789Z',
      severityText: 'error',
      severityNumber: 17,
      body: 'm',
    })
    expect(event.attributes).toEqual({ a: 1 })
    expect(enrich(line, { density: 'partial' })).toMatchObject({
      timestamp: '2020-01-01T11:00:00.123456789Z',
      severityText: 'error',
      body: line,
    })
  })

  it.each([
    '[0] cpu.local: [1577876400.123456789, {"cpu_p"=>1.750000, "user_p"=>1.750000}]',
    '[12] tail.0: [[1577876400.123456789, {}], {"log"=>"an ERROR"}]',
  ])('in the notation of %s stays the body, with its time', (line) => {
    expect(enrichAtBoth(line)).toMatchObject({
      timestamp: '2020-01-01T11:00:00.123456789Z',
      severityText: null,
      body: line,
      attributes: {},
    })
  })

  it('with metadata keeps all of it', () => {
    expect(enrichAtBoth('[[1577876400.5, {"a":1}], {"log":"m"}]')).toMatchObject({
      timestamp: '2020-01-01T11:00:00.500Z',
      body: [[1577876400.5, { a: 1 }], { log: 'm' }],
    })
  })

  it.each([
    ['[1577876400.5, {"log":"m"]', '[1577876400.5, {"log":"m"]'],
    ['[1577876400.5, 7]', '[1577876400.5, 7]'],
    ['[7, {"log":"m"}]', '[7, {"log":"m"}]'],
    ['[0] x: [7, {}]', '[0] x: [7, {}]'],
    ['[[1577876400], [1577876401]]', [[1577876400], [1577876401]]],
    ['[[1,2],[3]]', [[1, 2], [3]]],
  ])('is not seen in %s', (line, body) => {
    expect(enrichAtBoth(line)).toMatchObject({ timestamp: null, body })
  })

  it('has a date that is a number of seconds, as its JSON output writes it', () => {
    expect(enrichAtBoth('{"date":1577876400.123456,"log":"m"}')).toMatchObject({
      timestamp: '2020-01-01T11:00:00.123456Z',
      body: 'm',
      attributes: {},
    })
  })
})
