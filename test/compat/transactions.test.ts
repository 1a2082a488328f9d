import { describe } from 'vitest'
import type { TransactionServer } from '../kafka/transaction-suite.ts'
import { CUT_CLIENT_ID, describeTransactions } from '../kafka/transaction-suite.ts'
import { canRunApacheKafka, startApacheKafka } from '../support/apache-kafka.ts'
import { CuttingProxy } from '../support/cutting-proxy.ts'

/** One server for both protocols: whoever stops last stops it. */
let running: Promise<TransactionServer> | null = null
let userCount = 0

async function startKafka(): Promise<TransactionServer> {
  const proxy = await CuttingProxy.start(CUT_CLIENT_ID)
  const kafka = await startApacheKafka({
    proxyPort: proxy.port,
    properties: {
      'transaction.abort.timed.out.transaction.cleanup.interval.ms': '500',
      'broker.session.timeout.ms': '2000',
      'broker.heartbeat.interval.ms': '200',
    },
  })
  proxy.upstreamPort = kafka.proxiedPort
  return {
    bootstrapServers: kafka.bootstrapServers,
    cuttingServers: [proxy.address],
    async restart() {
      await kafka.killNode(0)
      await kafka.restartNode(0)
    },
    async stop() {
      if (--userCount > 0) return
      running = null
      await proxy.stop()
      await kafka.stop()
    },
  }
}

describe.runIf(canRunApacheKafka())('transactions against Apache Kafka', () => {
  describeTransactions('one node', {
    versions: [2, 1],
    // Ten seconds each.
    hasRestarts: process.env['GOPHERSHIP_TEST_LONG'] === '1',
    start() {
      userCount++
      running ??= startKafka()
      return running
    },
  })
})
