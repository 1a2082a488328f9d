/** The process as a whole: signals, exit codes, what it prints. */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { GopherShipProcess } from '../support/gophership-process.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const processes: GopherShipProcess[] = []
afterEach(async () => {
  for (const running of processes.splice(0)) await running.destroy()
})

async function start(extra: string[] = []): Promise<GopherShipProcess> {
  const running = await GopherShipProcess.prepare(extra)
  processes.push(running)
  await running.start()
  return running
}

test('SIGTERM drains and exits 0, having said so in JSON', async () => {
  const running = await start()

  const exitCode = await running.stop()

  const lines = running.output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(exitCode, running.output).toBe(0)
  expect(lines.find(({ msg }) => msg === 'ready')).toMatchObject({
    addresses: { broker: running.brokerAddress, 'ingress.kafka': running.kafkaAddress },
    dataDir: running.dataDir,
  })
  expect(lines.at(-1)).toMatchObject({ msg: 'stopped' })
})

test('a second signal ends it at once, while the first one drains', async () => {
  const running = await start()
  // A request that never completes: the drain waits for it.
  const socket = connect(running.ports.http, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(
    'POST /v1/streams/web HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 10\r\n\r\nabc',
  )
  await eventually('the request has begun', async () => {
    const { ingress } = (await (await fetch(`${running.adminUrl}/v1/status`)).json()) as {
      ingress: { http: { requestsInFlight: number } }
    }
    return ingress.http.requestsInFlight === 1
  })
  const pid = running.pid

  const exited = running.stop()
  await eventually('it drains', () => running.output.includes('"stopping"'))
  const secondMs = performance.now()
  process.kill(pid, 'SIGTERM')

  expect(await exited).toBe(143)
  expect(performance.now() - secondMs).toBeLessThan(2_000)
  socket.destroy()
})

test('status and topics of a running process', async () => {
  const running = await start()
  await fetch(`${running.httpUrl}/v1/streams/web`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: 'a\nb\nc\n',
  })
  const cli = (...args: string[]) => spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' })

  const status = cli('status', '--admin-port', String(running.ports.admin))
  const topics = cli('topics', 'raw-vault.web', '-o', 'json', '--broker-port', String(running.ports.broker))

  expect({ code: status.status, err: status.stderr }).toEqual({ code: 0, err: '' })
  expect(status.stdout).toMatch(/^GopherShip .*: ready$/m)
  expect({ code: topics.status, err: topics.stderr }).toEqual({ code: 0, err: '' })
  expect(JSON.parse(topics.stdout)).toMatchObject([
    { topic: 'raw-vault.web', partitionCount: 4, recordCount: 3 },
  ])
})

test('a reader that goes away ends a command quietly', async () => {
  const child = spawn('sh', ['-c', `"${process.execPath}" "${MAIN}" config schema | head -c 10`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })

  await once(child, 'close')

  expect(stderr).toBe('')
})
