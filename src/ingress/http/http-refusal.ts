/**
 * Every refusal the HTTP listener can answer with: its stable code, its status and what it promises.
 *
 * A 4xx and a 503 are definite: nothing of the request was stored, and nothing will be. A 504 is not: some of it may
 * be stored, and sending it again may store it twice.
 */

/** Code → status. The code is also the `reason` label of the rejection counter. */
export const HTTP_REFUSALS = {
  malformed_request: 400,
  invalid_stream: 400,
  invalid_query: 400,
  invalid_body: 400,
  reserved_stream: 403,
  too_many_streams: 403,
  not_found: 404,
  method_not_allowed: 405,
  slow_request: 408,
  body_too_large: 413,
  record_too_large: 413,
  path_too_long: 414,
  unsupported_encoding: 415,
  expectation_failed: 417,
  too_many_pipelined: 429,
  headers_too_large: 431,
  internal: 500,
  vault_refused: 502,
  vault_unavailable: 503,
  stopping: 503,
  outcome_unknown: 504,
} as const satisfies Record<string, number>

export type HttpRefusalCode = keyof typeof HTTP_REFUSALS

/** Facts a program may act on: limits in their unit, partitions, names. */
export type HttpRefusalFacts = Readonly<Record<string, string | number | boolean | null | readonly object[]>>

/** A request that is answered with an error. The message says what was expected, what was found, what to do. */
export class HttpRefusal extends Error {
  readonly code: HttpRefusalCode
  readonly status: number
  readonly facts: HttpRefusalFacts
  readonly retryAfterSeconds: number | null

  constructor(
    code: HttpRefusalCode,
    message: string,
    {
      facts = {},
      retryAfterSeconds = null,
      cause,
    }: {
      readonly facts?: HttpRefusalFacts
      readonly retryAfterSeconds?: number | null
      readonly cause?: unknown
    } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'HttpRefusal'
    this.code = code
    this.status = HTTP_REFUSALS[code]
    this.facts = facts
    this.retryAfterSeconds = retryAfterSeconds
  }

  /** The answer's body. It never holds a path, a stack or a setting of ours. */
  toJson(): string {
    return JSON.stringify({ error: { code: this.code, message: this.message, ...this.facts } })
  }
}

/** The client has gone; there is nobody to answer. */
export class ClientGone extends Error {
  constructor() {
    super('the client closed the connection before the request was complete')
    this.name = 'ClientGone'
  }
}
