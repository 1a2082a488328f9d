import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { GopherShipProcess } from '../support/gophership-process.ts'
import { requireKcat } from '../support/kcat.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TOUR_BLOCK = /<!-- tour -->\n```sh\n([\s\S]*?)```/g

let gophership: GopherShipProcess

beforeAll(async () => {
  requireKcat()
  gophership = await GopherShipProcess.prepare()
  await gophership.start()
})

afterAll(async () => {
  await gophership.destroy()
})

/** Runs a block of the README as it stands, but for the ports. */
function run(block: string): string {
  const { ports } = gophership
  const command = block
    .replaceAll(/\b19092\b/g, String(ports.broker))
    .replaceAll(/\b9092\b/g, String(ports.kafka))
    .replaceAll(/\b8080\b/g, String(ports.http))
  const result = spawnSync('sh', ['-e', '-c', command], {
    cwd: ROOT,
    encoding: 'utf8',
    env: {
      ...process.env,
      GOPHERSHIP_ADMIN_PORT: String(ports.admin),
      GOPHERSHIP_BROKER_PORT: String(ports.broker),
    },
  })
  expect(result.status, `${command}\n${result.stdout}\n${result.stderr}`).toBe(0)
  return result.stdout
}

describe('the tour in the README', () => {
  it('runs word for word and shows what it says', async () => {
    const readme = await readFile(`${ROOT}/README.md`, 'utf8')
    const blocks = [...readme.matchAll(TOUR_BLOCK)].map((match) => match[1] ?? '')
    expect(blocks).toHaveLength(8)
    const [send = '', vault = '', enriched = '', produce = '', look = '', shed = '', debt = '', repay = ''] =
      blocks

    expect(JSON.parse(run(send))).toMatchObject({ topic: 'raw-vault.demo', records: 2, bytes: 204 })
    const lines = run(vault).trim().split('\n')
    expect(lines).toHaveLength(2)
    expect(lines.every((line) => readme.includes(line))).toBe(true)
    const events = await eventually('two events', () => {
      const values = run(enriched).trim().split('\n')
      return values.length === 2 && values.map((value) => JSON.parse(value) as Record<string, unknown>)
    })
    expect(events.find(({ body }) => String(body).startsWith('Accepted'))).toMatchObject({
      attributes: { 'process.pid': 311 },
      resource: { 'host.name': 'web-1', 'service.name': 'sshd' },
    })
    run(produce)
    const shown = await eventually('the streams in the status', () => {
      const text = run(look)
      return /orders +4 +0 +0\.0 +2 +0/.test(text) && text
    })
    expect(shown).toMatch(/demo +4 +0 +0\.0 +2 +0/)
    expect(shown).toContain('raw-vault.orders')
    expect(shown).toContain('density-tier')

    run(shed)
    const owed = await eventually('the debt of two records', () => {
      const text = run(debt)
      return text.includes('raw-vault.demo') && text
    })
    expect(owed).toMatch(/ 2 +passthrough +green emergency/)
    expect(run(repay)).toContain('clean: every record has exactly one outcome; 6 at full density')
  }, 60_000)
})
