/** How a topic setting is described on the wire. */

import type { ConfigKey } from '../topics/topic-config.ts'

/** Where a value comes from (`DescribeConfigsResponse.ConfigSource`). */
export const CONFIG_SOURCE = { topic: 1, staticBroker: 4, byDefault: 5 } as const
/** What is described (`ConfigResource.Type`). */
export const RESOURCE_TYPE = { topic: 2, broker: 4 } as const

export function describeConfig(key: ConfigKey, { value, isDefault }: { value: string; isDefault: boolean }) {
  return {
    name: key.name,
    value,
    readOnly: false,
    configSource: isDefault ? CONFIG_SOURCE.byDefault : CONFIG_SOURCE.topic,
    isSensitive: false,
  }
}
