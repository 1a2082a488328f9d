/** The common part of AlterConfigs and IncrementalAlterConfigs: checks a topic's new settings and makes them durable. */

import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import type { ConfigOverrides } from '../topics/topic-config.ts'
import { configProblem } from '../topics/topic-config.ts'
import { RESOURCE_TYPE } from './config-entries.ts'
import type { Call } from './route.ts'

export interface ConfigChange {
  readonly validateOnly: boolean
  /** The topic's own settings after the change, or why the change is not possible. */
  change(present: ConfigOverrides): {
    readonly changed: ReadonlyMap<string, string | null>
    readonly error: string | null
  }
}

interface Resource {
  readonly resourceType: number
  readonly resourceName: string
}

/** Applies a change to one resource and describes the outcome. */
export function setTopicConfigs(resource: Resource, change: ConfigChange, call: Call) {
  // What is changed are the settings that the changes before have left.
  return call.broker.topics.alone(resource.resourceName, () => setConfigs(resource, change, call))
}

async function setConfigs(resource: Resource, { validateOnly, change }: ConfigChange, call: Call) {
  const { topics, diagnostics } = call.broker
  const { resourceType, resourceName } = resource
  const answer = (errorCode: number, errorMessage: string | null) => ({
    errorCode,
    errorMessage,
    resourceType,
    resourceName,
  })
  if (resourceType !== RESOURCE_TYPE.topic) {
    return answer(KAFKA_ERROR.INVALID_REQUEST, 'only topic settings can be changed')
  }
  const topic = topics.byName(resourceName)
  if (topic === undefined) return answer(KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION, 'there is no such topic')
  if (topic.isInternal) return answer(KAFKA_ERROR.INVALID_TOPIC_EXCEPTION, 'this topic belongs to the broker')
  const { changed, error } = change(topic.overrides)
  if (error !== null) return answer(KAFKA_ERROR.INVALID_CONFIG, error)
  const overrides: Record<string, string> = {}
  for (const [name, value] of changed) {
    const problem = configProblem(name, value)
    if (problem !== null) return answer(KAFKA_ERROR.INVALID_CONFIG, problem)
    overrides[name] = value as string
  }
  if (validateOnly) return answer(KAFKA_ERROR.NONE, null)
  try {
    await topics.setOverrides(topic, overrides)
    return answer(KAFKA_ERROR.NONE, null)
  } catch (failure) {
    diagnostics.error({ err: failure, topic: topic.name }, 'topic settings could not be saved')
    return answer(KAFKA_ERROR.KAFKA_STORAGE_ERROR, 'the disk refused to save the settings')
  }
}
