/** IncrementalAlterConfigs, versions 0–1: sets (0), unsets (1), and for lists appends to (2) or removes from (3) a topic setting. */

import { incrementalAlterConfigsApi } from '../../wire/44-incremental-alter-configs.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/api.ts'
import type { ConfigOverrides } from '../topics/topic-config.ts'
import { CONFIG_KEYS, configValue } from '../topics/topic-config.ts'
import type { Call } from './route.ts'
import { route } from './route.ts'
import { setTopicConfigs } from './set-topic-configs.ts'

export const incrementalAlterConfigsRoute = route(incrementalAlterConfigsApi, { from: 0, to: 1 }, handle)

type Request = RequestOf<typeof incrementalAlterConfigsApi>
type ConfigRequest = Request['resources'][number]['configs'][number]

const OPERATION = { set: 0, unset: 1, append: 2, subtract: 3 } as const
/** The only setting that is a list. */
const LIST_SETTING = 'cleanup.policy'

async function handle(
  request: Request,
  call: Call,
): Promise<ResponseInputOf<typeof incrementalAlterConfigsApi>> {
  const responses = []
  for (const resource of request.resources) {
    const change = (present: ConfigOverrides) => applyAll(resource.configs, present, call)
    responses.push(await setTopicConfigs(resource, { validateOnly: request.validateOnly, change }, call))
  }
  return { responses }
}

function applyAll(configs: readonly ConfigRequest[], present: ConfigOverrides, call: Call) {
  const changed = new Map<string, string | null>(Object.entries(present))
  for (const { name, configOperation, value } of configs) {
    if (configOperation === OPERATION.set) {
      changed.set(name, value)
    } else if (configOperation === OPERATION.unset) {
      changed.delete(name)
    } else if (configOperation === OPERATION.append || configOperation === OPERATION.subtract) {
      if (name !== LIST_SETTING) return { changed, error: `${name} is not a list` }
      changed.set(name, editList(listNow(changed, call), value ?? '', configOperation === OPERATION.append))
    } else {
      return { changed, error: `there is no operation ${configOperation}` }
    }
  }
  return { changed, error: null }
}

function listNow(changed: ReadonlyMap<string, string | null>, call: Call): string[] {
  const key = CONFIG_KEYS.find((each) => each.name === LIST_SETTING)
  const own = changed.get(LIST_SETTING)
  const text = own ?? (key === undefined ? '' : configValue(key, {}, call.broker.options).value)
  return text.split(',').map((part) => part.trim())
}

function editList(list: readonly string[], value: string, isAppend: boolean): string {
  const values = value.split(',').map((part) => part.trim())
  const kept = list.filter((part) => !values.includes(part))
  return (isAppend ? [...kept, ...values] : kept).join(',')
}
