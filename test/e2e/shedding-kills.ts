/**
 * The campaign behind exactly-once under shedding: load, tiers that flip at random every 10 to 500 ms, and `kill -9` of the whole
 * process at random instants. Then, from the topics alone and read committed: every vault offset was enriched fully or is owed,
 * never both and never neither; what is owed in part has its partial events, what was passed through its copies.
 *
 * The truth is read here by the test's own code, not by the audit that users run.
 */

import { systemClock } from '../../src/core/clock.ts'
import { seededRandom, systemRandom } from '../../src/core/random.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import { fetchCommittedOffsets } from '../../src/kafka/group-offsets.ts'
import { listOffsets } from '../../src/kafka/offsets.ts'
import { TopicReader } from '../../src/kafka/topic-reader.ts'
import type { DebtEntry } from '../../src/ledger/debt-entry.ts'
import { LedgerReader } from '../../src/ledger/ledger-topic.ts'
import { writeControl } from '../../src/pressure/control-topic.ts'
import { TIERS } from '../../src/pressure/tiers.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { eventually } from '../support/eventually.ts'
import type { GopherShipProcess } from '../support/gophership-process.ts'

const STREAM = 'shed'
const VAULT = `raw-vault.${STREAM}`
const PARTITIONS = 4

export interface SheddingReport {
  readonly seed: number
  readonly recordCount: number
  readonly kills: number
  readonly flips: number
  /** Vault records that are neither enriched fully nor owed. */
  readonly missing: string[]
  /** Enriched fully twice, or enriched fully and owed. */
  readonly doubled: string[]
  /** Partial events or copies that do not match what is owed. */
  readonly mismatched: string[]
  /** Ledger entries by tier: that tiers really flipped. */
  readonly entries: Readonly<Record<string, number>>
  readonly fullCount: number
}

/** Runs the campaign on a GopherShip without a compactor, so that what is owed stays owed; leaves it running. */
export async function shedUnderKills(
  gophership: GopherShipProcess,
  { records, rounds, seed }: { records: number; rounds: number; seed: number },
): Promise<SheddingReport> {
  const random = seededRandom(seed)
  const roles = ['--roles', 'broker,ingress,processor,admin', '--processor-worker-count', '2']
  let sent = 0
  let flips = 0
  for (let round = 0; round <= rounds; round++) {
    await gophership.start({ extraArguments: roles, withinMs: 40_000 })
    const isLast = round === rounds
    const target = isLast ? records : Math.ceil((records * (round + 1)) / (rounds + 1))
    const cluster = await connect(gophership)
    const stop = new AbortController()
    const flipping = flip(cluster, random, stop.signal).then((count) => {
      flips += count
    })
    sent = await load(gophership, sent, target)
    // Somewhere in the middle of what is still being processed.
    await new Promise((resolve) => setTimeout(resolve, random.below(400)))
    if (!isLast) await gophership.kill()
    stop.abort()
    await flipping
    if (isLast) await writeControl(cluster, { name: 'tier', to: null })
    await cluster.close()
  }
  const cluster = await connect(gophership)
  try {
    await caughtUp(cluster)
    return { seed, kills: rounds, flips, ...(await judge(cluster)) }
  } finally {
    await cluster.close()
  }
}

export async function connect(gophership: GopherShipProcess): Promise<KafkaCluster> {
  const cluster = new KafkaCluster({
    bootstrapServers: [gophership.brokerAddress],
    clientId: 'oracle',
    clock: systemClock,
    random: systemRandom,
    diagnostics: silentDiagnostics,
  })
  await cluster.connect()
  return cluster
}

async function flip(
  cluster: KafkaCluster,
  random: ReturnType<typeof seededRandom>,
  signal: AbortSignal,
): Promise<number> {
  let count = 0
  while (!signal.aborted) {
    const tier = TIERS[random.below(TIERS.length)] ?? 'full'
    const to = { tier, untilMs: Date.now() + 600_000, reason: 'campaign', by: 'oracle' }
    // The broker dies under us now and then.
    await writeControl(cluster, { name: 'tier', to }).then(
      () => count++,
      () => {},
    )
    await new Promise((resolve) => setTimeout(resolve, 10 + random.below(490)))
  }
  return count
}

/** Sends lines `from` to `to`, each acknowledged before the next request; returns `to`. */
async function load(gophership: GopherShipProcess, from: number, to: number): Promise<number> {
  for (let first = from; first < to; first += 250) {
    const lines = Array.from({ length: Math.min(250, to - first) }, (_, index) => {
      const id = first + index
      return `{"time":"2024-05-17T10:00:00Z","level":"info","msg":"record ${id}","id":${id}}`
    })
    const response = await fetch(`${gophership.httpUrl}/v1/streams/${STREAM}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.join('\n'),
    })
    await response.arrayBuffer()
    if (response.status !== 200) throw new Error(`the load was answered with ${response.status}`)
  }
  return to
}

const partitionsOf = (topic: string) =>
  Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition }))

/** Waits until the processors' committed offsets are the vault's ends. */
async function caughtUp(cluster: KafkaCluster): Promise<void> {
  const ends = await listOffsets(
    cluster,
    partitionsOf(VAULT).map((partition) => ({ ...partition, at: 'latest' as const })),
  )
  await eventually(
    'everything is processed',
    async () => {
      const committed = await fetchCommittedOffsets(cluster, 'gophership', partitionsOf(VAULT))
      return ends.every(({ topic, partition, offset }) =>
        committed.some(
          (found) => found.topic === topic && found.partition === partition && found.offset === offset,
        ),
      )
    },
    { withinMs: 90_000, everyMs: 200 },
  )
}

interface Event {
  readonly density: string
  readonly vault: { readonly partition: number; readonly offset: number }
}

/** What the topics say, offset by offset. */
export async function judge(cluster: KafkaCluster) {
  const vault = await offsetsOf(cluster, VAULT, ({ partition, offset }) => place(partition, offset))
  const events = { full: [] as string[], partial: [] as string[] }
  await offsetsOf(cluster, `enriched.${STREAM}`, ({ value }) => {
    const event = JSON.parse(String(value)) as Event
    const list = event.density === 'full' ? events.full : events.partial
    list.push(place(event.vault.partition, event.vault.offset))
    return ''
  })
  const copies = await offsetsOf(cluster, `passthrough.${STREAM}`, ({ value }) => String(value)).catch(
    () => [] as string[],
  )
  const entries = await openDebt(cluster)
  const owed = (tier: string | null) =>
    entries
      .filter((entry) => tier === null || entry.tier === tier)
      .flatMap(({ partition, first, last }) =>
        Array.from({ length: last - first + 1 }, (_, index) => place(partition, first + index)),
      )
  const seen = new Map<string, number>()
  for (const at of [...events.full, ...owed(null)]) seen.set(at, (seen.get(at) ?? 0) + 1)
  const partialOwed = new Set(owed('partial'))
  const mismatched = [
    ...events.partial.filter((at) => !partialOwed.has(at)),
    ...(events.partial.length === partialOwed.size
      ? []
      : [`${events.partial.length} partial events for ${partialOwed.size} owed`]),
    ...(copies.length === owed('passthrough').length
      ? []
      : [`${copies.length} copies for ${owed('passthrough').length} owed`]),
  ]
  return {
    recordCount: vault.length,
    missing: vault.filter((at) => !seen.has(at)),
    doubled: [...seen].filter(([, count]) => count > 1).map(([at]) => at),
    mismatched,
    entries: countBy(entries.map(({ tier }) => tier)),
    fullCount: events.full.length,
  }
}

export async function openDebt(cluster: KafkaCluster): Promise<DebtEntry[]> {
  const reader = new LedgerReader(cluster, { diagnostics: silentDiagnostics })
  await reader.catchUp()
  await reader.stop()
  return reader.fold
    .partitions()
    .flatMap((partition) => reader.fold.booksOf(partition))
    .filter(({ state }) => state === 'open')
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

const place = (partition: number, offset: number) => `${partition}:${offset}`

async function offsetsOf(
  cluster: KafkaCluster,
  topic: string,
  pick: (record: { partition: number; offset: number; value: Buffer | null }) => string,
): Promise<string[]> {
  const found: string[] = []
  const reader = new TopicReader(cluster, { topic, onRecord: (record) => void found.push(pick(record)) })
  try {
    await reader.catchUp()
  } finally {
    await reader.stop()
  }
  return found
}
