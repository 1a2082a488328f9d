/** The pressure in running processes: orders of people, how far and how fast they reach, and what status tells of it. */

import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import type { StatusDocument } from '../../src/app/status-document.ts'
import { App } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { run } from '../cli/run-cli.ts'
import { eventually } from '../support/eventually.ts'
import { GopherShipProcess } from '../support/gophership-process.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(overrides: Record<string, string> = {}): Promise<App> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gophership-pressure-'))
  cleanups.push(() => rm(dataDir, { recursive: true, force: true }))
  const ports = ['broker.port', 'ingress.kafka.port', 'ingress.http.port', 'admin.port']
  const flags = new Map([...ports.map((path): [string, string] => [path, '0']), ['dataDir', dataDir]])
  // Orders hold, and what else goes on on this machine changes nothing.
  flags.set('pressure.observeOnly', 'true')
  for (const [path, text] of Object.entries(overrides)) flags.set(path, text)
  const { config } = loadConfig({ flags })
  const logger = { level: 'silent', format: 'json', isColored: false, thread: 'main' } as const
  const app = await App.start({ config, version: '0', logger })
  cleanups.push(() => app.stop())
  return app
}

const portOf = (app: App, name: string) => app.listening.find((address) => address.name === name)?.port ?? 0
const pressureOf = async (app: App) => (await app.status()).pressure

const post = (app: App, body: string, headers: Record<string, string> = {}) =>
  fetch(`http://127.0.0.1:${portOf(app, 'admin')}/v1/emergency`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  })

async function store(app: App, text: string): Promise<void> {
  const url = `http://127.0.0.1:${portOf(app, 'ingress.http')}/v1/streams/web`
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: text })
  expect(response.status).toBe(200)
}

/** Events and debt of all streams, when nothing waits any more. */
async function settled(app: App, recordCount: number) {
  return eventually('everything is processed', async () => {
    const workers = (await app.status()).processor?.workers ?? []
    const partitions = workers.flatMap(
      ({ status }) =>
        (
          status as {
            partitions: { recordCount: number; eventCount: number; debtRecordCount: number }[]
          } | null
        )?.partitions ?? [],
    )
    const sum = (of: 'recordCount' | 'eventCount' | 'debtRecordCount') =>
      partitions.reduce((total, partition) => total + partition[of], 0)
    return sum('recordCount') === recordCount && { events: sum('eventCount'), debt: sum('debtRecordCount') }
  })
}

test('the emergency switch of a process: what comes is booked and not enriched, until it is off', async () => {
  const app = await start()
  await store(app, 'one\n')
  await settled(app, 1)

  const on = await post(app, '{"on": true, "reason": "sink is down"}')
  await store(app, 'two\nthree\n')
  const during = await settled(app, 3)
  const status = await pressureOf(app)
  const page = await app.metrics()
  const off = await post(app, '{"on": false}')
  await store(app, 'four\n')
  const after = await settled(app, 4)

  expect([on.status, off.status]).toEqual([200, 200])
  expect(await on.json()).toMatchObject({
    tier: 'passthrough',
    tierText: 'passthrough: emergency, sink is down',
    emergency: { scope: 'process', reason: 'sink is down', by: 'admin' },
  })
  expect(during).toEqual({ events: 1, debt: 2 })
  expect(status?.emergency).not.toBeNull()
  expect(page).toContain('gophership_pressure_emergency 1')
  expect(await off.json()).toMatchObject({ tier: 'full', emergency: null })
  expect(after).toEqual({ events: 2, debt: 2 })
}, 30_000)

test('an order to all reaches another process in less than a second; so does its end, and a tier with an end', async () => {
  const first = await start({ roles: 'broker,ingress,processor,admin' })
  const servers = `127.0.0.1:${portOf(first, 'broker')}`
  const second = await start({ roles: 'processor,admin', 'kafka.bootstrapServers': servers })
  const order = (...args: string[]) => run([...args, '--kafka-bootstrap-servers', servers])
  const all = await order('status', '--cluster', '-o', 'json')
  const untilBoth = async (
    what: string,
    isSo: (pressure: NonNullable<StatusDocument['pressure']>) => boolean,
  ) => {
    const sentMs = performance.now()
    for (const app of [first, second]) {
      await eventually(what, async () => app.pressure !== null && isSo(app.pressure), { everyMs: 2 })
    }
    return performance.now() - sentMs
  }

  const on = await order('emergency', 'on', '--cluster', '--reason', 'sink is down')
  const onMs = await untilBoth('the emergency holds', ({ emergency }) => emergency?.scope === 'cluster')
  const off = await order('emergency', 'off', '--cluster')
  const offMs = await untilBoth(
    'it has ended',
    ({ emergency, tier }) => emergency === null && tier === 'full',
  )
  const set = await order('tier', 'set', 'partial', '--for', '10m', '--reason', 'load test')
  const setMs = await untilBoth(
    'the tier is ordered',
    ({ tier, cause }) => tier === 'partial' && cause === 'override',
  )
  const clear = await order('tier', 'clear')
  const clearMs = await untilBoth(
    'it is not any more',
    ({ override, cause }) => override === null && cause === 'observeOnly',
  )

  expect([on, off, set, clear].map(({ exitCode, err }) => [exitCode, err])).toEqual(
    new Array(4).fill([0, '']),
  )
  expect(
    (JSON.parse(all.out) as { roles: string[] }[]).map(({ roles }) => roles.includes('broker')).sort(),
  ).toEqual([false, true])
  expect(Math.max(onMs, offMs, setMs, clearMs)).toBeLessThan(1_000)
  expect(set.out).toMatch(/^every instance works in partial until 20/)
}, 40_000)

test('an emergency that stands when an instance starts holds from its first record on', async () => {
  const first = await start()
  const servers = `127.0.0.1:${portOf(first, 'broker')}`
  await run([
    'emergency',
    'on',
    '--cluster',
    '--reason',
    'sink is down',
    '--kafka-bootstrap-servers',
    servers,
  ])
  await eventually('it holds', async () => first.pressure?.emergency?.scope === 'cluster')

  const second = await start({
    roles: 'processor',
    'kafka.bootstrapServers': servers,
    'processor.groupId': 'b',
  })

  expect((await pressureOf(second))?.emergency).toMatchObject({ scope: 'cluster', reason: 'sink is down' })
}, 30_000)

test('an order of another form is refused with the right one; a page of a stranger cannot give any', async () => {
  const app = await start()
  const expected = /\{"on": true, "reason": "one line of 1 to 200 characters"\} or \{"on": false\}/
  for (const body of [
    '{}',
    '[]',
    'null',
    '{"on": 1, "reason": "x"}',
    '{"on": true}',
    '{"on": true, "reason": ""}',
    '{"on": true, "reason": 5}',
    '{"on": true, "reason": "x", "force": true}',
    `{"on": true, "reason": "${'x'.repeat(201)}"}`,
    '{"on": true, "reason": "\\u001b[2J"}',
    '{"on": false, "reason": "why"}',
  ]) {
    const answer = await post(app, body)
    expect(answer.status, body).toBe(400)
    expect(((await answer.json()) as { error: string }).error, body).toMatch(expected)
  }
  const on = '{"on": true, "reason": "x"}'
  expect((await post(app, '{"on": tru')).status).toBe(400)
  expect((await post(app, on.padEnd(5_000))).status).toBe(413)
  expect((await post(app, on, { 'content-type': 'text/plain' })).status).toBe(415)
  expect((await post(app, on, { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(415)
  expect((await post(app, on, { origin: 'https://evil.example' })).status).toBe(403)
  const get = await fetch(`http://127.0.0.1:${portOf(app, 'admin')}/v1/emergency`)
  expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST'])

  expect((await pressureOf(app))?.emergency).toBeNull()
}, 30_000)

test('a process that enriches nothing says where to give the order', async () => {
  const app = await start({ roles: 'broker,admin' })

  const answer = await post(app, '{"on": true, "reason": "x"}')

  expect(answer.status).toBe(409)
  expect(((await answer.json()) as { error: string }).error).toMatch(/role processor runs, or .* --cluster/)
}, 30_000)

test('reasons, tiers and durations that cannot be are refused before anything is asked', async () => {
  for (const [args, expected] of [
    [['emergency', 'on'], /required option '--reason <text>'/],
    [['emergency', 'on', '--reason', ' '], /--reason to be one line of 1 to 200 characters/],
    [['tier', 'set', 'turbo', '--for', '10m', '--reason', 'x'], /full, partial, passthrough/],
    [['tier', 'set', 'full', '--reason', 'x'], /required option '--for <duration>'/],
    [['tier', 'set', 'full', '--for', '10', '--reason', 'x'], /such as 90s, 10m or 2h/],
    [['tier', 'set', 'full', '--for', '0s', '--reason', 'x'], /such as 90s, 10m or 2h/],
    [['tier', 'set', 'full', '--for', '8d', '--reason', 'x'], /at most 7d; found "8d"/],
  ] as const) {
    const { exitCode, err } = await run(args)
    expect([exitCode, err], args.join(' ')).toEqual([2, expect.stringMatching(expected)])
  }
})

test('SIGUSR2 turns the switch on and off; status shows who, why and since when', async () => {
  const running = await GopherShipProcess.prepare()
  cleanups.push(() => running.destroy())
  await running.start()
  const cli = (...args: string[]) =>
    spawnSync(process.execPath, [MAIN, ...args, '--admin-port', String(running.ports.admin)], {
      encoding: 'utf8',
    })
  const emergency = async () => {
    const status = (await (await fetch(`${running.adminUrl}/v1/status`)).json()) as StatusDocument
    return status.pressure?.emergency
  }

  process.kill(running.pid, 'SIGUSR2')
  await eventually('it is on', async () => (await emergency())?.by === 'SIGUSR2')
  const shown = cli('status').stdout
  process.kill(running.pid, 'SIGUSR2')
  await eventually('it is off', async () => (await emergency()) === null)
  const byCommand = cli('emergency', 'on', '--reason', 'sink is down')
  const shownAgain = cli('status').stdout
  const ended = cli('emergency', 'off')

  expect(shown).toMatch(/^emergency {2}ON for this process since 20.*, by SIGUSR2: toggled by SIGUSR2$/m)
  expect(shown).toMatch(/^pressure {3}green: /m)
  expect(shown).toMatch(/^tier {7}passthrough: emergency, toggled by SIGUSR2$/m)
  expect([byCommand.status, ended.status]).toEqual([0, 0])
  expect(shownAgain).toMatch(/^emergency {2}ON .*by admin: sink is down$/m)
  expect(await emergency()).toBeNull()
}, 40_000)
