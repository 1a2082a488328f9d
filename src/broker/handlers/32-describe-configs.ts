/**
 * DescribeConfigs, versions 1–4: the settings of topics, and the few of the broker that tools look for. Synonyms are not
 * listed. Other kinds of resource are answered INVALID_REQUEST.
 */

import { describeConfigsApi } from '../../wire/32-describe-configs.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { NODE_ID } from '../broker-context.ts'
import type { ConfigKey } from '../topics/topic-config.ts'
import { CONFIG_KEYS, configValue } from '../topics/topic-config.ts'
import { CONFIG_SOURCE, describeConfig, RESOURCE_TYPE } from './config-entries.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'

export const describeConfigsRoute = route(describeConfigsApi, { from: 1, to: 4 }, handle)

type Request = RequestOf<typeof describeConfigsApi>
type ResourceRequest = Request['resources'][number]

/** `ConfigDef.Type` of a text. */
const TYPE_STRING = 2

function handle(request: Request, call: Call): ResponseInputOf<typeof describeConfigsApi> {
  return { results: request.resources.map((resource) => describe(resource, request, call)) }
}

function describe(resource: ResourceRequest, request: Request, call: Call) {
  const { resourceType, resourceName } = resource
  const asked = resource.configurationKeys === null ? null : new Set(resource.configurationKeys)
  const wants = (name: string) => asked === null || asked.has(name)
  const found = { errorCode: KAFKA_ERROR.NONE, errorMessage: null, resourceType, resourceName }
  if (resourceType === RESOURCE_TYPE.topic) {
    const topic = call.broker.topics.byName(resourceName)
    if (topic === undefined) {
      return {
        ...found,
        errorCode: KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION,
        errorMessage: 'there is no such topic',
      }
    }
    const honoured = CONFIG_KEYS.filter((key) => wants(key.name)).map((key) => ({
      ...describeConfig(key, configValue(key, topic.overrides, call.broker.options)),
      ...typeOf(key, request.includeDocumentation),
    }))
    const known = new Set(CONFIG_KEYS.map((key) => key.name))
    const kept = Object.entries(topic.overrides)
      .filter(([name]) => !known.has(name) && wants(name))
      .map(([name, value]) => ({
        name,
        value,
        readOnly: false,
        configSource: CONFIG_SOURCE.topic,
        isSensitive: false,
        configType: TYPE_STRING,
        documentation: request.includeDocumentation
          ? 'Kept for tools; it has no effect on this broker.'
          : null,
      }))
    return { ...found, configs: [...honoured, ...kept] }
  }
  if (resourceType === RESOURCE_TYPE.broker && (resourceName === '' || resourceName === String(NODE_ID))) {
    const configs = brokerConfigs(call)
      .filter(([name]) => wants(name))
      .map(([name, value]) => ({
        name,
        value,
        readOnly: true,
        configSource: CONFIG_SOURCE.staticBroker,
        isSensitive: false,
        configType: TYPE_STRING,
        documentation: null,
      }))
    return { ...found, configs }
  }
  return {
    ...found,
    errorCode: KAFKA_ERROR.INVALID_REQUEST,
    errorMessage: `only topics and broker ${NODE_ID} have settings here`,
  }
}

function typeOf(key: ConfigKey, includeDocumentation: boolean) {
  return { configType: key.type, documentation: includeDocumentation ? key.documentation : null }
}

function brokerConfigs(call: Call): [string, string][] {
  const { options } = call.broker
  return [
    ['auto.create.topics.enable', String(options.autoCreateTopics)],
    ['broker.id', String(NODE_ID)],
    ['default.replication.factor', '1'],
    ['log.retention.bytes', String(options.retentionBytes)],
    ['log.retention.ms', String(options.retentionMs)],
    ['log.segment.bytes', String(options.segmentBytesMax)],
    ['message.max.bytes', String(options.batchBytesMax)],
    ['min.insync.replicas', '1'],
    ['num.partitions', String(options.defaultPartitionCount)],
  ]
}
