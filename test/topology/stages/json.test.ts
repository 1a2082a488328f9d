import { describe, expect, it } from 'vitest'
import { enrich } from '../enrich-line.ts'

describe('the JSON stage', () => {
  it.each([
    ['message', '{"message":"m"}'],
    ['msg', '{"msg":"m"}'],
    ['log', '{"log":"m"}'],
    ['body', '{"body":"m"}'],
    ['@message', '{"@message":"m"}'],
    ['MESSAGE of journald', '{"MESSAGE":"m"}'],
    ['short_message of GELF', '{"short_message":"m"}'],
  ])('takes %s for the body', (_name, line) => {
    expect(enrich(line)).toMatchObject({ body: 'm', attributes: {} })
  })

  it('takes the best of two messages and keeps the other', () => {
    expect(enrich('{"log":"inner","message":"m"}')).toMatchObject({ body: 'm', attributes: { log: 'inner' } })
    expect(enrich('{"message":"m","log":"inner"}')).toMatchObject({ body: 'm', attributes: { log: 'inner' } })
  })

  it('keeps every field of an object without a message as an attribute, nested ones as maps', () => {
    const line = '{"order":{"id":7,"lines":[{"sku":"a"},null]},"paid":true,"note":null}'

    const event = enrich(line)

    expect(event.body).toBeNull()
    expect(event.attributes).toEqual(JSON.parse(line))
  })

  it('keeps a message that is no text as an attribute', () => {
    expect(enrich('{"message":{"a":1}}')).toMatchObject({ body: null, attributes: { message: { a: 1 } } })
  })

  it('takes an array for the body and leaves scalars as text', () => {
    expect(enrich('[{"a":1},2]').body).toEqual([{ a: 1 }, 2])
    expect(enrich('42').body).toBe('42')
    expect(enrich('"quoted"').body).toBe('"quoted"')
  })

  it('puts host, service, process, thread and logger where OpenTelemetry keeps them', () => {
    const line =
      '{"msg":"m","hostname":"h","service":"s","pid":12,"thread_name":"main","logger_name":"a.b.C","host":"shop.example"}'

    expect(enrich(line)).toMatchObject({
      attributes: {
        'process.pid': 12,
        'thread.name': 'main',
        'otel.scope.name': 'a.b.C',
        host: 'shop.example',
      },
      resource: { 'host.name': 'h', 'service.name': 's' },
    })
    expect(Object.keys(enrich(line).attributes)).toHaveLength(4)
  })

  it('reads the name of a nested service and keeps the map', () => {
    expect(enrich('{"msg":"m","service":{"name":"s","version":"1"}}')).toMatchObject({
      attributes: { service: { name: 's', version: '1' } },
      resource: { 'service.name': 's' },
    })
  })

  it('keeps a time field that is no time, and says that there is no time', () => {
    expect(enrich('{"msg":"m","time":"12 ms"}')).toMatchObject({
      timestamp: null,
      attributes: { time: '12 ms' },
    })
    expect(enrich('{"msg":"m","time":12}')).toMatchObject({ timestamp: null, attributes: { time: 12 } })
    expect(enrich('{"msg":"m","t":1531171074}')).toMatchObject({
      timestamp: null,
      attributes: { t: 1531171074 },
    })
  })

  it('reads lines that are indented', () => {
    expect(enrich('  {"msg":"m"}').body).toBe('m')
  })
})
