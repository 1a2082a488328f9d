// The commands about debt, against a broker and a compactor of their own.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runCli } from '../../src/cli/program.ts'
import type { Terminal } from '../../src/cli/terminal.ts'
import type { TestBroker } from '../support/broker.ts'
import { startTestBroker } from '../support/broker.ts'
import { eventually } from '../support/eventually.ts'
import { debtOf, openWorld, type World } from './support.ts'

let world: World

beforeEach(async () => {
  world = await openWorld()
})

afterEach(async () => {
  await world.stop()
})

function gophership(args: readonly string[], { address }: Pick<TestBroker, 'address'> = world.broker) {
  let [out, err] = ['', '']
  const stop = new AbortController()
  const terminal: Terminal = {
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    isInteractive: false,
    isColored: false,
    environment: { USER: 'tester' },
    readText: async () => '',
    writeText: async () => {},
    stopRequested: stop.signal,
    onUserSignal: () => {},
  }
  // Nothing listens at the admin port: the commands are about what Kafka knows.
  const all = [...args, '--kafka-bootstrap-servers', address]
  const result = runCli(all, terminal, '1.2.3').then((exitCode) => ({ exitCode, out, err }))
  return { result, stop: () => stop.abort(), said: () => out + err }
}

const run = (...args: readonly string[]) => gophership(args).result
const NO_ADMIN = ['--admin-port', '1']

describe('debt', () => {
  test('of a Kafka without a ledger nothing is owed', async () => {
    const broker = await startTestBroker()

    const { exitCode, out } = await gophership(['debt', ...NO_ADMIN], broker).result
    await broker.stop()

    expect(exitCode).toBe(0)
    expect(out).toMatch(/^Nothing is owed\./)
  })

  test('lists each range with tier, reason, age and deadline, the nearest deadline first, and the sums', async () => {
    const weekMs = 7 * 24 * 3_600_000
    const old = Date.now() - weekMs + 3_600_000
    await world.produce(100)
    await world.owe(
      debtOf(0, 49, { reason: { zone: 'yellow', driver: 'upstreamAckMs' } }),
      debtOf(10, 19, { partition: 1, tier: 'partial', timestampMinMs: old, timestampMaxMs: old }),
    )

    const { exitCode, out } = await run('debt', ...NO_ADMIN)
    const [title, first, second] = out.split('\n').map((line) => line.split(/ {2,}/))

    expect(exitCode).toBe(0)
    expect(title).toEqual([
      'TOPOLOGY',
      'TOPIC',
      'PARTITION',
      'FIRST',
      'LAST',
      'RECORDS',
      'TIER',
      'WHY',
      'AGE',
      'STATE',
      'DEADLINE',
      'PAID',
    ])
    expect(first?.slice(0, 8)).toEqual([
      'density-tier',
      'raw-vault.web',
      '1',
      '10',
      '19',
      '10',
      'partial',
      'red lagSeconds',
    ])
    expect(first?.[10]).toMatch(/^! in (59 min|1 h)/)
    expect(second?.slice(6, 8)).toEqual(['passthrough', 'yellow upstreamAckMs'])
    expect(second?.[10]).toMatch(/^in 6 d 23 h|^in 7 d/)
    expect(out).toMatch(/open +2 ranges, 60 records, 4.7 KiB\nsettled +0 ranges/)
  })

  test('as JSON it has everything, by state and by stream', async () => {
    await world.produce(50)
    await world.owe(debtOf(0, 9), debtOf(20, 29, { state: 'lost', closedMs: 5 }))

    const { out } = await run('debt', '--state', 'lost', '--stream', 'web', '-o', 'json', ...NO_ADMIN)
    const document = JSON.parse(out) as { rows: unknown[]; totals: object; compactor: null }

    expect(document.rows).toMatchObject([{ first: 20, last: 29, state: 'lost', recordCount: 10 }])
    expect(document.totals).toMatchObject({ open: { recordCount: 10 }, lost: { recordCount: 10 } })
    expect(document.compactor).toBeNull()
  })

  test('a stream that does not exist is refused with those that do', async () => {
    expect(await run('debt', '--stream', 'wbe', ...NO_ADMIN)).toMatchObject({
      exitCode: 2,
      err: expect.stringMatching(/no such stream: wbe; there is web/),
    })
  })

  test('a state that does not exist is refused with those that do', async () => {
    expect(await run('debt', '--state', 'paid', ...NO_ADMIN)).toMatchObject({
      exitCode: 2,
      err: expect.stringMatching(/open, settled, lost, all/),
    })
  })
})

describe('compact', () => {
  test('--now pays what is owed, outside the window, and says so when it is paid', async () => {
    await world.produce(50)
    await world.owe(debtOf(0, 49))
    const far = new Date(Date.now() + 12 * 3_600_000)
    const window = `${far.getUTCMinutes()} ${far.getUTCHours()} * * * for 1m`
    await world.startCompactor({ config: { idleWindows: [window], timeZone: 'UTC' } })

    expect(await run('compact', '--now')).toEqual({
      exitCode: 0,
      out: 'paid: 50 records in 1 range\n',
      err: '',
    })
    expect((await world.outputs()).size).toBe(50)
  })

  test('when nothing is owed --now says so and orders nothing', async () => {
    expect(await run('compact', '--now')).toMatchObject({ exitCode: 0, out: 'nothing is owed\n' })
  })

  test('asked to stop, it leaves the paying running', async () => {
    await world.produce(50)
    await world.owe(debtOf(0, 49))
    const command = gophership(['compact', '--now'])
    // No compactor runs, so it waits.
    await new Promise((resolve) => setTimeout(resolve, 700))
    command.stop()

    expect(await command.result).toMatchObject({
      exitCode: 0,
      err: expect.stringMatching(/goes on being paid/),
    })
    await world.startCompactor()
    await world.untilPaid()
  })

  test('pause holds it, --now says how to end that, and resume does', async () => {
    await world.produce(20)
    await world.owe(debtOf(0, 19))
    const running = await world.startCompactor({ config: { rateRecords: 1 } })
    expect(await run('compact', 'pause')).toMatchObject({ exitCode: 0, err: '' })
    await eventually('it is paused', () => running.compactor.status().state === 'paused')

    expect(await run('compact', '--now')).toMatchObject({
      exitCode: 2,
      err: expect.stringMatching(/paused.*gophership compact resume/),
    })
    const status = await run('compact', 'status', ...NO_ADMIN)
    expect(status.out).toMatch(/^owed +1 range, \d+ records/)
    expect(status.out).toMatch(/paused +on every instance/)

    expect((await run('compact', 'resume')).exitCode).toBe(0)
    await eventually('it goes on', () => running.compactor.status().state !== 'paused')
  })

  test('without an order it says which there are', async () => {
    expect(await run('compact')).toMatchObject({
      exitCode: 2,
      err: expect.stringMatching(/--now, pause, resume or status/),
    })
  })
})
