import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { App } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { eventually } from '../support/eventually.ts'

const apps: App[] = []
const folders: string[] = []
afterEach(async () => {
  for (const app of apps.splice(0)) await app.stop()
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gophership-app-'))
  folders.push(folder)
  return folder
}

/** Everything on free ports, silent, unless the test says otherwise. */
async function start(overrides: Record<string, string> = {}, stopRequested?: AbortSignal): Promise<App> {
  const ports = ['broker.port', 'ingress.kafka.port', 'ingress.http.port', 'admin.port']
  const flags = new Map(ports.map((path) => [path, '0']))
  flags.set('log.level', 'silent')
  for (const [path, text] of Object.entries(overrides)) flags.set(path, text)
  if (!flags.has('dataDir')) flags.set('dataDir', await newFolder())
  const { config } = loadConfig({ flags })
  const logger = { level: config.log.level, format: 'json', isColored: false, thread: 'main' } as const
  const app = await App.start({ config, version: '0', logger, ...(stopRequested && { stopRequested }) })
  apps.push(app)
  return app
}

const portOf = (app: App, name: string) => app.listening.find((address) => address.name === name)?.port ?? 0

async function store(app: App, body: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${portOf(app, 'ingress.http')}/v1/streams/web`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body,
  })
}

function crash(app: App, name: string): Promise<void> | undefined {
  return app.threads.find((thread) => thread.name === name)?.handle?.terminate()
}

/** Takes a port, and hangs up on whoever connects. */
function occupy(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

test('all roles start, take a record, enrich it, and are ready; status and metrics tell of every thread', async () => {
  const app = await start()

  const stored = await store(app, 'hello\n')
  const status = await eventually('the record is enriched', async () => {
    const now = await app.status()
    return (
      now.processor?.streams.find(({ stream, eventCount }) => stream === 'web' && eventCount === 1) && now
    )
  })
  const page = await app.metrics()

  expect(stored.status).toBe(200)
  expect(status.readiness).toEqual({ ready: true, reasons: [] })
  expect(status.threads.map(({ name, state }) => [name, state])).toEqual([
    ['broker', 'running'],
    ['processor-0', 'running'],
    // It runs while something is owed.
    ['compactor', 'idle'],
  ])
  expect(status.processor?.streams).toMatchObject([{ stream: 'web', lagRecords: 0, deadLetterCount: 0 }])
  expect(status.ingress?.vault.durability).toBe('fsynced')
  for (const thread of ['main', 'broker', 'processor-0']) {
    expect(page).toContain(`gophership_thread_heap_used_bytes{thread="${thread}"}`)
  }
  expect(page).toMatch(/^process_resident_memory_bytes /m)
})

test('a crashed broker thread comes back on its port with what it had acknowledged, and the doors go on', async () => {
  const app = await start()
  await store(app, 'before\n')
  const port = portOf(app, 'broker')

  await crash(app, 'broker')
  const after = await store(app, 'after\n')

  expect(after.status).toBe(200)
  const status = await eventually('both records are enriched', async () => {
    const now = await app.status()
    const web = now.processor?.streams.find(({ stream }) => stream === 'web')
    return (web?.partitionCount ?? 0) > 0 && web?.lagRecords === 0 && now.readiness.ready && now
  })
  expect(status.kafka.bootstrapServers).toEqual([`127.0.0.1:${port}`])
  expect(status.threads.find(({ name }) => name === 'broker')).toMatchObject({
    state: 'running',
    restartCount: 1,
  })
  const metrics = await app.metrics()
  expect(metrics).toContain('gophership_thread_restarts_total{thread="broker"} 1')
  expect(metrics).toContain('gophership_thread_restarts_total{thread="processor-0"} 0')
})

test('a crashed processor thread comes back and goes on where it had committed', async () => {
  const app = await start()
  await store(app, 'one\n')

  await crash(app, 'processor-0')
  await store(app, 'two\n')

  await eventually(
    'the second record is enriched after the restart',
    async () => {
      const { processor, readiness } = await app.status()
      return (
        readiness.ready &&
        processor?.streams.some(({ stream, lagRecords }) => stream === 'web' && lagRecords === 0)
      )
    },
    { withinMs: 20_000 },
  )
  const status = await app.status()
  expect(status.threads.find(({ name }) => name === 'processor-0')).toMatchObject({ restartCount: 1 })
})

test('readiness is false while nothing can be made durable, says why, and is true again afterwards', async () => {
  const app = await start({ roles: 'broker,ingress,admin' })
  const url = `http://127.0.0.1:${portOf(app, 'admin')}/health/ready`
  // The broker's port is taken the moment it dies, so it cannot come back.
  await crash(app, 'broker')
  const intruder = await occupy(portOf(app, 'broker'))

  const broken = await eventually('not ready', async () => {
    const answer = await fetch(url)
    return answer.status === 503 && ((await answer.json()) as { reasons: object[] })
  })
  await new Promise((resolve) => intruder.close(resolve))

  expect(broken.reasons[0]).toMatchObject({ role: 'vault', reason: 'not-writable' })
  await eventually('ready again', async () => (await fetch(url)).status === 200, { withinMs: 20_000 })
}, 60_000)

test('a taken port fails the start, names the option, and leaves nothing running', async () => {
  const dataDir = await newFolder()
  const intruder = await occupy(0)
  const { port } = intruder.address() as AddressInfo
  for (const [option, flag] of [
    ['broker.port', '--broker-port'],
    ['ingress.kafka.port', '--ingress-kafka-port'],
    ['ingress.http.port', '--ingress-http-port'],
    ['admin.port', '--admin-port'],
  ] as const) {
    const failure = await start({ dataDir, [option]: String(port) }).catch((error: unknown) => error)

    expect(failure, option).toMatchObject({ code: 'GS_LISTEN_FAILED' })
    expect(String(failure)).toContain(flag)
  }
  await new Promise((resolve) => intruder.close(resolve))

  const app = await start({ dataDir })

  await eventually('it is ready', async () => (await app.readiness()).ready)
})

test('a request that has begun when the stop begins is still made durable and answered', async () => {
  const dataDir = await newFolder()
  const app = await start({ dataDir, roles: 'broker,ingress' })
  const post = request({
    port: portOf(app, 'ingress.http'),
    path: '/v1/streams/web',
    method: 'POST',
    headers: { 'content-type': 'text/plain', 'content-length': 6 },
  })
  const answered = once(post, 'response')
  post.write('hel')
  await eventually('the request has begun', async () => {
    const { ingress } = await app.status()
    const http = ingress?.http as { requestsInFlight: number } | undefined
    return http?.requestsInFlight === 1
  })

  const stopped = app.stop()
  post.end('lo\n')
  const [response] = (await answered) as [IncomingMessage]
  await stopped

  expect(response.statusCode).toBe(200)
})

test('a stop that is asked for during the start opens no further door, and leaves nothing behind', async () => {
  const dataDir = await newFolder()
  const app = await start({ dataDir }, AbortSignal.abort())

  expect(app.listening).toEqual([])
  await app.stop()

  expect((await start({ dataDir })).listening).toHaveLength(4)
})

test('a data directory in use by another GopherShip fails the start', async () => {
  const dataDir = await newFolder()
  await start({ dataDir, roles: 'broker,admin' })

  await expect(start({ dataDir, roles: 'broker,admin' })).rejects.toMatchObject({ code: 'GS_STORAGE_LOCKED' })
})

test('a topology that cannot run fails the start', async () => {
  await expect(start({ 'processor.topology': 'density-teir' })).rejects.toThrow(
    'did you mean "density-tier"?',
  )
})

test('roles may live in different processes, over one Kafka', async () => {
  const broker = await start({ roles: 'broker' })
  const servers = `127.0.0.1:${portOf(broker, 'broker')}`
  const ingress = await start({ roles: 'ingress', 'kafka.bootstrapServers': servers })
  const processor = await start({ roles: 'processor', 'kafka.bootstrapServers': servers })

  const stored = await store(ingress, 'hello\n')

  expect(stored.status).toBe(200)
  await eventually('the other process enriches it', async () => {
    const status = await processor.status()
    return status.processor?.streams.some(({ eventCount }) => eventCount === 1)
  })
})
