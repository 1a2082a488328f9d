/**
 * The Kafka door: any producer, whatever its client, writes its topics as streams into the vault.
 *
 * Clients see one broker that leads everything; a topic `orders` is the stream `orders`. Promises: an acknowledgement
 * means what the producer's `acks` asked for, upstream; batches arrive there byte for byte; replies keep the order of
 * requests; no error for pressure alone, answers are held and sockets not read. It leaves to others: connections and
 * framing (KafkaListener), storing (VaultWriter), looking into records (the upstream, then the processor).
 */

import type { Clock } from '../../core/clock.ts'
import type { KafkaCluster } from '../../kafka/cluster.ts'
import type { Admission } from '../../listener/admission.ts'
import { KafkaListener } from '../../listener/kafka-listener.ts'
import type { ListenerLimits, ListenerReply, ListenerRequest } from '../../listener/listener-types.ts'
import type { Diagnostics } from '../../telemetry/diagnostics.ts'
import { RateLimitedDiagnostics } from '../../telemetry/rate-limited.ts'
import type { StreamTopicTemplates } from '../../vault/stream-topics.ts'
import { DEFAULT_STREAM_TOPICS } from '../../vault/stream-topics.ts'
import type { Vault } from '../../vault/vault-writer.ts'
import type { IngressMetrics } from '../ingress-metrics.ts'
import type { IngressContext } from './handler-types.ts'
import { VIRTUAL_NODE_ID } from './handler-types.ts'
import { findIngressApi } from './router.ts'

export interface KafkaIngressOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  /** What clients are told to connect to; by default the bound address, on a wildcard the one they came in by. */
  readonly advertisedHost?: string | null
  readonly advertisedPort?: number | null
  readonly clusterId?: string
  /** False: a stream must exist upstream before anybody writes to it. Default true. */
  readonly autoCreateStreams?: boolean
  readonly vault: Vault
  readonly cluster: KafkaCluster
  readonly admission: Admission
  readonly metrics: IngressMetrics
  readonly clock: Clock
  readonly diagnostics: Diagnostics
  readonly limits?: Partial<ListenerLimits>
  readonly templates?: StreamTopicTemplates
}

export interface KafkaIngressStatus {
  readonly host: string
  readonly port: number
  /** Null: the address by which each client came in. */
  readonly advertisedHost: string | null
  readonly advertisedPort: number
  readonly connectionCount: number
  readonly requestsInFlight: number
}

const DEFAULT_CLUSTER_ID = 'gophership-ingress'
const WILDCARD_HOSTS: ReadonlySet<string> = new Set(['0.0.0.0', '::', ''])

export class KafkaIngress {
  readonly #options: KafkaIngressOptions
  readonly #listener: KafkaListener
  readonly #context: IngressContext
  #port = 0
  #requestsInFlight = 0

  /** Binds and starts to accept. Rejects with GS_LISTEN_FAILED. */
  static async start(options: KafkaIngressOptions): Promise<KafkaIngress> {
    const ingress = new KafkaIngress(options)
    ingress.#port = await ingress.#listener.listen()
    return ingress
  }

  private constructor(options: KafkaIngressOptions) {
    this.#options = options
    const { vault, cluster, clock, diagnostics, admission, host, port, limits } = options
    const metrics = options.metrics.of('kafka')
    const rareDiagnostics = new RateLimitedDiagnostics(diagnostics, { clock })
    this.#context = {
      vault,
      cluster,
      clock,
      metrics,
      templates: options.templates ?? DEFAULT_STREAM_TOPICS,
      clusterId: options.clusterId ?? DEFAULT_CLUSTER_ID,
      autoCreateStreams: options.autoCreateStreams ?? true,
      broker: (connection) => ({
        nodeId: VIRTUAL_NODE_ID,
        host: this.#advertisedHost ?? connection.localAddress,
        port: this.#advertisedPort,
      }),
      refused: (reason, facts) => {
        metrics.rejected(reason)
        rareDiagnostics.warn(reason, { listener: 'kafka', reason, ...facts }, 'a Kafka request was refused')
      },
    }
    this.#listener = new KafkaListener({
      host,
      port,
      clock,
      diagnostics,
      admission,
      handler: {
        accepts: (apiKey, apiVersion) => findIngressApi(apiKey, apiVersion) !== undefined,
        handle: (request) => this.#handle(request),
      },
      onRejected: (reason) => metrics.rejected(reason),
      ...(limits === undefined ? {} : { limits }),
    })
    metrics.watchConnections(() => this.#listener.connectionCount)
  }

  get port(): number {
    return this.#port
  }

  status(): KafkaIngressStatus {
    return {
      host: this.#options.host,
      port: this.#port,
      advertisedHost: this.#advertisedHost,
      advertisedPort: this.#advertisedPort,
      connectionCount: this.#listener.connectionCount,
      requestsInFlight: this.#requestsInFlight,
    }
  }

  /** Takes no new request; those under way are answered for up to `drainMs`, then every connection is closed. */
  stop({ drainMs }: { readonly drainMs: number }): Promise<void> {
    return this.#listener.close({ drainMs })
  }

  /** Null on a wildcard address, which nobody can connect to: each client is then told the address it came in by. */
  get #advertisedHost(): string | null {
    const { advertisedHost, host } = this.#options
    return advertisedHost ?? (WILDCARD_HOSTS.has(host) ? null : host)
  }

  get #advertisedPort(): number {
    return this.#options.advertisedPort ?? this.#port
  }

  #handle(request: ListenerRequest): ListenerReply | Promise<ListenerReply> {
    const { apiKey, apiVersion } = request.header
    const entry = findIngressApi(apiKey, apiVersion)
    // The listener has asked `accepts` just before.
    if (entry === undefined)
      throw new Error(`API ${apiKey} version ${apiVersion} was accepted but is not served`)
    const reply = entry.handle(request, this.#context)
    if (!(reply instanceof Promise)) return reply
    this.#requestsInFlight += 1
    return reply.finally(() => {
      this.#requestsInFlight -= 1
    })
  }
}
