/** Asking a running GopherShip through its admin port. */

import { GopherShipError } from '../core/errors.ts'

const ANSWER_MS_MAX = 10_000

export interface AdminAddress {
  readonly host: string
  readonly port: number
}

export interface AdminAnswer {
  readonly url: string
  readonly httpStatus: number
  readonly isOk: boolean
  /** Null when it was no JSON. */
  readonly document: unknown
}

/** GETs a path, or POSTs `body` to it. Throws GS_ADMIN_UNREACHABLE when nothing answers. */
export async function askAdmin(
  { host, port }: AdminAddress,
  path: string,
  body?: object,
): Promise<AdminAnswer> {
  const url = `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}${path}`
  const post = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body), headers: JSON_HEADERS }
  try {
    const signal = AbortSignal.timeout(ANSWER_MS_MAX)
    const response = await fetch(url, { ...post, signal, redirect: 'error' })
    const document: unknown = await response.json().catch(() => null)
    return { url, httpStatus: response.status, isOk: response.ok, document }
  } catch (error) {
    // fetch says "fetch failed" and keeps the reason in its cause.
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    throw new GopherShipError(
      'GS_ADMIN_UNREACHABLE',
      `nothing answers at ${url}; is GopherShip running, and is this its --admin-port?`,
      { cause, facts: { host, port } },
    )
  }
}

const JSON_HEADERS = { 'content-type': 'application/json' }
