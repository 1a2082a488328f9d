/** The schedules of `test/kafka/transaction-schedules.ts` against Apache Kafka, in both protocols. */

import { once } from 'node:events'
import type { Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runSchedules } from '../kafka/transaction-schedules.ts'
import type { ApacheKafka } from '../support/apache-kafka.ts'
import { canRunApacheKafka, startApacheKafka } from '../support/apache-kafka.ts'
import { freePort } from '../support/free-port.ts'

const SEEDS = Array.from({ length: 15 }, (_, seed) => seed + 1)

describe.runIf(canRunApacheKafka())(
  'transactions with Apache Kafka under a bad network and with zombies',
  () => {
    let kafka: ApacheKafka
    let relayPort: number

    beforeAll(async () => {
      relayPort = await freePort()
      kafka = await startApacheKafka({
        proxyPort: relayPort,
        properties: { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '300' },
      })
    }, 300_000)
    afterAll(() => kafka?.stop())

    /** The server sends all clients to one port, each run has a proxy of its own: this leads from the one to the other. */
    async function startRelay(proxyPort: number) {
      const sockets = new Set<Socket>()
      const relay = createServer({ noDelay: true }, (client) => {
        const proxied = connect({ host: '127.0.0.1', port: proxyPort, noDelay: true })
        for (const [from, to] of [
          [client, proxied],
          [proxied, client],
        ] as const) {
          sockets.add(from)
          from.on('error', () => to.destroy())
          from.on('close', () => {
            sockets.delete(from)
            to.destroy()
          })
          from.pipe(to)
        }
      }).listen(relayPort, '127.0.0.1')
      await once(relay, 'listening')
      return {
        port: kafka.proxiedPort,
        async stop() {
          for (const socket of sockets) socket.destroy()
          await new Promise((resolve) => relay.close(resolve))
        },
      }
    }

    test.each([1, 2] as const)(
      'every transaction is whole or absent, and what was said of it is true (protocol %i)',
      async (version) => {
        for (const seed of SEEDS) {
          const result = await runSchedules({ seed, transactionCount: 60, version, start: startRelay })
          expect(result.outcomes.committed).toBeGreaterThan(10)
        }
      },
      300_000,
    )
  },
)
