// curl at the HTTP door, before a real embedded broker; reading back by kcat.

import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { HttpIngress } from '../../src/ingress/http/http-ingress.ts'
import { IngressMetrics } from '../../src/ingress/ingress-metrics.ts'
import { Admission } from '../../src/listener/admission.ts'
import { silentDiagnostics } from '../../src/telemetry/diagnostics.ts'
import type { KafkaFixture } from '../ingress/kafka-fixture.ts'
import { openKafka } from '../ingress/kafka-fixture.ts'
import { consumeValues, kcat } from '../support/kcat.ts'

let kafka: KafkaFixture
let http: HttpIngress
let folder: string
beforeAll(async () => {
  kafka = await openKafka()
  const admission = new Admission({ bytesMax: 64 * 1024 * 1024 })
  http = await HttpIngress.start({
    host: '127.0.0.1',
    port: 0,
    vault: kafka.vault,
    admission,
    metrics: new IngressMetrics(new Registry(), admission),
    clock: systemClock,
    diagnostics: silentDiagnostics,
  })
  folder = await mkdtemp(join(tmpdir(), 'gophership-curl-'))
})
afterAll(async () => {
  await http.stop({ drainMs: 1_000 })
  await kafka.close()
  await rm(folder, { recursive: true, force: true })
})

const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index} ${'x'.repeat(100)}`)

function curl(stream: string, args: readonly string[]): Promise<Record<string, unknown>> {
  const url = `http://127.0.0.1:${http.port}/v1/streams/${stream}`
  return new Promise((resolve, reject) => {
    execFile('curl', ['-sS', '--max-time', '20', ...args, url], (error, stdout) => {
      if (error === null) resolve(JSON.parse(stdout))
      else reject(error)
    })
  })
}

async function fileOf(name: string, bytes: string | Buffer): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, bytes)
  return path
}

test('--data-binary of a text file stores its lines, in order, and says where', async () => {
  const path = await fileOf('lines.txt', `${lines.join('\n')}\n`)
  const answer = await curl('curl-text', ['--data-binary', `@${path}`, '-H', 'content-type: text/plain'])
  expect(answer).toMatchObject({ stream: 'curl-text', topic: 'raw-vault.curl-text', records: lines.length })
  expect(await consumeValues(kafka.broker.address, 'raw-vault.curl-text')).toEqual(lines)
})

test.each([
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
])('a %s file is stored inflated', async (encoding, compress) => {
  const path = await fileOf(`lines.${encoding}`, compress(Buffer.from(lines.join('\n'))))
  const answer = await curl(`curl-${encoding}`, [
    '--data-binary',
    `@${path}`,
    '-H',
    'content-type: text/plain',
    '-H',
    `content-encoding: ${encoding}`,
  ])
  expect(answer['records']).toBe(lines.length)
  expect(await consumeValues(kafka.broker.address, `raw-vault.curl-${encoding}`)).toEqual(lines)
})

test('a chunked upload (-T, unknown size, Expect: 100-continue) is stored the same', async () => {
  const path = await fileOf('upload.txt', lines.join('\n'))
  const answer = await curl('curl-upload', [
    '-X',
    'POST',
    '-T',
    path,
    '-H',
    'transfer-encoding: chunked',
    '-H',
    'content-type: text/plain',
    '-H',
    'expect: 100-continue',
  ])
  expect(answer['records']).toBe(lines.length)
  expect(await consumeValues(kafka.broker.address, 'raw-vault.curl-upload')).toEqual(lines)
})

test("curl's own default (-d, form-urlencoded) is one record of the bytes as they are", async () => {
  expect(await curl('curl-default', ['-d', '{"a":1}'])).toMatchObject({ records: 1 })
  const read = await kcat([
    '-C',
    '-b',
    kafka.broker.address,
    '-t',
    'raw-vault.curl-default',
    '-e',
    '-q',
    '-f',
    '%s %h',
  ])
  expect(read.stdout.toString()).toBe(
    '{"a":1} content-type=application/x-www-form-urlencoded,gophership-listener=http',
  )
})

test('a body that is too large is refused with an answer that says the limit', async () => {
  const path = await fileOf('large', Buffer.alloc(17 * 1024 * 1024))
  const answer = await curl('curl-large', ['--data-binary', `@${path}`])
  expect(answer['error']).toMatchObject({ code: 'body_too_large', limitBytes: 16_777_216 })
})
