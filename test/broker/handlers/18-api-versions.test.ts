import { afterEach, expect, it } from 'vitest'
import { apiVersionsApi } from '../../../src/wire/18-api-versions.ts'
import { KAFKA_ERROR } from '../../../src/wire/error-codes.ts'
import { decodeResponse } from '../../../src/wire/frame.ts'
import { connectTo, startBroker, stopBrokers } from '../broker-client.ts'

afterEach(stopBrokers)

const SOFTWARE = { clientSoftwareName: 'test-client', clientSoftwareVersion: '1.0' }

it.each([0, 1, 2, 3, 4])('lists what is offered in version %i', async (version) => {
  const connection = await connectTo(await startBroker())

  const response = await connection.request(apiVersionsApi, version, SOFTWARE)

  const ranges = Object.fromEntries(
    response.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]),
  )
  expect(response.errorCode).toBe(0)
  expect(ranges).toEqual({
    0: [0, 11],
    1: [4, 16],
    2: [1, 7],
    3: [0, 12],
    8: [0, 9],
    9: [1, 9],
    10: [0, 5],
    11: [0, 9],
    12: [0, 4],
    13: [0, 5],
    14: [0, 5],
    15: [0, 5],
    16: [0, 5],
    18: [0, 4],
    19: [2, 7],
    20: [1, 6],
    21: [0, 2],
    22: [0, 5],
    23: [2, 4],
    24: [0, 3],
    25: [0, 4],
    26: [0, 4],
    28: [0, 4],
    32: [1, 4],
    33: [0, 2],
    37: [0, 3],
    42: [0, 2],
    44: [0, 1],
    60: [0, 1],
    61: [0, 0],
    65: [0, 0],
    66: [0, 1],
  })
})

it('is answered in version 0 with an error when its version is too new, and the connection stays open (K6)', async () => {
  const connection = await connectTo(await startBroker())
  // Key 18, version 99, correlation id 5, then bytes of a format that nobody knows.
  connection.send(Buffer.from('0000000c0012006300000005ffff0102', 'hex'))

  const response = decodeResponse(apiVersionsApi, 0, await connection.frame())

  expect(response).toMatchObject({
    correlationId: 5,
    value: {
      errorCode: KAFKA_ERROR.UNSUPPORTED_VERSION,
      apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }],
    },
  })
  expect((await connection.request(apiVersionsApi, 4, SOFTWARE)).errorCode).toBe(0)
})

it.each(['', 'with space', '-dash', 'x'.repeat(200), 'line\nbreak'])(
  'refuses the software name %j',
  async (name) => {
    const connection = await connectTo(await startBroker())

    const response = await connection.request(apiVersionsApi, 3, { ...SOFTWARE, clientSoftwareName: name })

    expect(response.errorCode).toBe(KAFKA_ERROR.INVALID_REQUEST)
  },
)
