/**
 * kcat, the librdkafka command-line client: an implementation of the Kafka protocol that is not ours.
 * Debian's package; installed on first use where the test runs as root on a machine without it.
 */

import { spawn, spawnSync } from 'node:child_process'

let checked = false

/** Makes sure the `kcat` command exists, installing Debian's package if it may. */
export function requireKcat(): void {
  if (checked) return
  if (spawnSync('kcat', ['-V']).error !== undefined) {
    const install = spawnSync(
      'sh',
      ['-c', '(apt-get install -y kcat || (apt-get update && apt-get install -y kcat)) 2>&1'],
      {
        encoding: 'utf8',
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      },
    )
    if (spawnSync('kcat', ['-V']).error !== undefined) {
      throw new Error(`the tests need kcat: run 'apt-get install kcat' as root. It said:\n${install.stdout}`)
    }
  }
  checked = true
}

export interface KcatResult {
  readonly stdout: Buffer
  readonly stderr: string
  readonly exitCode: number | null
}

/** Runs kcat to its end, feeding `input` to it; never throws for a non-zero exit. */
export function kcat(
  args: readonly string[],
  { input, timeoutMs = 60_000 }: { input?: Buffer | string; timeoutMs?: number } = {},
) {
  requireKcat()
  return new Promise<KcatResult>((resolve, reject) => {
    const child = spawn('kcat', args, { stdio: ['pipe', 'pipe', 'pipe'] })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    child.stdin.on('error', () => {})
    child.on('error', reject)
    child.on('close', (exitCode) => {
      clearTimeout(timer)
      resolve({ stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString('utf8'), exitCode })
    })
    child.stdin.end(input)
  })
}

/** Every record value of a topic, from its start to its present end, as kcat reads them. */
export async function consumeValues(broker: string, topic: string): Promise<string[]> {
  const result = await kcat(['-C', '-b', broker, '-t', topic, '-e', '-q', '-o', 'beginning', '-D', '\u0001'])
  if (result.exitCode !== 0) throw new Error(`kcat exited with ${result.exitCode}: ${result.stderr}`)
  const text = result.stdout.toString('latin1')
  return text === '' ? [] : text.slice(0, -1).split('\u0001')
}
