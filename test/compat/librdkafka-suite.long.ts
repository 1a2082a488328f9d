/** librdkafka's own tests against the embedded broker of a running GopherShip. In the long run only: it is built from source. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GopherShipProcess } from '../support/gophership-process.ts'
import { buildLibrdkafka, canBuildLibrdkafka, runLibrdkafkaTest } from '../support/librdkafka-suite.ts'

const entries = readFileSync(new URL('librdkafka.allow', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => !line.startsWith('#'))
  .flatMap((line) => line.split(' '))
  .filter((entry) => entry !== '')

const TEST_MS_MAX = 150_000

describe.runIf(canBuildLibrdkafka())("librdkafka's own tests", () => {
  let gophership: GopherShipProcess
  let testsFolder: string

  beforeAll(async () => {
    testsFolder = buildLibrdkafka()
    gophership = await GopherShipProcess.prepare()
    await gophership.start()
  }, 1_000_000)

  afterAll(() => gophership?.destroy())

  it.each(entries)(
    'pass: %s',
    async (entry) => {
      const { exitCode, output } = await runLibrdkafkaTest(entry.replace('+', ''), {
        testsFolder,
        isQuick: !entry.endsWith('+'),
        bootstrapServers: gophership.brokerAddress,
        configFile: join(gophership.dataDir, 'librdkafka-test.conf'),
        timeoutMs: TEST_MS_MAX,
      })

      expect(exitCode, output).toBe(0)
    },
    TEST_MS_MAX + 10_000,
  )
})
