/** What the vault's topics keep, asked of the cluster (DescribeConfigs). */

import type { KafkaCluster } from '../kafka/cluster.ts'
import { throwOnKafkaError } from '../kafka/kafka-errors.ts'
import { describeConfigsApi } from '../wire/32-describe-configs.ts'
import { KEEP_EVERYTHING, type VaultRetention } from './debt-deadline.ts'

const TOPIC_RESOURCE = 2
const [AGE_NAME, SIZE_NAME, POLICY_NAME] = ['retention.ms', 'retention.bytes', 'cleanup.policy'] as const

/** The retention of each topic. Throws GS_KAFKA_RESPONSE when the cluster refuses, and on a broken connection. */
export async function readRetention(
  cluster: KafkaCluster,
  topics: readonly string[],
): Promise<Map<string, VaultRetention>> {
  const found = new Map<string, VaultRetention>()
  if (topics.length === 0) return found
  const { results } = await cluster.request(
    describeConfigsApi,
    {
      resources: topics.map((resourceName) => ({
        resourceType: TOPIC_RESOURCE,
        resourceName,
        configurationKeys: [AGE_NAME, SIZE_NAME, POLICY_NAME],
      })),
    },
    'any',
  )
  for (const { resourceName, errorCode, errorMessage, configs } of results) {
    throwOnKafkaError('DescribeConfigs', errorCode, { topic: resourceName }, errorMessage)
    found.set(resourceName, retentionOf(new Map(configs.map(({ name, value }) => [name, value]))))
  }
  return found
}

/** A topic that is only compacted deletes nothing by age or size. */
function retentionOf(configs: ReadonlyMap<string, string | null>): VaultRetention {
  const policy = configs.get(POLICY_NAME)
  if (typeof policy === 'string' && !policy.split(',').includes('delete')) return KEEP_EVERYTHING
  return { retentionMs: limitOf(configs.get(AGE_NAME)), retentionBytes: limitOf(configs.get(SIZE_NAME)) }
}

/** A limit that is missing, or cannot be read, is none. */
function limitOf(text: string | null | undefined): number {
  const value = Number(text ?? -1)
  return Number.isFinite(value) && value >= 0 ? value : -1
}
