/**
 * AlterConfigs, versions 0–2: replaces all own settings of a topic (kafkajs knows no other way to alter). Broker settings
 * cannot be changed over the wire.
 */

import { alterConfigsApi } from '../../wire/33-alter-configs.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'
import { setTopicConfigs } from './set-topic-configs.ts'

export const alterConfigsRoute = route(alterConfigsApi, { from: 0, to: 2 }, handle)

async function handle(
  request: RequestOf<typeof alterConfigsApi>,
  call: Call,
): Promise<ResponseInputOf<typeof alterConfigsApi>> {
  const responses = []
  for (const resource of request.resources) {
    const change = () => ({
      changed: new Map(resource.configs.map(({ name, value }) => [name, value ?? null])),
      error: null,
    })
    responses.push(await setTopicConfigs(resource, { validateOnly: request.validateOnly, change }, call))
  }
  return { responses }
}
