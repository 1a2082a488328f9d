import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { BrokerConnection } from '../../src/kafka/broker-connection.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { produceApi } from '../../src/wire/00-produce.ts'
import { metadataApi } from '../../src/wire/03-metadata.ts'
import { heartbeatApi } from '../../src/wire/12-heartbeat.ts'
import { apiVersionsApi } from '../../src/wire/18-api-versions.ts'
import { encodeResponseFrame } from '../../src/wire/frame.ts'
import type { FakeBrokerOptions } from './fake-broker.ts'
import { FakeBroker, keepSilent } from './fake-broker.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startFake(options: FakeBrokerOptions = { topics: { orders: 1 } }): Promise<FakeBroker> {
  const broker = await FakeBroker.start(options)
  cleanups.push(() => broker.stop())
  return broker
}

async function open(port: number, options: { requestMsMax?: number } = {}): Promise<BrokerConnection> {
  const connection = await BrokerConnection.open({
    address: { host: '127.0.0.1', port },
    clientId: 'test',
    clock: systemClock,
    diagnostics: silentDiagnostics,
    connectMsMax: 1_000,
    requestMsMax: 1_000,
    responseFrameBytesMax: 1024 * 1024,
    ...options,
  })
  cleanups.push(() => connection.close())
  return connection
}

/** A server that is nothing but its sockets. */
async function rawServer(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer(onConnection).listen(0, '127.0.0.1')
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  await once(server, 'listening')
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const ALL = { topics: null, allowAutoTopicCreation: false }

test('requests are sent without waiting for answers, and each gets its own answer', async () => {
  const broker = await startFake()
  const gate = Promise.withResolvers<void>()
  broker.always(metadataApi, async ({ answer, value }) => {
    await gate.promise
    return { ...answer(), clusterId: value.topics?.[0]?.name ?? '' }
  })
  const connection = await open(broker.port)
  const asked = ['a', 'b', 'c'].map((name) =>
    connection.request(metadataApi, { topics: [{ name }], allowAutoTopicCreation: false }),
  )
  await expect.poll(() => broker.requestsOf(metadataApi).length).toBe(3)
  gate.resolve()
  expect((await Promise.all(asked)).map(({ clusterId }) => clusterId)).toEqual(['a', 'b', 'c'])
})

test('an answer with the wrong correlation id ends the connection for everything in flight', async () => {
  const broker = await startFake()
  broker.script(metadataApi, ({ answer, version, correlationId }) =>
    Buffer.concat(encodeResponseFrame(metadataApi, version, correlationId + 1, answer())),
  )
  const connection = await open(broker.port)
  const asked = [connection.request(metadataApi, ALL), connection.request(metadataApi, ALL)]
  for (const request of asked) {
    await expect(request).rejects.toMatchObject({
      code: 'GS_KAFKA_DISCONNECTED',
      message: expect.stringMatching(/expected the answer to request 2, found the answer to request 3/),
    })
  }
  expect(connection.isOpen).toBe(false)
})

test('an answer that nobody asked for ends the connection', async () => {
  const broker = await startFake()
  const connection = await open(broker.port)
  for (const socket of broker.sockets) socket.write(Buffer.from('0000000400000063', 'hex'))
  await connection.closed
  await expect(connection.request(metadataApi, ALL)).rejects.toThrow(/expected no answer at all/)
})

test('an answer larger than the limit is refused before memory is taken for it', async () => {
  const broker = await startFake()
  broker.script(metadataApi, () => Buffer.from('7fffffff', 'hex'))
  const connection = await open(broker.port)
  await expect(connection.request(metadataApi, ALL)).rejects.toMatchObject({
    code: 'GS_KAFKA_DISCONNECTED',
    message: expect.stringContaining('2147483647'),
  })
})

test('a server that speaks TLS is named as such', async () => {
  // What an OpenSSL server sends on plain text: a fatal alert of TLS 1.2.
  const port = await rawServer((socket) =>
    socket.once('data', () => socket.end(Buffer.from('15030300020246', 'hex'))),
  )
  await expect(open(port)).rejects.toMatchObject({
    code: 'GS_KAFKA_DISCONNECTED',
    message: expect.stringContaining('the server expects TLS on this port'),
  })
})

test('a web server is named as such', async () => {
  const port = await rawServer((socket) =>
    socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
  )
  await expect(open(port)).rejects.toThrow(/this is a web server/)
})

test('an answer that does not follow the schema ends the connection', async () => {
  const broker = await startFake()
  broker.script(metadataApi, ({ correlationId }) => {
    const frame = Buffer.from('0000000800000000ffffffff', 'hex')
    frame.writeInt32BE(correlationId, 4)
    return frame
  })
  const connection = await open(broker.port)
  await expect(connection.request(metadataApi, ALL)).rejects.toMatchObject({ code: 'GS_KAFKA_DISCONNECTED' })
})

test('a request without an answer times out and ends the connection', async () => {
  const broker = await startFake()
  broker.always(metadataApi, keepSilent)
  const connection = await open(broker.port, { requestMsMax: 50 })
  await expect(connection.request(metadataApi, ALL)).rejects.toMatchObject({
    code: 'GS_KAFKA_TIMEOUT',
    facts: { api: 'Metadata', timeoutMs: 50 },
  })
  expect(connection.isOpen).toBe(false)
})

test('a broker that does not know our ApiVersions is asked again in its own version', async () => {
  const broker = await startFake()
  broker.script(apiVersionsApi, ({ correlationId }) => {
    // KIP-511: version 0 with error 35 and the range of ApiVersions alone.
    const frame = encodeResponseFrame(apiVersionsApi, 0, correlationId, {
      errorCode: 35,
      apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 2 }],
    })
    return Buffer.concat(frame)
  })
  await open(broker.port)
  expect(broker.requestsOf(apiVersionsApi).map(({ version }) => version)).toEqual([
    apiVersionsApi.versionMax,
    2,
  ])
})

test('the newest version that both sides have is spoken', async () => {
  const broker = await startFake({
    topics: { orders: 1 },
    versions: new Map([
      [apiVersionsApi.key as number, [0, 3]],
      [metadataApi.key as number, [0, 5]],
      [produceApi.key as number, [13, 14]],
    ]),
  })
  const connection = await open(broker.port)
  await connection.request(metadataApi, ALL)
  expect(broker.requestsOf(metadataApi)[0]?.version).toBe(5)
  await expect(connection.request(heartbeatApi, {})).rejects.toMatchObject({
    code: 'GS_KAFKA_UNSUPPORTED',
    message: expect.stringContaining('does not offer Heartbeat'),
  })
  await expect(connection.request(produceApi, {})).rejects.toThrow(
    /versions 13 to 14.*this client speaks 3 to/,
  )
})

test('a server that accepts and says nothing is given up in time', async () => {
  const port = await rawServer(() => {})
  await expect(open(port)).rejects.toMatchObject({ code: 'GS_KAFKA_TIMEOUT' })
})

test('a refused connection says where it was tried', async () => {
  const port = await rawServer(() => {})
  await cleanups.pop()?.()
  await expect(open(port)).rejects.toMatchObject({
    code: 'GS_KAFKA_DISCONNECTED',
    message: expect.stringContaining(`127.0.0.1:${port}`),
  })
})

test('a request settles only when the socket is finished with its bytes', async () => {
  const received: Buffer[] = []
  let socketOfServer: Socket | undefined
  const port = await rawServer((socket) => {
    socketOfServer = socket
    socket.once('data', (request: Buffer) => {
      const answer = encodeResponseFrame(apiVersionsApi, 4, request.readInt32BE(8), {
        apiKeys: [{ apiKey: 0, minVersion: 3, maxVersion: 11 }],
      })
      socket.write(Buffer.concat(answer))
      // From here on the server does not read: the request fills the sockets' buffers and gets stuck.
      socket.pause()
      socket.on('data', (chunk: Buffer) => received.push(chunk))
      socket.pause()
    })
  })
  const connection = await open(port, { requestMsMax: 100 })
  const records = Buffer.alloc(32 * 1024 * 1024, 'a')
  await connection
    .request(produceApi, { acks: 1, topicData: [{ name: 't', partitionData: [{ index: 0, records }] }] })
    .catch(() => {})
  // The caller has its buffer back and uses it for something else; none of that may reach the server.
  records.fill('b')
  socketOfServer?.resume()
  if (socketOfServer !== undefined && !socketOfServer.closed) await once(socketOfServer, 'close')
  const bytes = Buffer.concat(received)
  expect(bytes.length).toBeGreaterThan(1024)
  expect(bytes.includes('b'.repeat(64))).toBe(false)
})
