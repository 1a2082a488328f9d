/**
 * librdkafka's own test programs, built from the sources in an npm package of its maker and kept in a cache folder.
 * Needs a C and C++ compiler, make and npm; the first build takes a few minutes.
 */

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** The package whose sources hold librdkafka 2.15. */
const PACKAGE = '@confluentinc/kafka-javascript@1.10.1'
const FOLDER = 'librdkafka-kafka-javascript-1.10.1-one-replica'
/** The tests of transactions ask for three replicas, which one node cannot have and which they do not need. */
const ONE_REPLICA = "sed -i 's/, 3, 5000);/, 1, 5000);/' tests/0103-transactions.c"
const BUILD = './configure --disable-gssapi --disable-curl && make -j2 libs && make -j2 -C tests build'
const BUILD_MS_MAX = 900_000

export function canBuildLibrdkafka(): boolean {
  return ['gcc', 'g++', 'make', 'npm'].every((tool) => spawnSync(tool, ['--version']).status === 0)
}

/** The folder with the built `test-runner`; fetched and built when it is not there yet. */
export function buildLibrdkafka(): string {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'gophership-test')
  const built = join(cache, FOLDER)
  if (!existsSync(built)) {
    mkdirSync(cache, { recursive: true })
    const staging = mkdtempSync(join(cache, 'building-'))
    try {
      run('npm', ['pack', '--silent', PACKAGE], staging)
      const archive = readdirSync(staging).find((name) => name.endsWith('.tgz'))
      run('tar', ['xzf', String(archive), 'package/deps/librdkafka'], staging)
      const sources = join(staging, 'package', 'deps', 'librdkafka')
      run('sh', ['-c', `${ONE_REPLICA} && ${BUILD}`], sources)
      renameSync(sources, built)
    } finally {
      rmSync(staging, { recursive: true, force: true })
    }
  }
  return join(built, 'tests')
}

function run(command: string, args: readonly string[], directory: string): void {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: directory,
    encoding: 'utf8',
    timeout: BUILD_MS_MAX,
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${`${stdout}${stderr}`.slice(-4000)}`)
}

export interface LibrdkafkaRun {
  readonly exitCode: number | null
  /** The end of what the program printed. */
  readonly output: string
}

/** Runs one of the tests, `0012` say, and kills it after `timeoutMs`. */
export function runLibrdkafkaTest(
  number: string,
  options: {
    readonly testsFolder: string
    /** The quick form leaves out what takes long, in some tests everything. */
    readonly isQuick: boolean
    readonly bootstrapServers: string
    readonly configFile: string
    readonly timeoutMs: number
  },
): Promise<LibrdkafkaRun> {
  const { testsFolder, isQuick, bootstrapServers, configFile, timeoutMs } = options
  writeFileSync(configFile, `bootstrap.servers=${bootstrapServers}\n`)
  return new Promise((resolve, reject) => {
    // -p1: one at a time; -E: without a proxy in the sockets; -Q: the quick form.
    const child = spawn('./test-runner', ['-p1', '-E', ...(isQuick ? ['-Q'] : [])], {
      cwd: testsFolder,
      env: {
        ...process.env,
        TESTS: number,
        TEST_KAFKA_VERSION: '3.9.0',
        RDKAFKA_TEST_CONF: configFile,
        LD_LIBRARY_PATH: '../src:../src-cpp',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const collect = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-20_000)
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    child.on('error', reject)
    child.on('close', (exitCode) => {
      clearTimeout(timer)
      resolve({ exitCode, output: output.slice(-4000) })
    })
  })
}
