/**
 * The crash campaign of promise D1: load through both doors, `kill -9` at a random instant, restart, again and again;
 * at the end every record whose acknowledgement a client saw is in the vault byte for byte, and has its event.
 *
 * The truth is kept here, in the test's process, outside the fault domain. A record's payload is derived from its id,
 * so that a damaged byte shows without anything being stored.
 */

import { createHash } from 'node:crypto'
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import { seededRandom } from '../../src/core/random.ts'
import { eventually } from '../support/eventually.ts'
import { GopherShipProcess } from '../support/gophership-process.ts'
import { consumeValues } from '../support/kcat.ts'

export interface KillRoundsReport {
  readonly rounds: number
  readonly seed: number
  readonly acknowledged: number
  /** Acknowledged and not in the vault. */
  readonly lost: string[]
  /** In the vault with bytes that nobody sent. */
  readonly corrupted: string[]
  /** In the vault more than once: allowed for a retried send, and counted. */
  readonly duplicated: number
  /** Vault records without an event, after everything settled. */
  readonly withoutEvent: string[]
  /** Events beyond one for each vault record, read committed. */
  readonly eventsDoubled: number
  /** Rounds in which a record was sent and its fate was unknown when the process died. */
  readonly roundsCutInFlight: number
  readonly startMsMax: number
}

/** The payload of a record: its id, and bytes that only this id has. */
export function payloadOf(id: string): string {
  return `${id} ${createHash('sha256').update(id).digest('base64').repeat(4)}`
}

const isIntact = (payload: string) => payload === payloadOf(payload.slice(0, payload.indexOf(' ')))

/** Runs the campaign. The seed decides when each kill falls. */
export async function killRounds({
  rounds,
  seed,
}: {
  rounds: number
  seed: number
}): Promise<KillRoundsReport> {
  const random = seededRandom(seed)
  const gophership = await GopherShipProcess.prepare()
  const acknowledged = new Set<string>()
  let roundsCutInFlight = 0
  let startMsMax = 0
  try {
    for (let round = 0; round < rounds; round++) {
      startMsMax = Math.max(startMsMax, await gophership.start())
      const abort = new AbortController()
      const counters = { unresolved: 0 }
      const load = Promise.all([
        loadHttp(gophership, `h${round}`, acknowledged, counters, abort.signal),
        loadKafka(gophership, `k${round}`, acknowledged, counters, abort.signal),
      ])
      await new Promise((resolve) => setTimeout(resolve, 100 + random.below(500)))
      await gophership.kill()
      abort.abort()
      await load
      if (counters.unresolved > 0) roundsCutInFlight++
    }
    startMsMax = Math.max(startMsMax, await gophership.start())
    const vault = [
      ...(await consumeValues(gophership.brokerAddress, 'raw-vault.crash-http')),
      ...(await consumeValues(gophership.brokerAddress, 'raw-vault.crash-kafka')),
    ]
    const seen = new Set(vault.map((payload) => payload.slice(0, payload.indexOf(' '))))
    const { missing: withoutEvent, eventsDoubled } = await eventsOf(gophership, vault)
    return {
      rounds,
      seed,
      acknowledged: acknowledged.size,
      lost: [...acknowledged].filter((id) => !seen.has(id)),
      corrupted: vault.filter((payload) => !isIntact(payload)),
      duplicated: vault.length - seen.size,
      withoutEvent,
      eventsDoubled,
      roundsCutInFlight,
      startMsMax,
    }
  } finally {
    await gophership.destroy()
  }
}

/** Waits until every vault record has an event; returns those that never got one, and how many events were too many. */
async function eventsOf(
  gophership: GopherShipProcess,
  vault: readonly string[],
): Promise<{ missing: string[]; eventsDoubled: number }> {
  let missing: string[] = []
  let eventsDoubled = 0
  const check = async () => {
    const bodies = new Set<string>()
    const ids = new Set<string>()
    let eventCount = 0
    for (const stream of ['crash-http', 'crash-kafka']) {
      for (const value of await consumeValues(gophership.brokerAddress, `enriched.${stream}`)) {
        const event = JSON.parse(value) as { body: unknown; eventId: string; density: string }
        if (event.density !== 'full') continue
        bodies.add(String(event.body))
        ids.add(event.eventId)
        eventCount++
      }
    }
    missing = vault.filter((payload) => !bodies.has(payload))
    eventsDoubled = eventCount - ids.size
    return missing.length === 0
  }
  await eventually('an event for every vault record', check, { withinMs: 60_000, everyMs: 500 }).catch(
    () => false,
  )
  return { missing, eventsDoubled }
}

async function loadHttp(
  gophership: GopherShipProcess,
  prefix: string,
  acknowledged: Set<string>,
  counters: { unresolved: number },
  signal: AbortSignal,
): Promise<void> {
  for (let request = 0; !signal.aborted; request++) {
    const ids = Array.from({ length: 50 }, (_, line) => `${prefix}-${request}-${line}`)
    try {
      const response = await fetch(`${gophership.httpUrl}/v1/streams/crash-http`, {
        method: 'POST',
        headers: { 'content-type': 'text/plain' },
        body: ids.map(payloadOf).join('\n'),
        signal,
      })
      const answer = (await response.json()) as { records?: number }
      if (response.status === 200 && answer.records === ids.length) for (const id of ids) acknowledged.add(id)
    } catch {
      counters.unresolved++
      return
    }
  }
}

async function loadKafka(
  gophership: GopherShipProcess,
  prefix: string,
  acknowledged: Set<string>,
  counters: { unresolved: number },
  signal: AbortSignal,
): Promise<void> {
  const kafka = new Kafka({
    clientId: 'oracle',
    brokers: [gophership.kafkaAddress],
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 },
    connectionTimeout: 1_000,
    requestTimeout: 2_000,
  })
  const producer = kafka.producer({
    createPartitioner: Partitioners.DefaultPartitioner,
    retry: { retries: 0 },
  })
  try {
    await producer.connect()
    for (let request = 0; !signal.aborted; request++) {
      const ids = Array.from({ length: 20 }, (_, line) => `${prefix}-${request}-${line}`)
      await producer.send({
        topic: 'crash-kafka',
        acks: -1,
        messages: ids.map((id) => ({ key: id, value: payloadOf(id) })),
      })
      for (const id of ids) acknowledged.add(id)
    }
  } catch {
    counters.unresolved++
  } finally {
    await producer.disconnect().catch(() => {})
  }
}
