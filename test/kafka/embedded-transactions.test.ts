import { startTestBroker } from '../support/broker.ts'
import { CuttingProxy } from '../support/cutting-proxy.ts'
import type { TransactionServer } from './transaction-suite.ts'
import { CUT_CLIENT_ID, describeTransactions } from './transaction-suite.ts'

/** All clients come through the proxy, since that is where the broker sends them; it cuts only the unlucky one. */
async function startEmbedded(): Promise<TransactionServer> {
  const proxy = await CuttingProxy.start(CUT_CLIENT_ID)
  let broker = await startTestBroker({ advertisedPort: proxy.port })
  proxy.upstreamPort = broker.port
  return {
    bootstrapServers: [proxy.address],
    cuttingServers: [proxy.address],
    async restart() {
      broker = await broker.restart()
    },
    async stop() {
      await broker.stop()
      await proxy.stop()
    },
  }
}

describeTransactions('transactions against the embedded broker', {
  versions: [1],
  hasRestarts: true,
  start: startEmbedded,
})
