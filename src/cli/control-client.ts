/** Orders to every instance on a cluster, written to its control topic by a command: no instance need be reached for it. */

import { hostname } from 'node:os'
import type { Config } from '../config/schema.ts'
import { systemClock } from '../core/clock.ts'
import { GopherShipError } from '../core/errors.ts'
import { isWildcardHost } from '../core/loopback.ts'
import { systemRandom } from '../core/random.ts'
import { KafkaCluster } from '../kafka/cluster.ts'
import type { ControlChange } from '../pressure/control-record.ts'
import { writeControl } from '../pressure/control-topic.ts'
import { silentDiagnostics } from '../telemetry/diagnostics.ts'
import type { Terminal } from './terminal.ts'

/** The options by which a command finds the cluster: a configured one, or the embedded broker of this machine. */
export const CLUSTER_OPTION_PATHS: readonly string[] = [
  'kafka.bootstrapServers',
  'kafka.clientId',
  'broker.host',
  'broker.port',
]

/** Resolves when the order is durable; those who follow the topic have it within a second. */
export async function orderAll(config: Config, change: ControlChange): Promise<void> {
  await withCluster(config, (cluster) => writeControl(cluster, change))
}

/** Who gives an order, for status and diagnostics: the person's name here and the machine's. */
export function orderedBy({ environment }: Terminal): string {
  const person = environment['USER'] ?? environment['LOGNAME'] ?? 'someone'
  return `${person}@${hostname()}`.replaceAll(/\p{Cc}/gu, '?').slice(0, 200)
}

/** Connected only for as long as `work` takes. */
export async function withCluster<Value>(
  { kafka, broker }: Config,
  work: (cluster: KafkaCluster) => Promise<Value>,
): Promise<Value> {
  const host = isWildcardHost(broker.host) ? '127.0.0.1' : broker.host
  const embedded = `${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${broker.port}`
  const servers = kafka.bootstrapServers.length > 0 ? kafka.bootstrapServers : [embedded]
  const cluster = new KafkaCluster({
    bootstrapServers: servers,
    clientId: kafka.clientId,
    clock: systemClock,
    random: systemRandom,
    diagnostics: silentDiagnostics,
    options: { connectMsMax: 3_000, requestMsMax: 10_000 },
  })
  try {
    await cluster.connect().catch((error: unknown) => {
      throw unreachable(kafka.bootstrapServers, servers, error)
    })
    return await work(cluster)
  } finally {
    await cluster.close()
  }
}

/** The failure of a command that reached none of `servers`: which those were, and which option names others. */
export function unreachable(
  configured: readonly string[],
  servers: readonly string[],
  cause: unknown,
): GopherShipError {
  const hint =
    configured.length > 0
      ? 'is this the cluster that holds the vault? see --kafka-bootstrap-servers'
      : 'is GopherShip running, and is this its --broker-port?'
  return new GopherShipError('GS_KAFKA_DISCONNECTED', `no broker answers at ${servers.join(', ')}; ${hint}`, {
    cause,
    facts: { brokers: servers.join(',') },
  })
}
