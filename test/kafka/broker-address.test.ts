import { expect, test } from 'vitest'
import { formatBrokerAddress, parseBrokerAddress } from '../../src/kafka/broker-address.ts'
import { hintForFrameSize } from '../../src/kafka/frame-size-hint.ts'

test.each([
  ['localhost:9092', { host: 'localhost', port: 9092 }],
  [' kafka-1.example:1 ', { host: 'kafka-1.example', port: 1 }],
  ['[::1]:65535', { host: '::1', port: 65535 }],
])('%j is an address', (text, address) => {
  expect(parseBrokerAddress(text)).toEqual(address)
  expect(parseBrokerAddress(formatBrokerAddress(address))).toEqual(address)
})

test.each([
  '',
  'localhost',
  'localhost:',
  ':9092',
  'localhost:0',
  'localhost:65536',
  '::1:9092',
  'kafka://a:1',
  'a b:1',
])('%j is refused with an example', (text) => {
  expect(() => parseBrokerAddress(text)).toThrow(
    expect.objectContaining({
      code: 'GS_CONFIG_INVALID',
      message: expect.stringContaining('127.0.0.1:9092'),
    }),
  )
})

test.each([
  [0x15030300, /TLS alert/],
  [0x16030102, /TLS handshake/],
  [0x48545450, /web server/],
  [0x47455420, /HTTP request/],
  [0x5353482d, /SSH/],
])('a frame size of %i is recognised', (size, hint) => {
  expect(hintForFrameSize(size)).toMatch(hint)
})

test.each([-1, 0, 67_108_865, 2 ** 31 - 1])('a frame size of %i tells nothing', (size) => {
  expect(hintForFrameSize(size)).toBeNull()
})
