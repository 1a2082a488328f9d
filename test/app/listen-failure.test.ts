import { expect, test } from 'vitest'
import { explainListenFailure } from '../../src/app/listen-failure.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { GopherShipError } from '../../src/core/errors.ts'
import { decodeFailure, encodeFailure } from '../../src/core/plain-failure.ts'

const { config } = loadConfig({})
const taken = (port: number) =>
  new GopherShipError('GS_LISTEN_FAILED', `listen EADDRINUSE: 127.0.0.1:${port}`, {
    facts: { port, errno: 'EADDRINUSE' },
  })

test('a taken port says which option to change, for every listener', () => {
  for (const [port, flag] of [
    [9092, '--ingress-kafka-port'],
    [8080, '--ingress-http-port'],
    [9464, '--admin-port'],
    [19092, '--broker-port'],
  ] as const) {
    const failure = explainListenFailure(taken(port), config)

    expect(failure).toMatchObject({ code: 'GS_LISTEN_FAILED', facts: { port } })
    expect(String(failure)).toContain('another program is using the port')
    expect(String(failure)).toContain(flag)
  }
})

test('it does so for a failure that came out of a worker thread', () => {
  const crossed = decodeFailure(encodeFailure(taken(19092)))

  expect(String(explainListenFailure(crossed, config))).toContain('--broker-port')
})

test('an address that cannot be had names its own option, also where several take any free port', () => {
  const flags = new Map([
    ['broker.port', '0'],
    ['ingress.kafka.port', '0'],
    ['ingress.host', 'nowhere.invalid'],
  ])
  const failure = new GopherShipError('GS_LISTEN_FAILED', 'getaddrinfo ENOTFOUND nowhere.invalid', {
    facts: { host: 'nowhere.invalid', port: 0, errno: 'ENOTFOUND' },
  })

  const text = String(explainListenFailure(failure, loadConfig({ flags }).config))
  expect(text).toContain('could not listen on nowhere.invalid:0 for ingress.kafka: no such host name')
  expect(text).toContain('--ingress-kafka-host')
})

test('other failures are left as they are', () => {
  const other = new GopherShipError('GS_STORAGE_LOCKED', 'in use')

  expect(explainListenFailure(other, config)).toBe(other)
})
