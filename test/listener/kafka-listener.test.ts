import { afterEach, describe, expect, it } from 'vitest'
import { Admission, ARRIVAL_STEP_BYTES } from '../../src/listener/admission.ts'
import type { ListenerReply, ListenerRequest } from '../../src/listener/listener-types.ts'
import { apiVersionsApi } from '../../src/wire/18-api-versions.ts'
import { decodeResponse, encodeRequestFrame } from '../../src/wire/frame.ts'
import { eventually } from '../support/eventually.ts'
import { allowedUnderAttack, p99OfRoundTrips } from '../support/round-trips.ts'
import { emptyReply, startListener, stopListeners } from './listener-fixture.ts'
import type { RawConnection } from './raw-connection.ts'

afterEach(stopListeners)

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function apiVersionsFrame(correlationId: number, clientId: string | null = 'test', version = 3): Buffer {
  return Buffer.concat(encodeRequestFrame(apiVersionsApi, version, { correlationId, clientId }, {}))
}

describe('frames that cannot be Kafka requests', () => {
  it.each([
    ['a negative size (K1)', int32(-1), 'frame-negative'],
    ['the lowest size there is (K1)', int32(-2147483648), 'frame-negative'],
    ['a size above the limit (K2)', int32(16 * 1024 * 1024 + 1), 'frame-too-large'],
    ['the largest size there is (K2)', int32(2147483647), 'frame-too-large'],
    ['an HTTP request (K2, K37)', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'http-on-kafka-port'],
    ['an HTTP post', Buffer.from('POST /v1/streams/x HTTP/1.1\r\n\r\n'), 'http-on-kafka-port'],
    ['a TLS handshake (K37)', Buffer.from('16030100c8010000c40303', 'hex'), 'tls-on-plaintext-port'],
    ['an empty frame (K4)', int32(0), 'request-malformed'],
    ['a frame shorter than its header (K4)', Buffer.concat([int32(7), Buffer.alloc(7)]), 'request-malformed'],
    ['an unknown API (K5)', Buffer.from('0000000c7fff000000000001ffff0000', 'hex'), 'api-not-offered'],
    [
      'an API that is not offered (K5)',
      Buffer.from('0000000e000300000000000100000000ffff', 'hex').subarray(0, 18),
      'api-not-offered',
    ],
    [
      'a version that is not offered (K7)',
      Buffer.from('0000000a0012ffff00000001ffff', 'hex'),
      'api-not-offered',
    ],
    [
      'a client id longer than the frame (K9)',
      Buffer.from('0000000a001200000000000111ff', 'hex'),
      'request-malformed',
    ],
  ])('close the connection without an answer: %s', async (_, bytes, reason) => {
    const { connect, rejections } = await startListener()
    const connection = await connect()

    connection.send(bytes)

    await expect(connection.frame()).rejects.toThrow('closed instead of answered')
    expect(rejections.map((rejection) => rejection.reason)).toEqual([reason])
  })

  it('tell the operator what was really sent to this port', async () => {
    const { connect, rejections } = await startListener()
    const connection = await connect()

    connection.send('GET / HTTP/1.1\r\n\r\n')

    await connection.closed
    expect(rejections[0]?.facts['hint']).toContain('HTTP')
  })

  it('cost only their own connection', async () => {
    const { connect } = await startListener()
    const good = await connect()
    const bad = await connect()

    bad.send(int32(-1))
    await bad.closed

    await expect(good.request(apiVersionsApi, 3, {})).resolves.toMatchObject({ errorCode: 0 })
  })
})

describe('requests', () => {
  it('may carry a null, a long, or a broken client id, and any correlation id (K8)', async () => {
    const { connect, requests } = await startListener()
    const connection = await connect()
    const broken = apiVersionsFrame(3, 'ab')
    broken.writeUInt8(0xff, 14)

    connection.send(apiVersionsFrame(-2147483648, null))
    connection.send(apiVersionsFrame(-1, 'x'.repeat(32_000)))
    connection.send(broken)

    const ids = [await connection.frame(), await connection.frame(), await connection.frame()].map(
      (frame) => decodeResponse(apiVersionsApi, 3, frame).correlationId,
    )
    expect(ids).toEqual([-2147483648, -1, 3])
    expect(requests[1]?.connection.clientId?.length).toBeLessThanOrEqual(256)
  })

  it('are answered in order even when a later one is ready first', async () => {
    const releases: (() => void)[] = []
    const { connect, requests } = await startListener({
      handle: (request) =>
        request.header.correlationId === 1
          ? new Promise((resolve) => releases.push(() => resolve(emptyReply(request))))
          : emptyReply(request),
    })
    const connection = await connect()
    for (let id = 1; id <= 3; id += 1) connection.send(apiVersionsFrame(id))
    await eventually('all requests started', () => requests.length === 3)

    releases[0]?.()

    const ids = []
    for (let count = 0; count < 3; count += 1) {
      ids.push(decodeResponse(apiVersionsApi, 3, await connection.frame()).correlationId)
    }
    expect(ids).toEqual([1, 2, 3])
  })

  it('get the same answers when every frame is cut at every byte (K32)', async () => {
    const { connect } = await startListener()
    const connection = await connect()
    const stream = Buffer.concat([apiVersionsFrame(1), apiVersionsFrame(2)])

    for (let at = 0; at < stream.length; at += 1) {
      connection.send(stream.subarray(at, at + 1))
      await new Promise((resolve) => setImmediate(resolve))
    }

    expect(decodeResponse(apiVersionsApi, 3, await connection.frame()).correlationId).toBe(1)
    expect(decodeResponse(apiVersionsApi, 3, await connection.frame()).correlationId).toBe(2)
  })

  it('get all their answers in order when 10,000 come in one piece, never more than the limit under way (K32)', async () => {
    let underWay = 0
    let mostUnderWay = 0
    const { connect } = await startListener({
      limits: { inFlightRequestsMax: 50 },
      handle: async (request) => {
        underWay += 1
        mostUnderWay = Math.max(mostUnderWay, underWay)
        await new Promise((resolve) => setImmediate(resolve))
        underWay -= 1
        return emptyReply(request)
      },
    })
    const connection = await connect()
    const frames = Array.from({ length: 10_000 }, (_, id) => apiVersionsFrame(id, null))

    connection.send(Buffer.concat(frames))

    for (let id = 0; id < 10_000; id += 1) {
      expect(decodeResponse(apiVersionsApi, 3, await connection.frame()).correlationId).toBe(id)
    }
    expect(mostUnderWay).toBeLessThanOrEqual(50)
    expect(mostUnderWay).toBeGreaterThan(10)
  })

  it('may ask for no answer without disturbing the order of the others', async () => {
    const { connect } = await startListener({
      handle: (request) => (request.header.correlationId === 2 ? null : emptyReply(request)),
    })
    const connection = await connect()

    for (let id = 1; id <= 3; id += 1) connection.send(apiVersionsFrame(id))

    expect(decodeResponse(apiVersionsApi, 3, await connection.frame()).correlationId).toBe(1)
    expect(decodeResponse(apiVersionsApi, 3, await connection.frame()).correlationId).toBe(3)
  })

  it('that make the handler throw close their connection, and the listener lives on', async () => {
    const { connect, rejections } = await startListener({
      handle: (request) => {
        if (request.header.correlationId === 1) throw new Error('a bug')
        return emptyReply(request)
      },
    })
    const first = await connect()
    first.send(apiVersionsFrame(1))
    await first.closed
    const second = await connect()

    second.send(apiVersionsFrame(2))

    expect(decodeResponse(apiVersionsApi, 3, await second.frame()).correlationId).toBe(2)
    expect(rejections.map(({ reason }) => reason)).toEqual(['handler-failed'])
  })
})

describe('clients that take too long', () => {
  it('are closed when a frame dribbles in byte by byte (K31)', async () => {
    const { connect, rejections } = await startListener({ limits: { frameMsMax: 60 } })
    const connection = await connect()
    const frame = apiVersionsFrame(1)
    let at = 0
    const dribble = setInterval(() => {
      if (at < frame.length) connection.send(frame.subarray(at, at + 1))
      at += 1
    }, 10)

    await connection.closed

    clearInterval(dribble)
    expect(at).toBeLessThan(frame.length)
    expect(rejections.map(({ reason }) => reason)).toEqual(['frame-slow'])
  })

  it('are closed when half a frame is followed by silence (K31)', async () => {
    const { connect, rejections } = await startListener({ limits: { frameMsMax: 40 } })
    const connection = await connect()

    connection.send(Buffer.concat([int32(1000), Buffer.alloc(500)]))

    await connection.closed
    expect(rejections.map(({ reason }) => reason)).toEqual(['frame-slow'])
  })

  it('are closed when they say nothing at all (K31)', async () => {
    const { connect, rejections } = await startListener({ limits: { idleMsMax: 40 } })
    const connection = await connect()

    await connection.closed

    expect(rejections.map(({ reason }) => reason)).toEqual(['idle'])
  })

  it('are not idle while they wait for an answer', async () => {
    const { connect, rejections } = await startListener({
      limits: { idleMsMax: 40 },
      handle: (request) => new Promise((resolve) => setTimeout(() => resolve(emptyReply(request)), 150)),
    })
    const connection = await connect()

    connection.send(apiVersionsFrame(1))

    expect(decodeResponse(apiVersionsApi, 3, await connection.frame()).correlationId).toBe(1)
    expect(rejections).toEqual([])
  })

  it('are closed when they never read, with memory bounded by the write queue (K33)', async () => {
    const answer = Buffer.alloc(1024 * 1024)
    const { connect, rejections, requests } = await startListener({
      limits: { writeQueueBytesMax: 4 * 1024 * 1024, writeStallMsMax: 100, inFlightRequestsMax: 1000 },
      handle: () => [answer],
    })
    const connection = await connect()
    connection.socket.pause()

    for (let id = 0; id < 1000; id += 1) connection.send(apiVersionsFrame(id))

    await eventually('the connection is closed', () => rejections.length > 0)
    expect(['write-stalled', 'write-queue-full']).toContain(rejections[0]?.reason)
    // The kernel's own buffers take some megabytes too; a thousand answers would be a gigabyte.
    expect(requests.length).toBeLessThan(30)
  })

  it('are kept while they read slowly', async () => {
    const answer = Buffer.concat([int32(8 * 1024 * 1024 - 4), Buffer.alloc(8 * 1024 * 1024 - 4)])
    const { connect, rejections } = await startListener({
      limits: { writeStallMsMax: 300 },
      handle: () => [answer],
    })
    const connection = await connect()
    let received = 0
    connection.socket.removeAllListeners('data')
    connection.socket.on('data', (chunk: Buffer) => {
      received += chunk.length
      connection.socket.pause()
      setTimeout(() => connection.socket.resume(), 5)
    })

    connection.send(apiVersionsFrame(1))

    await eventually('the whole answer', () => received === answer.length || rejections.length > 0)
    expect(rejections).toEqual([])
  })
})

describe('connections that end', () => {
  it('after a half-close still get the answers to what they sent (K34)', async () => {
    const { connect } = await startListener({
      handle: (request) => new Promise((resolve) => setTimeout(() => resolve(emptyReply(request)), 30)),
    })
    const connection = await connect()

    connection.socket.end(Buffer.concat([apiVersionsFrame(1), apiVersionsFrame(2)]))

    expect(decodeResponse(apiVersionsApi, 3, await connection.frame()).correlationId).toBe(1)
    expect(decodeResponse(apiVersionsApi, 3, await connection.frame()).correlationId).toBe(2)
    await connection.closed
  })

  it('with a reset in the middle of a frame or before the answer do no harm (K34)', async () => {
    const answers: (() => void)[] = []
    const { listener, connect, requests } = await startListener({
      handle: (request) =>
        request.header.correlationId === 7
          ? emptyReply(request)
          : new Promise<ListenerReply>((resolve) => answers.push(() => resolve(emptyReply(request)))),
    })
    const inFrame = await connect()
    const beforeAnswer = await connect()
    inFrame.send(apiVersionsFrame(1).subarray(0, 9))
    beforeAnswer.send(apiVersionsFrame(2))
    await eventually('the request is under way', () => requests.length === 1)

    inFrame.socket.resetAndDestroy()
    beforeAnswer.socket.resetAndDestroy()
    await eventually('both are gone', () => listener.connectionCount === 0)
    for (const answer of answers) answer()

    const healthy = await connect()
    healthy.send(apiVersionsFrame(7))
    expect(decodeResponse(apiVersionsApi, 3, await healthy.frame()).correlationId).toBe(7)
  })

  it('tell their handlers, once', async () => {
    let closedCount = 0
    const { connect, requests } = await startListener({
      handle: (request) => {
        request.connection.onClose(() => {
          closedCount += 1
        })
        return emptyReply(request)
      },
    })
    const connection = await connect()
    await connection.request(apiVersionsApi, 3, {})

    connection.close()

    await eventually('the handler was told', () => closedCount === 1)
    expect(requests[0]?.connection.closed).toBe(true)
  })
})

/** The reset may come before or after the client learns that it is connected. */
async function expectReset(connect: () => Promise<RawConnection>): Promise<void> {
  const connection = await connect().catch((error: NodeJS.ErrnoException) => {
    expect(error.code).toBe('ECONNRESET')
    return null
  })
  await connection?.closed
}

describe('limits on connecting', () => {
  it('reset one connection too many and leave the others alone (K35)', async () => {
    const { connect, rejections } = await startListener({ limits: { connectionsMax: 2 } })
    const first = await connect()
    const second = await connect()

    await expectReset(connect)

    expect(rejections.map(({ reason }) => reason)).toEqual(['connections-max'])
    await first.request(apiVersionsApi, 3, {})
    await second.request(apiVersionsApi, 3, {})
  })

  it('reset one connection too many from one address (K35)', async () => {
    const { connect, rejections } = await startListener({ limits: { connectionsPerAddressMax: 1 } })
    const first = await connect()

    await expectReset(connect)

    expect(rejections.map(({ reason }) => reason)).toEqual(['connections-per-address-max'])
    await first.request(apiVersionsApi, 3, {})
  })

  it('make connections beyond the rate wait their turn instead of failing (K35)', async () => {
    const { connect } = await startListener({ limits: { acceptsPerSecondMax: 20 } })
    const startedMs = performance.now()

    const all = await Promise.all(Array.from({ length: 26 }, () => connect()))
    await Promise.all(all.map((connection) => connection.request(apiVersionsApi, 3, {})))

    // Twenty at once, then one every 50 ms.
    expect(performance.now() - startedMs).toBeGreaterThan(200)
  })
})

/** A frame of this size that begins as ApiVersions request 1; the handlers here do not look at its body. */
function apiVersionsFrameOf(frameBytes: number): Buffer {
  const head = apiVersionsFrame(1)
  return Buffer.concat([int32(frameBytes), head.subarray(4), Buffer.alloc(frameBytes + 4 - head.length)])
}

describe('admission', () => {
  it('counts a frame by what has come of it, never by what it declares, and gets all back when the answer is out', async () => {
    const admission = new Admission({ bytesMax: 10_000_000 })
    const { connect, requests } = await startListener({ admission })
    const connection = await connect()
    const declaring = await connect()
    const frame = apiVersionsFrameOf(1_000_000)

    declaring.send(Buffer.concat([int32(15_000_000), Buffer.alloc(1000)]))
    connection.send(frame.subarray(0, 500_000))
    await eventually('half of the frame is counted', () => admission.bytesHeld >= 500_000)
    const heldHalfway = admission.bytesHeld
    connection.send(frame.subarray(500_000))

    expect(decodeResponse(apiVersionsApi, 3, await connection.frame()).correlationId).toBe(1)
    expect(heldHalfway).toBeLessThanOrEqual(500_000 + ARRIVAL_STEP_BYTES)
    expect(requests.length).toBe(1)
    await eventually('everything is given back', () => admission.bytesHeld === 0)
  })

  it('keeps a large frame on its socket while there is no room, and its time does not run meanwhile', async () => {
    const admission = new Admission({ bytesMax: 1_000_000 })
    const { connect, requests, rejections } = await startListener({ admission, limits: { frameMsMax: 50 } })
    const connection = await connect()
    await admission.reserve(1_000_000)

    connection.send(apiVersionsFrameOf(400_000))
    await eventually('it waits', () => admission.waitingCount === 1)
    await new Promise((resolve) => setTimeout(resolve, 150))
    const startedBefore = requests.length
    admission.release(1_000_000)

    expect(decodeResponse(apiVersionsApi, 3, await connection.frame()).correlationId).toBe(1)
    expect({ startedBefore, rejections }).toEqual({ startedBefore: 0, rejections: [] })
  })

  it('closes frames that stop in the middle once others wait for what they hold, and not before (K31)', async () => {
    const admission = new Admission({ bytesMax: 4_000_000 })
    const { connect, rejections } = await startListener({ admission, limits: { blockingFrameMsMax: 60 } })
    const stuck = await Promise.all([connect(), connect()])
    for (const connection of stuck) connection.send(apiVersionsFrameOf(2_000_000).subarray(0, 400_000))
    await eventually('both hold what they sent', () => admission.bytesHeld >= 800_000)
    await new Promise((resolve) => setTimeout(resolve, 150))
    const rejectedBefore = rejections.length

    // It needs more than is left for frames under way: the first goes over the limit, the second has to wait.
    const honest = await Promise.all([connect(), connect()])
    for (const connection of honest) connection.send(apiVersionsFrameOf(900_000))

    for (const connection of honest)
      expect(decodeResponse(apiVersionsApi, 3, await connection.frame()).correlationId).toBe(1)
    await eventually('everything is given back', () => admission.bytesHeld < 1_000_000)
    expect(rejectedBefore).toBe(0)
    for (const { reason, facts } of rejections)
      expect({ reason, othersWait: facts['othersWait'] }).toEqual({ reason: 'frame-slow', othersWait: true })
  })

  it('does not let 64 clients that declare 16 MiB and send 1 KiB slow down an honest one', async () => {
    const admission = new Admission({ bytesMax: 64 * 1024 * 1024 })
    const { connect } = await startListener({ admission })
    const honest = await connect()
    const roundTrip = async () => {
      honest.send(apiVersionsFrame(1, 'c'.repeat(16_000)))
      await honest.frame()
    }
    const before = await p99OfRoundTrips(200, roundTrip)

    const silent = await Promise.all(Array.from({ length: 64 }, () => connect()))
    for (const connection of silent)
      connection.send(Buffer.concat([int32(16 * 1024 * 1024), Buffer.alloc(1024)]))
    await new Promise((resolve) => setTimeout(resolve, 50))
    const after = await p99OfRoundTrips(200, roundTrip)

    expect(admission.bytesHeld).toBe(0)
    expect(after).toBeLessThan(allowedUnderAttack(before))
  })

  it('gets everything back when the connection dies while the handler works', async () => {
    const admission = new Admission({ bytesMax: 10_000_000 })
    let finish = () => {}
    const { connect, requests, listener } = await startListener({
      admission,
      handle: (request: ListenerRequest) =>
        new Promise((resolve) => {
          finish = () => resolve(emptyReply(request))
        }),
    })
    const connection = await connect()
    connection.send(apiVersionsFrame(1))
    connection.send(Buffer.concat([int32(500_000), Buffer.alloc(200_000)]))
    await eventually('the request is under way', () => requests.length === 1 && admission.bytesHeld > 200_000)

    connection.socket.resetAndDestroy()
    await eventually('the connection is gone', () => listener.connectionCount === 0)
    const heldByHandler = admission.bytesHeld
    finish()

    await eventually('everything is given back', () => admission.bytesHeld === 0)
    expect(heldByHandler).toBe(apiVersionsFrame(1).length - 4)
  })

  it('does not hold up the closing of the listener', async () => {
    const admission = new Admission({ bytesMax: 1_000_000 })
    const { connect, listener } = await startListener({ admission })
    await admission.reserve(1_000_000)
    const connections = await Promise.all([connect(), connect()])
    connections[0]?.send(apiVersionsFrameOf(300_000))
    connections[1]?.send(apiVersionsFrame(1))
    await eventually('both wait', () => admission.waitingCount === 2)

    const closed = listener.close({ drainMs: 5_000 })
    await closed
    admission.release(1_000_000)
    await eventually('nothing waits', () => admission.waitingCount === 0)

    expect(admission.bytesHeld).toBe(0)
  })
})

describe('closing', () => {
  it('answers what was started, then ends every connection', async () => {
    let finish = () => {}
    const { listener, connect, requests } = await startListener({
      handle: (request) =>
        new Promise((resolve) => {
          finish = () => resolve(emptyReply(request))
        }),
    })
    const connection = await connect()
    const idle = await connect()
    connection.send(apiVersionsFrame(1))
    await eventually('the request is under way', () => requests.length === 1)

    const closing = listener.close({ drainMs: 10_000 })
    finish()

    expect(decodeResponse(apiVersionsApi, 3, await connection.frame()).correlationId).toBe(1)
    await Promise.all([closing, idle.closed, connection.closed])
  })

  it('does not wait for stuck requests longer than it was told', async () => {
    const { listener, connect, requests } = await startListener({ handle: () => new Promise(() => {}) })
    const connection = await connect()
    connection.send(apiVersionsFrame(1))
    await eventually('the request is under way', () => requests.length === 1)

    await listener.close({ drainMs: 30 })

    await connection.closed
  })

  it('frees the port, and a taken port is refused with a code', async () => {
    const { listener, port } = await startListener()
    const { KafkaListener } = await import('../../src/listener/kafka-listener.ts')
    const { systemClock } = await import('../../src/core/clock.ts')
    const { silentDiagnostics } = await import('../../src/telemetry/diagnostics.ts')
    const second = new KafkaListener({
      host: '127.0.0.1',
      port,
      clock: systemClock,
      diagnostics: silentDiagnostics,
      handler: { accepts: () => false, handle: () => null },
    })

    await expect(second.listen()).rejects.toMatchObject({ code: 'GS_LISTEN_FAILED' })
    await listener.close({ drainMs: 0 })
    await expect(second.listen()).resolves.toBe(port)
    await second.close({ drainMs: 0 })
  })
})
