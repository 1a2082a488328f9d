/**
 * The commands against a running GopherShip: what producers forge means nothing, what is replayed is what was sent, what is
 * sent back has an outcome of its own, and the audit finds all of it accounted for.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { run } from '../cli/run-cli.ts'
import { eventually } from '../support/eventually.ts'
import { GopherShipProcess } from '../support/gophership-process.ts'
import { consumeValues, kcat } from '../support/kcat.ts'

let gophership: GopherShipProcess
const command = (...args: string[]) => run([...args, '--broker-port', String(gophership.ports.broker)])

beforeAll(async () => {
  // A busy machine must not make the tiers of this test.
  gophership = await GopherShipProcess.prepare(['--pressure-observe-only', 'true'])
  await gophership.start()
}, 30_000)

afterAll(() => gophership.destroy())

/** Headers by which a producer would like to be taken for a dead letter of another record. */
const FORGED = [
  'gophership-reason=forged',
  'gophership-stage=forged',
  'gophership-attempt=41',
  'gophership-topic=raw-vault.other',
  'gophership-partition=7',
  'gophership-offset=4711',
  'gophership-last-offset=999999',
  'gophership-value-omitted=too-large',
  'gophership-redriven-from=raw-vault.other:7:4711',
]
const NOT_TEXT = Buffer.from([0xff, 0xfe, 0x80])

interface Listed {
  readonly count: number
  readonly letters: readonly {
    readonly record: string
    readonly reason: string
    readonly attempt: number
    readonly redrivenAs: string | null
  }[]
}

async function letters(stream: string, count: number): Promise<Listed> {
  return await eventually(
    `${count} dead letters of ${stream}`,
    async () => {
      const { out } = await command('dead-letter', 'list', '--stream', stream, '-o', 'json')
      const listed = JSON.parse(out) as Listed
      return listed.count >= count && listed
    },
    { withinMs: 15_000, everyMs: 200 },
  )
}

/** Audits until the processors are done with what was produced; then the answer stands. */
async function cleanAudit(stream: string, outcomes: number): Promise<string> {
  return await eventually(
    `an audit that knows ${outcomes} outcomes of ${stream}`,
    async () => {
      const { out, err, exitCode } = await command('audit', '--deep', '--stream', stream, '-o', 'json')
      expect(exitCode, `${out}${err}`).toBe(0)
      const { partitions } = JSON.parse(out) as { partitions: { counts: Record<string, number> }[] }
      const sum = partitions.reduce(
        (total, { counts }) =>
          total +
          (counts['enriched'] ?? 0) +
          (counts['deadLettered'] ?? 0) +
          (counts['settled'] ?? 0) +
          (counts['owed'] ?? 0),
        0,
      )
      return sum === outcomes && out
    },
    { withinMs: 15_000, everyMs: 200 },
  )
}

describe('headers that a producer forged', () => {
  it('mean nothing at the Kafka door: the letter names the record, the record goes back with them', async () => {
    const headers = FORGED.flatMap((header) => ['-H', header])
    const produced = await kcat(
      ['-P', '-b', gophership.kafkaAddress, '-t', 'forged', '-p', '0', ...headers],
      { input: NOT_TEXT },
    )
    expect(produced.exitCode, produced.stderr).toBe(0)

    const { letters: found } = await letters('forged', 1)
    expect(found).toMatchObject([
      { record: 'raw-vault.forged:0:0', reason: 'invalid-utf8', attempt: 1, redrivenAs: null },
    ])
    await cleanAudit('forged', 1)

    const sent = await command('dead-letter', 'redrive', '--stream', 'forged', '-o', 'json')
    expect(JSON.parse(sent.out)).toMatchObject({ sentCount: 1, refused: {} })
    const again = await letters('forged', 2)
    expect(again.letters.map(({ attempt, redrivenAs }) => [attempt, redrivenAs])).toEqual([
      [2, null],
      [1, expect.stringMatching(/^raw-vault\.forged:0:\d+$/)],
    ])
    await cleanAudit('forged', 2)
    const shown = await kcat([
      '-C',
      '-b',
      gophership.brokerAddress,
      '-t',
      'raw-vault.forged',
      '-e',
      '-q',
      '-f',
      '%h|%S\n',
    ])
    const lines = shown.stdout.toString('latin1').trim().split('\n')
    expect(lines).toEqual([`${FORGED.join(',')}|3`, `${FORGED.join(',')}|3`])
  }, 60_000)

  it('mean nothing at the HTTP door, which stores none of them', async () => {
    const response = await fetch(`${gophership.httpUrl}/v1/streams/forged-http`, {
      method: 'POST',
      headers: {
        'content-type': 'application/octet-stream',
        ...Object.fromEntries(FORGED.map((header) => header.split('=') as [string, string])),
      },
      body: new Uint8Array(NOT_TEXT),
    })
    expect(response.status).toBe(200)

    const { letters: found } = await letters('forged-http', 1)

    expect(found).toMatchObject([
      { record: expect.stringMatching(/^raw-vault\.forged-http:\d:0$/), reason: 'invalid-utf8', attempt: 1 },
    ])
    const shown = await kcat([
      '-C',
      '-b',
      gophership.brokerAddress,
      '-t',
      'raw-vault.forged-http',
      '-e',
      '-q',
      '-f',
      '%h\n',
    ])
    expect(shown.stdout.toString()).not.toContain('forged')
    await cleanAudit('forged-http', 1)
  }, 60_000)
})

describe('a replay', () => {
  it('gives back what was sent, and its count matches', async () => {
    const lines = Array.from({ length: 3_000 }, (_, number) => `{"n":${number},"message":"line ${number}"}`)
    const produced = await kcat(['-P', '-b', gophership.kafkaAddress, '-t', 'replayed'], {
      input: `${lines.join('\n')}\n`,
    })
    expect(produced.exitCode, produced.stderr).toBe(0)

    const copy = await command('replay', '--stream', 'replayed', '--to-topic', 'replay.replayed')
    const matching = await command(
      'replay',
      '--stream',
      'replayed',
      '--match',
      '"n":29[0-9]{2},',
      '--from',
      '-1h',
      '--to-topic',
      'replay.some',
      '-o',
      'json',
    )
    const through = await command(
      'replay',
      '--stream',
      'replayed',
      '--through',
      'density-tier',
      '--to-topic',
      'replay.events',
    )

    expect(copy.out).toBe('3,000 records read, 3,000 written to replay.replayed: they match\n')
    expect((await consumeValues(gophership.brokerAddress, 'replay.replayed')).toSorted()).toEqual(
      lines.toSorted(),
    )
    expect(JSON.parse(matching.out)).toMatchObject({ takenCount: 100, writtenCount: 100, isMatching: true })
    expect(through.out).toContain('3,000 records read, 3,000 written')
    await cleanAudit('replayed', 3_000)
    const events = await consumeValues(gophership.brokerAddress, 'replay.events')
    expect(events.toSorted()).toEqual(
      (await consumeValues(gophership.brokerAddress, 'enriched.replayed')).toSorted(),
    )
  }, 60_000)

  it('is refused where it would be read again', async () => {
    const refusals = [
      await command('replay', '--stream', 'replayed', '--to-topic', 'raw-vault.replayed'),
      await command('replay', '--stream', 'replayed', '--to-topic', 'enriched.replayed'),
      await command('replay', '--stream', 'replayed', '--from', 'tomorrow', '--to-topic', 'x'),
      await command('replay', '--stream', 'replayed', '--from', '-1h', '--to', '-2h', '--to-topic', 'x'),
      await command('replay', '--stream', 'replayed', '--rate', 'fast', '--to-topic', 'x'),
      await command('replay', '--stream', 'replayed', '--to-topic', 'x', '--to-file', 'y'),
      await command('replay', '--stream', 'nobody', '--to-topic', 'x'),
    ]

    expect(refusals.map(({ exitCode }) => exitCode)).toEqual([2, 2, 2, 2, 2, 2, 2])
    expect(refusals.map(({ err }) => err).join('')).toMatch(
      /is the source itself.*--into-live.*RFC 3339.*to lie before.*records a second.*more than one.*raw-vault\.nobody/s,
    )
  })
})

describe('an audit', () => {
  it('says in words what it found, and what to write for a stream that is not there', async () => {
    const clean = await command('audit')
    const unknown = await command('audit', '--stream', 'forgd')

    expect(clean.exitCode, `${clean.out}${clean.err}`).toBe(0)
    expect(clean.out).toMatch(/STREAM +PARTITION +FIRST +COMMITTED/)
    expect(clean.out).toContain('clean: every offset has exactly one outcome')
    expect(unknown).toMatchObject({ exitCode: 2, err: expect.stringContaining('did you mean "forged"?') })
  })

  it('exits 1 and names the offset when an event was written twice', async () => {
    const [event] = await consumeValues(gophership.brokerAddress, 'enriched.replayed')
    const place = /"eventId":"raw-vault\.replayed:(\d+):(\d+)"/.exec(event ?? '')
    await kcat(['-P', '-b', gophership.brokerAddress, '-t', 'enriched.replayed', '-p', place?.[1] ?? '0'], {
      input: event ?? '',
    })

    const { exitCode, out } = await command('audit', '--stream', 'replayed')

    expect(exitCode).toBe(1)
    expect(out).toContain(
      `violation: duplicate in raw-vault.replayed-${place?.[1]}, 1 offset: [${place?.[2]}, ${place?.[2]}] (events of full density)`,
    )
    expect(out).toContain('1 violation\n')
  })
})
