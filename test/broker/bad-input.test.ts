import { afterEach, describe, expect, it } from 'vitest'
import { OFFERED_APIS } from '../../src/broker/router.ts'
import { seededRandom } from '../../src/core/random.ts'
import { metadataApi } from '../../src/wire/03-metadata.ts'
import { apiVersionsApi } from '../../src/wire/18-api-versions.ts'
import { findApi } from '../../src/wire/apis.ts'
import { decodeResponse, encodeRequestFrame } from '../../src/wire/frame.ts'
import {
  batchOf,
  connectTo,
  contentsOf,
  createTopic,
  fetchOne,
  produce,
  startBroker,
  stopBrokers,
} from './broker-client.ts'

afterEach(stopBrokers)

const offered = OFFERED_APIS.flatMap(({ apiKey, minVersion, maxVersion }) => {
  const api = findApi(apiKey)
  if (api === undefined) throw new Error(`no table for API ${apiKey}`)
  const from = Math.max(minVersion, api.versionMin)
  return Array.from({ length: maxVersion - from + 1 }, (_, index) => ({ api, version: from + index }))
})

/** A request with every field at its default, as a frame with its size. */
function emptyRequest({ api, version }: (typeof offered)[number], correlationId = 1): Buffer {
  return Buffer.concat(encodeRequestFrame(api, version, { correlationId, clientId: 'raw' }, {} as never))
}

describe('requests of every API and version', () => {
  it('are answered when all their fields have their defaults', async () => {
    const broker = await startBroker()
    const unanswered: string[] = []

    for (const each of offered) {
      const connection = await connectTo(broker)
      connection.send(emptyRequest(each))
      // Acks 0 is Produce's default: it is never answered.
      if (each.api.name === 'Produce') continue
      const frame = await connection.frame().catch(() => null)
      if (frame?.readInt32BE(0) !== 1) unanswered.push(`${each.api.name} v${each.version}`)
    }

    expect(unanswered).toEqual([])
  })

  it('close the connection when a byte is missing or one is left over (K10)', async () => {
    const broker = await startBroker()
    const wrong: string[] = []

    for (const each of offered) {
      const whole = emptyRequest(each)
      for (const [what, body] of [
        ['cut', whole.subarray(4, -1)],
        ['longer', Buffer.concat([whole.subarray(4), Buffer.alloc(1)])],
      ] as const) {
        // The one request that a real client sends longer than it is; see below.
        if (what === 'longer' && each.api === metadataApi) continue
        const connection = await connectTo(broker)
        const size = Buffer.alloc(4)
        size.writeInt32BE(body.length)
        connection.send(Buffer.concat([size, body]))
        const isClosed = await connection.frame().then(
          () => false,
          () => true,
        )
        if (!isClosed) wrong.push(`${each.api.name} v${each.version} ${what}`)
        connection.close()
      }
    }

    expect(wrong).toEqual([])
  })

  it("answer librdkafka's request for all topics, which has three bytes behind its last field", async () => {
    const broker = await startBroker()
    const connection = await connectTo(broker)
    await createTopic(connection, 'orders')
    // Metadata v12 as librdkafka 2.16 sends it: size, header v2 (key 3, client id 'rdkafka', no tags), then a null array
    // in the first of four bytes meant for a count, two flags and the tags.
    connection.send(
      Buffer.from('00000019' + '0003000c00000007' + '000772646b61666b6100' + '00000000010000', 'hex'),
    )

    const { correlationId, value } = decodeResponse(metadataApi, 12, await connection.frame())

    expect(correlationId).toBe(7)
    expect(value.topics.map(({ name }) => name)).toContain('orders')
  })

  it('full of random bytes never end the broker, nor touch what is stored (K9)', async () => {
    const random = seededRandom(7)
    const broker = await startBroker()
    const good = await connectTo(broker)
    await createTopic(good)
    await produce(good, batchOf(['a', 'b']))

    for (let round = 0; round < 1500; round += 1) {
      const each = offered[random.below(offered.length)] as (typeof offered)[number]
      // Requests that create or delete are left out, so that what is stored can be compared afterwards.
      if ([19, 20, 21, 33, 37, 44].includes(each.api.key)) continue
      const whole = emptyRequest(each)
      const headerBytes = 4 + 8 + 2 + 3
      const body = random.bytes(random.below(200))
      // Lengths near the limits are where parsers break.
      if (body.length > 8)
        body.writeInt32BE(
          [2147483647, -1, -2147483648, 1000][random.below(4)] as number,
          random.below(body.length - 4),
        )
      const frame = Buffer.concat([whole.subarray(0, headerBytes), body])
      frame.writeInt32BE(frame.length - 4, 0)
      const connection = await connectTo(broker)
      connection.send(frame)
      connection.socket.end()
      await connection.closed
      connection.close()
    }

    expect((await good.request(apiVersionsApi, 0, {})).errorCode).toBe(0)
    expect(contentsOf((await fetchOne(good)).records)).toEqual(['0:a', '1:b'])
  }, 60_000)
})
