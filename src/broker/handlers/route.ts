/** What a handler is: one API, the versions it is offered in, and a function from request to response. */

import type { ListenerConnection, ListenerReply } from '../../listener/listener-types.ts'
import type { AnyApi, RequestOf, ResponseInputOf } from '../../wire/api.ts'
import type { RequestHeader } from '../../wire/frame.ts'
import { encodeResponseFrame } from '../../wire/frame.ts'
import type { BrokerContext } from '../broker-context.ts'

/** The request's surroundings. */
export interface Call {
  readonly broker: BrokerContext
  readonly header: RequestHeader
  readonly connection: ListenerConnection
}

/** A response, or null for none (acks=0, or the connection is being closed). */
export type Answer<Response> = Response | null | Promise<Response | null>

export interface Route {
  readonly apiKey: number
  readonly name: string
  /** What ApiVersions says. */
  readonly versionMin: number
  readonly versionMax: number
  /** The lowest version that is really served, when more is advertised. */
  readonly servedFrom: number
  run(frame: Buffer, bodyStart: number, call: Call): ListenerReply | Promise<ListenerReply>
}

export interface RouteVersions {
  readonly from: number
  readonly to: number
  /** Only when lower versions are advertised than are served. */
  readonly servedFrom?: number
}

/** Binds a handler to its API: decodes the request, encodes the response. */
export function route<A extends AnyApi>(
  api: A,
  versions: RouteVersions,
  handle: (request: RequestOf<A>, call: Call) => Answer<ResponseInputOf<A>>,
): Route {
  const encode = (call: Call, response: ResponseInputOf<A> | null): ListenerReply =>
    response === null
      ? null
      : encodeResponseFrame(api, call.header.apiVersion, call.header.correlationId, response)
  return {
    apiKey: api.key,
    name: api.name,
    versionMin: versions.from,
    versionMax: versions.to,
    servedFrom: versions.servedFrom ?? versions.from,
    run(frame, bodyStart, call) {
      const request = api.decodeRequest(frame, bodyStart, call.header.apiVersion) as RequestOf<A>
      const answer = handle(request, call)
      if (answer instanceof Promise) return answer.then((response) => encode(call, response))
      return encode(call, answer)
    },
  }
}
