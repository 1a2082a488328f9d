/**
 * How durable an acknowledged append really is, found out and not assumed:
 *
 *   replicated     acks=all and min.insync.replicas >= 2: survives the loss of a node
 *   fsynced        the embedded broker, syncing before every acknowledgement: survives a power cut
 *   process-safe   anything less: survives the death of a process, perhaps not of the machine
 *
 * It only reads settings, in the background; a topic whose settings cannot be read is process-safe, with the reason.
 */

import type { KafkaCluster } from '../kafka/cluster.ts'
import { describeConfigsApi } from '../wire/32-describe-configs.ts'
import { KAFKA_ERROR, kafkaErrorName } from '../wire/error-codes.ts'

/** Weakest first. */
export const DURABILITY_CLASSES = ['process-safe', 'fsynced', 'replicated'] as const
export type DurabilityClass = (typeof DURABILITY_CLASSES)[number]

/** What the vault's topics live on. */
export type UpstreamKind =
  | { readonly kind: 'embedded'; readonly syncPolicy: 'every-ack' | 'interval' | 'never' }
  | { readonly kind: 'cluster' }

export interface Durability {
  readonly class: DurabilityClass
  /** One clause that says what decided it. */
  readonly reason: string
}

/** How old what is known of a topic's settings may be when somebody asks, and how old when they could not be read. */
const LOOK_MS_BETWEEN = 300_000
const FAILED_LOOK_MS_BETWEEN = 10_000
/** Kafka's number for a topic in DescribeConfigs. */
const TOPIC_RESOURCE = 2
const MIN_IN_SYNC_REPLICAS = 'min.insync.replicas'

export class DurabilityProbe {
  readonly #cluster: KafkaCluster
  readonly #upstream: UpstreamKind
  readonly #byTopic = new Map<string, Durability>()
  /** When a topic is looked at again, monotonic; infinite while it is. */
  readonly #dueMs = new Map<string, number>()

  constructor(cluster: KafkaCluster, upstream: UpstreamKind) {
    this.#cluster = cluster
    this.#upstream = upstream
  }

  /** Begins to find out about a topic. Never throws; until it is known the topic counts as process-safe. */
  watch(topic: string): void {
    if (this.#upstream.kind === 'embedded') {
      this.#byTopic.set(topic, embeddedDurability(this.#upstream.syncPolicy))
      return
    }
    this.#byTopic.set(topic, { class: 'process-safe', reason: `the settings of ${topic} are not known yet` })
    this.#look(topic)
  }

  /** The class every acknowledgement with acks=all at least has; null while nothing is watched. */
  weakest(): Durability | null {
    this.#lookAgain()
    let weakest: Durability | null = null
    for (const durability of this.#byTopic.values()) {
      if (weakest === null || rankOf(durability) < rankOf(weakest)) weakest = durability
    }
    return weakest
  }

  /** In the background. What is known of the topic holds until there is an answer. */
  #look(topic: string): void {
    this.#dueMs.set(topic, Number.POSITIVE_INFINITY)
    this.#ask(topic).then(
      (durability) => this.#learn(topic, durability, LOOK_MS_BETWEEN),
      (error: Error) => this.#learn(topic, unreadable(topic, error.message), FAILED_LOOK_MS_BETWEEN),
    )
  }

  #learn(topic: string, durability: Durability, nextInMs: number): void {
    this.#byTopic.set(topic, durability)
    this.#dueMs.set(topic, this.#cluster.clock.monotonicMs() + nextInMs)
  }

  /** Settings are changed, and a broker is away for a moment: whoever asks gets what held lately, never what held once. */
  #lookAgain(): void {
    const nowMs = this.#cluster.clock.monotonicMs()
    for (const [topic, dueMs] of this.#dueMs) if (dueMs <= nowMs) this.#look(topic)
  }

  async #ask(topic: string): Promise<Durability> {
    const answer = await this.#cluster.request(
      describeConfigsApi,
      {
        resources: [
          { resourceType: TOPIC_RESOURCE, resourceName: topic, configurationKeys: [MIN_IN_SYNC_REPLICAS] },
        ],
      },
      'any',
    )
    const [result] = answer.results
    if (result === undefined || result.errorCode !== KAFKA_ERROR.NONE) {
      const name = result === undefined ? 'an empty answer' : kafkaErrorName(result.errorCode)
      throw new Error(name)
    }
    const found = result.configs.find(({ name }) => name === MIN_IN_SYNC_REPLICAS)
    const partitions = this.#cluster.snapshot.topics.get(topic)?.partitions ?? []
    const replicaCounts = partitions.map(({ replicaIds }) => replicaIds.length)
    const replicaCount = replicaCounts.length === 0 ? 0 : Math.min(...replicaCounts)
    return clusterDurability({ topic, minInSyncReplicas: Number(found?.value ?? 1), replicaCount })
  }
}

function unreadable(topic: string, why: string): Durability {
  return { class: 'process-safe', reason: `the settings of ${topic} could not be read: ${why}` }
}

/** The class of the embedded broker's acknowledgements. */
export function embeddedDurability(syncPolicy: 'every-ack' | 'interval' | 'never'): Durability {
  return syncPolicy === 'every-ack'
    ? { class: 'fsynced', reason: 'the embedded broker syncs before every acknowledgement' }
    : { class: 'process-safe', reason: `the embedded broker's sync policy is ${syncPolicy}` }
}

/** The class of a cluster's acknowledgements with acks=all. */
export function clusterDurability({
  topic,
  minInSyncReplicas,
  replicaCount,
}: {
  readonly topic: string
  readonly minInSyncReplicas: number
  readonly replicaCount: number
}): Durability {
  const facts = `${topic} has ${replicaCount} replicas and min.insync.replicas ${minInSyncReplicas}`
  return minInSyncReplicas >= 2 && replicaCount >= 2
    ? { class: 'replicated', reason: facts }
    : { class: 'process-safe', reason: `${facts}; replicated needs 2 of each` }
}

const rankOf = (durability: Durability): number => DURABILITY_CLASSES.indexOf(durability.class)
