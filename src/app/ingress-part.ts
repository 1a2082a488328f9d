/** The doors, from the configuration: one admission budget and one vault writer for all of them. */

import { DEFAULT_BROKER_OPTIONS } from '../broker/broker-options.ts'
import type { Config } from '../config/schema.ts'
import { HttpIngress } from '../ingress/http/http-ingress.ts'
import { IngressMetrics } from '../ingress/ingress-metrics.ts'
import { KafkaIngress } from '../ingress/kafka/kafka-ingress.ts'
import type { KafkaCluster } from '../kafka/cluster.ts'
import { Admission } from '../listener/admission.ts'
import { LatencySensor } from '../pressure/sources/latency-sensor.ts'
import { DEFAULT_STREAM_TOPICS } from '../vault/stream-topics.ts'
import { VaultWriter } from '../vault/vault-writer.ts'
import type { AppContext } from './app-context.ts'
import type { ListeningAddress, StatusDocument } from './status-document.ts'

/** A stream's topics in the vault, of its events, and of what is passed through. */
const TOPICS_PER_STREAM = 3
/** Partitions of the embedded broker that are left for topics of GopherShip's own and of its users'. */
const OTHER_PARTITIONS = 100

export interface IngressPart {
  readonly listening: readonly ListeningAddress[]
  /** False once a door has stopped taking connections. */
  isListening(): boolean
  /** Bytes of producers held in memory, over all doors. */
  admissionBytesHeld(): number
  /** How long the vault takes to acknowledge a batch, 99th percentile of late; null when nothing came lately. */
  upstreamAckMs(): number | null
  status(): NonNullable<StatusDocument['ingress']>
  /** Refuses new work, answers what is under way within `drainMs`, closes the doors. */
  stop(): Promise<void>
}

/** Opens both doors; resolves when they listen. When one cannot, the other is closed again. */
export async function startIngressPart(context: AppContext, cluster: KafkaCluster): Promise<IngressPart> {
  const { config, clock, registry } = context
  const { ingress } = config
  const diagnostics = context.diagnostics.child({ role: 'ingress' })
  const admission = new Admission({ bytesMax: ingress.admissionBytesMax })
  const metrics = new IngressMetrics(registry, admission)
  const templates = { ...DEFAULT_STREAM_TOPICS, vault: config.streams.vaultTemplate }
  const acks = new LatencySensor({ clock })
  const vault = new VaultWriter({
    cluster,
    upstream: upstreamOf(config),
    templates,
    topicOptions: { partitionCount: config.vault.partitionCount },
    streamCountMax: streamCountMaxOf(config),
    // What admission lets in must find room here, or the vault would refuse what a door accepted.
    bytesInFlightMax: 2 * ingress.admissionBytesMax,
    onAcknowledged: (tookMs) => acks.observe(tookMs),
  })
  const shared = { vault, admission, metrics, clock, diagnostics, templates }

  const kafkaHost = ingress.kafka.host || ingress.host
  const kafka = await KafkaIngress.start({
    ...shared,
    host: kafkaHost,
    port: ingress.kafka.port,
    advertisedHost: ingress.kafka.advertisedHost || null,
    advertisedPort: ingress.kafka.advertisedPort || null,
    cluster,
  })
  const httpHost = ingress.http.host || ingress.host
  const http = await HttpIngress.start({
    ...shared,
    host: httpHost,
    port: ingress.http.port,
    limits: { bodyBytesMax: ingress.http.bodyBytesMax, appendMsMax: ingress.http.ackMsMax },
  }).catch(async (error: unknown) => {
    await kafka.stop({ drainMs: 0 })
    throw error
  })

  let isOpen = true
  return {
    listening: [
      { name: 'ingress.kafka', host: kafkaHost, port: kafka.port },
      { name: 'ingress.http', host: httpHost, port: http.port },
    ],
    isListening: () => isOpen,
    admissionBytesHeld: () => admission.bytesHeld,
    upstreamAckMs: () => acks.read(),
    status: () => ({
      admissionBytesHeld: admission.bytesHeld,
      admissionBytesMax: admission.bytesMax,
      kafka: kafka.status(),
      http: http.status(),
      vault: vault.status(),
    }),
    async stop() {
      isOpen = false
      const drain = { drainMs: config.drainMs }
      await Promise.all([http.stop(drain), kafka.stop(drain)])
      await vault.stop({ drainMs: 0 })
    },
  }
}

/** A new stream must leave room for what is made of it: its records wait while the topic for their events cannot be created. */
export function streamCountMaxOf({ streams, kafka, vault }: Config): number {
  if (kafka.bootstrapServers.length > 0) return streams.streamCountMax
  const roomFor =
    (DEFAULT_BROKER_OPTIONS.partitionsMax - OTHER_PARTITIONS) / (TOPICS_PER_STREAM * vault.partitionCount)
  return Math.max(1, Math.min(streams.streamCountMax, Math.floor(roomFor)))
}

function upstreamOf({ kafka, broker }: Config) {
  return kafka.bootstrapServers.length > 0
    ? ({ kind: 'cluster' } as const)
    : ({ kind: 'embedded', syncPolicy: broker.syncPolicy } as const)
}
