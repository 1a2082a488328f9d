/** Apache Kafka's Java client: exactly once from topic to topic, with aborts and abandoned transactions. In the long run only. */

import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { APACHE_KAFKA_VERSION, canRunApacheKafka, fetchJars } from '../support/apache-kafka.ts'
import { BrokerProcess } from '../support/broker-process.ts'

const SOURCE = fileURLToPath(new URL('java/TransactionCopy.java', import.meta.url))
const RECORDS = 20_000
const RUN_MS_MAX = 200_000

describe.runIf(canRunApacheKafka())("the Java client's transactions", () => {
  let broker: BrokerProcess
  let classes: string
  let classPath: string

  beforeAll(async () => {
    classes = mkdtempSync(join(tmpdir(), 'gophership-java-'))
    classPath = `${join(fetchJars(APACHE_KAFKA_VERSION), '*')}:${classes}`
    const compiled = spawnSync('javac', ['-d', classes, '-cp', classPath, SOURCE], { encoding: 'utf8' })
    if (compiled.status !== 0) throw new Error(`javac failed: ${compiled.stderr}`)
    broker = await BrokerProcess.start()
  }, 400_000)

  afterAll(async () => {
    await broker?.destroy()
    rmSync(classes, { recursive: true, force: true })
  })

  it(
    `copy ${RECORDS} records exactly once`,
    async () => {
      const child = spawn('java', ['-cp', classPath, 'TransactionCopy', broker.address, String(RECORDS)], {
        timeout: RUN_MS_MAX,
      })
      let output = ''
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString('utf8')
      })
      const exitCode = await new Promise<number | null>((resolve) => child.on('close', resolve))

      expect(exitCode, output.slice(-4000)).toBe(0)
      expect(output).toContain(`seen ${RECORDS} of ${RECORDS}, 0 more than once`)
    },
    RUN_MS_MAX + 10_000,
  )
})
