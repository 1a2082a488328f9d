/** A listener whose handler the test writes, and which forgets nothing that happened to it. */

import { systemClock } from '../../src/core/clock.ts'
import { KafkaListener } from '../../src/listener/kafka-listener.ts'
import type {
  ListenerAdmission,
  ListenerLimits,
  ListenerReply,
  ListenerRequest,
  RejectionFacts,
  RejectionReason,
} from '../../src/listener/listener-types.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { apiVersionsApi } from '../../src/wire/18-api-versions.ts'
import { encodeResponseFrame } from '../../src/wire/frame.ts'
import { RawConnection } from './raw-connection.ts'

export interface ListenerFixture {
  readonly listener: KafkaListener
  readonly port: number
  readonly rejections: { readonly reason: RejectionReason; readonly facts: RejectionFacts }[]
  /** Requests in the order they were started. */
  readonly requests: ListenerRequest[]
  connect(): Promise<RawConnection>
}

export interface FixtureOptions {
  readonly limits?: Partial<ListenerLimits>
  readonly admission?: ListenerAdmission
  readonly handle?: (request: ListenerRequest) => ListenerReply | Promise<ListenerReply>
}

const running: KafkaListener[] = []
const connections: RawConnection[] = []

/** The answer to ApiVersions that the default handler gives: it names no API. */
export function emptyReply(request: ListenerRequest): Buffer[] {
  const { apiVersion, correlationId } = request.header
  return encodeResponseFrame(apiVersionsApi, apiVersion, correlationId, { apiKeys: [] })
}

/** Starts a listener that offers ApiVersions 0–4 and answers with `handle`. */
export async function startListener(options: FixtureOptions = {}): Promise<ListenerFixture> {
  const rejections: ListenerFixture['rejections'] = []
  const requests: ListenerRequest[] = []
  const listener = new KafkaListener({
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
    diagnostics: silentDiagnostics,
    limits: options.limits,
    admission: options.admission,
    handler: {
      accepts: (apiKey, apiVersion) => apiKey === apiVersionsApi.key && apiVersion <= 4,
      handle: (request) => {
        requests.push(request)
        return (options.handle ?? emptyReply)(request)
      },
    },
    onRejected: (reason, facts) => rejections.push({ reason, facts }),
  })
  running.push(listener)
  const port = await listener.listen()
  const connectOne = async () => {
    const connection = await RawConnection.open(port)
    connections.push(connection)
    return connection
  }
  return { listener, port, rejections, requests, connect: connectOne }
}

/** For `afterEach`: ends every listener and client of the test. */
export async function stopListeners(): Promise<void> {
  for (const connection of connections.splice(0)) connection.close()
  for (const listener of running.splice(0)) await listener.close({ drainMs: 0 })
}
