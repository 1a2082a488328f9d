/** What must hold between options, beyond what each must be by itself. */

import { FRAME_BYTES_MAX } from '../core/limits.ts'
import { isLoopbackHost, isWildcardHost } from '../core/loopback.ts'
import { isOwnTopic } from '../core/own-topics.ts'
import { STREAM_PLACEHOLDER, stemOf } from '../core/topic-template.ts'
import type { ConfigProblem } from './config-error.ts'
import { brokenPressureRules } from './pressure-rules.ts'
import type { Config } from './schema.ts'

/** Every rule that the configuration breaks; an empty list when it can run. */
export function brokenRules(config: Config): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const broken = (path: string, message: string) =>
    problems.push({ source: 'options together', path, message })

  if (config.roles.length === 0) broken('roles', 'expected at least one role, found none')
  const needsKafka = config.roles.some((role) => ['ingress', 'processor', 'compactor'].includes(role))
  if (needsKafka && config.kafka.bootstrapServers.length === 0 && !config.roles.includes('broker')) {
    broken(
      'roles',
      'ingress, processor and compactor need a Kafka: name a cluster in kafka.bootstrapServers, or add the role broker',
    )
  }
  if (config.roles.includes('admin') && !isLoopbackHost(config.admin.host)) {
    broken(
      'admin.host',
      `"${config.admin.host}" can be reached from other machines, and the admin port asks nobody for a password; ` +
        'expected a loopback address such as 127.0.0.1 (to scrape from elsewhere, put an authenticating proxy before it)',
    )
  }
  const bodyBytesMax = config.ingress.http.bodyBytesMax
  const admissionBytesMax = config.ingress.admissionBytesMax
  if (admissionBytesMax < Math.max(bodyBytesMax, FRAME_BYTES_MAX)) {
    broken(
      'ingress.admissionBytesMax',
      `expected at least one full request, that is ${Math.max(bodyBytesMax, FRAME_BYTES_MAX)} bytes, found ${admissionBytesMax}`,
    )
  }
  const vaultProblem = vaultTemplateProblem(config.streams.vaultTemplate)
  if (vaultProblem !== null) broken('streams.vaultTemplate', vaultProblem)
  for (const { path, message } of brokenPressureRules(config)) broken(path, message)
  for (const clash of portClashes(config)) broken(clash.path, clash.message)
  return problems
}

/** Null for a template whose topics can be the vault's: of a named stream, and of the stream `default`, which has what is left of it. */
function vaultTemplateProblem(template: string): string | null {
  const topics = [template.replace(STREAM_PLACEHOLDER, 'x'), stemOf(template)]
  const own = topics.find(isOwnTopic)
  if (own !== undefined)
    return `expected topics that hold nothing else, found "${own}", which has another use`
  const illegal = topics.find((topic) => topic === '.' || topic === '..')
  return illegal === undefined ? null : `expected names of topics, found "${illegal}", which cannot be one`
}

/** The addresses this process will listen on, by the option that names the port. */
export function listenAddresses(config: Config): { path: string; host: string; port: number }[] {
  const { roles, broker, ingress, admin } = config
  const addresses: { path: string; host: string; port: number }[] = []
  if (roles.includes('broker') && config.kafka.bootstrapServers.length === 0) {
    addresses.push({ path: 'broker.port', host: broker.host, port: broker.port })
  }
  if (roles.includes('ingress')) {
    addresses.push(
      { path: 'ingress.kafka.port', host: ingress.kafka.host || ingress.host, port: ingress.kafka.port },
      { path: 'ingress.http.port', host: ingress.http.host || ingress.host, port: ingress.http.port },
    )
  }
  if (roles.includes('admin')) addresses.push({ path: 'admin.port', host: admin.host, port: admin.port })
  return addresses
}

function portClashes(config: Config): { path: string; message: string }[] {
  const clashes: { path: string; message: string }[] = []
  const addresses = listenAddresses(config).filter(({ port }) => port !== 0)
  addresses.forEach((mine, index) => {
    const other = addresses
      .slice(0, index)
      .find(
        (o) =>
          o.port === mine.port &&
          (o.host === mine.host || isWildcardHost(o.host) || isWildcardHost(mine.host)),
      )
    if (other !== undefined) {
      clashes.push({
        path: mine.path,
        message: `port ${mine.port} is also ${other.path}; give one of them another`,
      })
    }
  })
  return clashes
}
