import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { AdminOptions, Readiness } from '../../src/admin/admin-server.ts'
import { AdminServer } from '../../src/admin/admin-server.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'

const servers: AdminServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop()
})

async function start(options: Partial<AdminOptions> = {}): Promise<AdminServer> {
  const server = await AdminServer.start({
    host: '127.0.0.1',
    port: 0,
    allowedHosts: ['ops.example'],
    clock: systemClock,
    diagnostics: silentDiagnostics,
    metrics: async () => 'gophership_example_total 1\n',
    readiness: async () => ({ ready: true, reasons: [] }),
    status: async () => ({ version: '0' }),
    emergency: () => ({}),
    ...options,
  })
  servers.push(server)
  return server
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Record<string, string | string[] | undefined>
}

/** node:http and not fetch: fetch does not let a Host header through. */
function ask(
  server: AdminServer,
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: server.port, path, headers, method, agent: false as const }
    request(options, (response) => {
      let body = ''
      response.on('data', (chunk) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }))
    })
      .on('error', reject)
      .end()
  })
}

test('metrics come as the Prometheus text format', async () => {
  const answer = await ask(await start(), '/metrics')

  expect(answer).toMatchObject({ status: 200, body: 'gophership_example_total 1\n' })
  expect(answer.headers['content-type']).toContain('text/plain; version=0.0.4')
})

test('ready is 200 while the data path works and 503 with reasons while it does not', async () => {
  let readiness: Readiness = { ready: true, reasons: [] }
  let nowMs = 0
  const clock = { ...systemClock, monotonicMs: () => nowMs }
  const server = await start({ clock, readiness: async () => readiness })

  const before = await ask(server, '/health/ready')
  readiness = {
    ready: false,
    reasons: [{ role: 'broker', reason: 'no-answer', detail: 'The broker is silent.' }],
  }
  nowMs += 1_000
  const after = await ask(server, '/health/ready')

  expect([before.status, after.status]).toEqual([200, 503])
  expect(JSON.parse(after.body)).toEqual(readiness)
})

test('live does not depend on the data path', async () => {
  const server = await start({ readiness: () => new Promise(() => {}) })

  expect(await ask(server, '/health/live')).toMatchObject({ status: 200, body: '{"live":true}' })
})

test('many scrapes at once cost one', async () => {
  let readCount = 0
  const server = await start({
    metrics: async () => {
      readCount += 1
      return 'x 1\n'
    },
  })

  await Promise.all(Array.from({ length: 20 }, () => ask(server, '/metrics')))

  expect(readCount).toBe(1)
})

test('a Host header that does not name this machine gets 421, so DNS rebinding reads nothing', async () => {
  const server = await start()

  for (const host of ['evil.example', '127.0.0.1.evil.example:9464', '10.0.0.1', 'localhost.evil.example']) {
    expect((await ask(server, '/v1/status', { host })).status, host).toBe(421)
  }
  for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1:9464', '[::1]:9464', 'ops.example:80']) {
    expect((await ask(server, '/v1/status', { host })).status, host).toBe(200)
  }
})

test('a request from a page of another site gets 403', async () => {
  const server = await start()

  expect((await ask(server, '/v1/status', { origin: 'https://evil.example' })).status).toBe(403)
  expect((await ask(server, '/v1/status', { origin: 'null' })).status).toBe(403)
  expect((await ask(server, '/v1/status', { origin: `http://127.0.0.1:${server.port}` })).status).toBe(200)
})

test('an unknown path is 404 and a known one with another method is 405 with Allow', async () => {
  const server = await start()

  expect((await ask(server, '/nothing')).status).toBe(404)
  const refused = await ask(server, '/metrics', {}, 'DELETE')
  expect(refused.status).toBe(405)
  expect(refused.headers['allow']).toBe('GET, HEAD')
})

test('a failure inside is told without its text', async () => {
  const server = await start({
    status: async () => {
      throw new Error('open /var/lib/secret failed')
    },
  })

  const answer = await ask(server, '/v1/status')

  expect(answer.status).toBe(500)
  expect(answer.body).not.toContain('secret')
})

test('an address that other machines can reach is refused before anything listens', async () => {
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.com']) {
    await expect(start({ host })).rejects.toMatchObject({ code: 'GS_CONFIG_INVALID' })
  }
})

test('a port that is taken is GS_LISTEN_FAILED with the port as a fact', async () => {
  const first = await start()

  await expect(start({ port: first.port })).rejects.toMatchObject({
    code: 'GS_LISTEN_FAILED',
    facts: { port: first.port },
  })
})

test('headers over the limit get 431 and garbage gets 400, and the server goes on', async () => {
  const server = await start()

  expect((await ask(server, '/metrics', { 'x-big': 'x'.repeat(20_000) })).status).toBe(431)
  const garbage = await new Promise<string>((resolve, reject) => {
    const socket = connect(server.port, '127.0.0.1', () => socket.end('\u0016\u0003\u0001 not http\r\n\r\n'))
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('close', () => resolve(text))
    socket.on('error', reject)
  })
  expect(garbage).toContain('400')
  expect((await ask(server, '/health/live')).status).toBe(200)
})

test('stop does not wait for an idle keep-alive connection', async () => {
  const server = await start()
  const socket = connect(server.port, '127.0.0.1')
  await new Promise((resolve) => {
    socket.once('data', resolve)
    socket.write('GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n')
  })
  const closed = new Promise((resolve) => socket.once('close', resolve))

  await server.stop()

  await closed
})
