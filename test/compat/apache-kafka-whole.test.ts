/** The whole of GopherShip in front of a real Apache Kafka: shed, book, repay, and the proof. */

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import { writeControl } from '../../src/pressure/control-topic.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import { openDebt } from '../e2e/shedding-kills.ts'
import type { ApacheKafka } from '../support/apache-kafka.ts'
import { canRunApacheKafka, startApacheKafka } from '../support/apache-kafka.ts'
import { eventually } from '../support/eventually.ts'
import { GopherShipProcess } from '../support/gophership-process.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

let kafka: ApacheKafka
let gophership: GopherShipProcess
let cluster: KafkaCluster

async function send(from: number, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, index) => `{"level":"info","msg":"record ${from + index}"}`)
  const response = await fetch(`${gophership.httpUrl}/v1/streams/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join('\n'),
  })
  expect(response.status).toBe(200)
}

const owedCount = async () => (await openDebt(cluster)).reduce((sum, { recordCount }) => sum + recordCount, 0)

describe.runIf(canRunApacheKafka())('the whole of it', () => {
  beforeAll(async () => {
    kafka = await startApacheKafka()
    gophership = await GopherShipProcess.prepare([
      '--kafka-bootstrap-servers',
      kafka.bootstrapServers.join(','),
    ])
    await gophership.start({ withinMs: 60_000 })
    cluster = new KafkaCluster({
      bootstrapServers: kafka.bootstrapServers,
      clientId: 'oracle',
      clock: systemClock,
      random: systemRandom,
      diagnostics: silentDiagnostics,
    })
    await cluster.connect()
  }, 120_000)

  afterAll(async () => {
    await cluster?.close()
    await gophership?.destroy()
    await kafka?.stop()
  })

  test('on Apache Kafka what is shed is booked, repaid, and proved, through kills as well', async () => {
    await send(0, 2_000)
    const to = { tier: 'passthrough', untilMs: Date.now() + 600_000, reason: 'test', by: 'test' } as const
    await writeControl(cluster, { name: 'tier', to })
    await eventually('what is sent now is owed', async () => {
      await send(2_000, 10)
      return (await owedCount()) > 0
    })
    await send(3_000, 2_000)
    await gophership.kill()
    await gophership.start({ withinMs: 60_000 })
    await send(5_000, 500)
    await eventually('all of it is owed', async () => (await owedCount()) >= 2_510, { withinMs: 30_000 })

    await writeControl(cluster, { name: 'tier', to: null })
    await eventually('nothing is owed', async () => (await owedCount()) === 0, { withinMs: 60_000 })

    const args = ['audit', '--deep', '--kafka-bootstrap-servers', kafka.bootstrapServers.join(',')]
    const audit = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' })
    expect(audit.status, `${audit.stdout}\n${audit.stderr}`).toBe(0)
    expect(audit.stdout).toContain('clean: every record has exactly one outcome')
  }, 180_000)
})
