/** "Address in use" as something one can act on: which option to change. */

import { CONFIG_OPTIONS } from '../config/options.ts'
import { listenAddresses } from '../config/rules.ts'
import type { Config } from '../config/schema.ts'
import { GopherShipError, isFailure } from '../core/errors.ts'

/** Names the option of the port in a GS_LISTEN_FAILED; every other failure comes back as it was. */
export function explainListenFailure(failure: unknown, config: Config): unknown {
  if (!isFailure(failure, 'GS_LISTEN_FAILED')) return failure
  const { port, host } = failure.facts
  const candidates = listenAddresses(config).filter((candidate) => candidate.port === port)
  // Several may have port 0.
  const address = candidates.find((candidate) => candidate.host === host) ?? candidates[0]
  const option = CONFIG_OPTIONS.find(({ path }) => path === address?.path)
  if (address === undefined || option === undefined) return failure
  const hostPath = option.path.replace(/port$/, 'host')
  const hostFlag = CONFIG_OPTIONS.find(({ path }) => path === hostPath)?.flag
  return new GopherShipError(
    'GS_LISTEN_FAILED',
    `could not listen on ${address.host}:${address.port} for ${option.path.replace(/\.port$/, '')}: ${reasonOf(failure)}; ` +
      `choose another port with ${option.flag} (0 takes any free one)${hostFlag ? ` or another address with ${hostFlag}` : ''}`,
    { cause: failure.cause, facts: { ...failure.facts, option: option.path } },
  )
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program is using the port, perhaps a GopherShip that still runs',
  EACCES: 'this user may not use a port that low',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'no such host name',
}

function reasonOf(failure: GopherShipError): string {
  // The cause of a failure that crossed a thread keeps its text only.
  const text = [
    failure.facts['errno'],
    failure.cause instanceof Error ? failure.cause.message : '',
    failure.message,
  ].join(' ')
  const known = Object.keys(REASONS).find((errno) => text.includes(errno))
  return REASONS[known ?? ''] ?? failure.message
}
