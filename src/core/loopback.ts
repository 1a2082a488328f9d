/** Which host names and addresses can be reached from this machine only. */

import { BlockList, isIPv4, isIPv6 } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/**
 * True for `localhost`, 127.0.0.0/8 and ::1 (with or without brackets, IPv4-mapped too). A name that would have to
 * be looked up is not loopback, whatever it resolves to today.
 */
export function isLoopbackHost(host: string): boolean {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
  if (bare.toLowerCase() === 'localhost') return true
  if (isIPv4(bare)) return loopback.check(bare, 'ipv4')
  return isIPv6(bare) && loopback.check(bare, 'ipv6')
}

/** True for an address that means "every interface": it can be listened on, but nobody can connect to it. */
export function isWildcardHost(host: string): boolean {
  return host === '0.0.0.0' || host === '::' || host === '[::]' || host === ''
}
