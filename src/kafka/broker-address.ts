/** Where a broker listens, and the text form users write (`host:port`, `[::1]:9092`). */

import { GopherShipError } from '../core/errors.ts'

export interface BrokerAddress {
  readonly host: string
  /** 1 to 65535. */
  readonly port: number
}

/** Parses `host:port`; IPv6 hosts stand in brackets. Throws GS_CONFIG_INVALID. */
export function parseBrokerAddress(text: string): BrokerAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text.trim())
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || !(port >= 1 && port <= 65_535)) {
    throw new GopherShipError(
      'GS_CONFIG_INVALID',
      `expected a Kafka server as host:port (for example 127.0.0.1:9092 or [::1]:9092), found ${JSON.stringify(text)}`,
      { facts: { server: text } },
    )
  }
  return { host, port }
}

export function formatBrokerAddress(address: BrokerAddress): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}
