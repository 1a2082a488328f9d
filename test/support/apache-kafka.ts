/**
 * A real Apache Kafka for tests: the server's jars come from Maven once and stay in a cache folder; each start
 * formats fresh KRaft storage and runs one JVM per node on free loopback ports.
 *
 *     const kafka = await startApacheKafka()
 *     … new KafkaCluster({ bootstrapServers: kafka.bootstrapServers, … })
 *     await kafka.stop()
 *
 * Promises: ready (answers on its port) when `startApacheKafka` resolves; a few seconds once the jars are cached;
 * nothing left behind after `stop`, and no JVM outlives this process.
 */

import type { ChildProcess } from 'node:child_process'
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

/** The server release the tests run against, unless one is asked for. */
export const APACHE_KAFKA_VERSION = '4.1.1'

export interface ApacheKafkaOptions {
  /** Combined broker and controller nodes, 1 to 3. Default 1. */
  readonly nodeCount?: number
  /** Default `APACHE_KAFKA_VERSION`; any release from 3.3 (KRaft) on. */
  readonly version?: string
  /**
   * Where a proxy in front of the (single) node listens: a second listener tells its clients to come there, so that all
   * they do passes the proxy. The proxy forwards to `proxiedPort`.
   */
  readonly proxyPort?: number
  /** Extra `server.properties` lines. */
  readonly properties?: Readonly<Record<string, string>>
}

export interface ApacheKafka {
  /** `host:port` of every node. */
  readonly bootstrapServers: string[]
  /** Where the listener behind `proxyPort` really listens; 0 when there is none. */
  readonly proxiedPort: number
  /** Every jar of the server (and of the Java client), as a Java class path. */
  readonly classPath: string
  /** Sends SIGKILL to one node (index from 0) and waits until it is gone. */
  killNode(index: number): Promise<void>
  /** Stops one node in an orderly way. */
  stopNode(index: number): Promise<void>
  /** Starts a stopped node again on its old port and storage, and waits until it answers. */
  restartNode(index: number): Promise<void>
  /** What a node printed, for a failing test. */
  output(index: number): string
  stop(): Promise<void>
}

/** True when this machine has what the real Kafka needs: Java 17 and Maven. */
export function canRunApacheKafka(): boolean {
  return spawnSync(javaBinary(), ['-version']).status === 0 && spawnSync('mvn', ['-v']).status === 0
}

export async function startApacheKafka(options: ApacheKafkaOptions = {}): Promise<ApacheKafka> {
  const classPath = join(fetchJars(options.version ?? APACHE_KAFKA_VERSION), '*')
  const nodeCount = options.nodeCount ?? 1
  const root = mkdtempSync(join(tmpdir(), 'gophership-apache-kafka-'))
  const ports = await freePorts(nodeCount * 2)
  const [proxiedPort = 0] = options.proxyPort === undefined ? [] : await freePorts(1)
  const proxy =
    options.proxyPort === undefined ? null : { listenPort: proxiedPort, advertisedPort: options.proxyPort }
  const nodes = Array.from(
    { length: nodeCount },
    (_, index) =>
      new KafkaNode({ index, classPath, root, ports, proxy, properties: options.properties ?? {} }),
  )
  const stopAll = async () => {
    await Promise.all(nodes.map((node) => node.stop('SIGKILL')))
    rmSync(root, { recursive: true, force: true, maxRetries: 5 })
  }
  try {
    const clusterId = randomBytes(16).toString('base64url')
    await Promise.all(nodes.map((node) => node.format(clusterId)))
    await Promise.all(nodes.map((node) => node.start()))
  } catch (error) {
    const printed = nodes.map((node) => node.output()).join('\n')
    await stopAll()
    throw new Error(`Apache Kafka did not start: ${printed.slice(-4000)}`, { cause: error })
  }
  const nodeAt = (index: number): KafkaNode => {
    const node = nodes[index]
    if (node === undefined) throw new Error(`there is no node ${index}, only ${nodeCount}`)
    return node
  }
  return {
    bootstrapServers: nodes.map((node) => `127.0.0.1:${node.port}`),
    proxiedPort,
    classPath,
    killNode: (index) => nodeAt(index).stop('SIGKILL'),
    stopNode: (index) => nodeAt(index).stop('SIGTERM'),
    restartNode: (index) => nodeAt(index).start(),
    output: (index) => nodeAt(index).output(),
    stop: stopAll,
  }
}

/** Small and quick rather than fast: tests start and stop it often. */
const JVM_OPTIONS = [
  '-Xmx512m',
  '-Xms64m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-XX:-UsePerfData',
  '-Xshare:auto',
]

const START_MS_MAX = 60_000

interface KafkaNodeOptions {
  readonly index: number
  readonly classPath: string
  readonly root: string
  /** The brokers' ports, then the controllers'. */
  readonly ports: readonly number[]
  readonly proxy: { readonly listenPort: number; readonly advertisedPort: number } | null
  readonly properties: Readonly<Record<string, string>>
}

class KafkaNode {
  readonly port: number
  readonly #options: KafkaNodeOptions
  readonly #propertiesPath: string
  readonly #outputPath: string
  #process: ChildProcess | null = null

  constructor(options: KafkaNodeOptions) {
    this.#options = options
    this.port = options.ports[options.index] ?? 0
    this.#propertiesPath = join(options.root, `node-${options.index}.properties`)
    this.#outputPath = join(options.root, `node-${options.index}.out`)
    writeFileSync(this.#propertiesPath, this.#properties())
    writeFileSync(this.#outputPath, '')
  }

  async format(clusterId: string): Promise<void> {
    const child = this.#java([
      'kafka.tools.StorageTool',
      'format',
      '-t',
      clusterId,
      '-c',
      this.#propertiesPath,
    ])
    const [code] = await once(child, 'exit')
    if (code !== 0) throw new Error(`storage format ended with ${code}`)
  }

  async start(): Promise<void> {
    const child = this.#java(['kafka.Kafka', this.#propertiesPath])
    this.#process = child
    const deadline = performance.now() + START_MS_MAX
    while (!(await answers(this.port))) {
      if (child.exitCode !== null || performance.now() > deadline)
        throw new Error(`node ${this.port} is not up`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process
    this.#process = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  output(): string {
    return readFileSync(this.#outputPath, 'utf8')
  }

  #java(programArguments: readonly string[]): ChildProcess {
    const output = openSync(this.#outputPath, 'a')
    const child = spawn(javaBinary(), [...JVM_OPTIONS, '-cp', this.#options.classPath, ...programArguments], {
      stdio: ['ignore', output, output],
      cwd: this.#options.root,
    })
    closeSync(output)
    const killWithUs = () => child.kill('SIGKILL')
    process.once('exit', killWithUs)
    child.once('exit', () => process.off('exit', killWithUs))
    return child
  }

  #properties(): string {
    const { index, ports, root, proxy } = this.#options
    const nodeCount = ports.length / 2
    const controllerPorts = ports.slice(nodeCount)
    const replicas = String(nodeCount)
    const lines: Record<string, string> = {
      'process.roles': 'broker,controller',
      'node.id': String(index + 1),
      'controller.quorum.voters': controllerPorts.map((port, at) => `${at + 1}@127.0.0.1:${port}`).join(','),
      listeners: [
        `PLAINTEXT://127.0.0.1:${this.port}`,
        `CONTROLLER://127.0.0.1:${controllerPorts[index]}`,
        ...(proxy === null ? [] : [`PROXIED://127.0.0.1:${proxy.listenPort}`]),
      ].join(','),
      'advertised.listeners': [
        `PLAINTEXT://127.0.0.1:${this.port}`,
        ...(proxy === null ? [] : [`PROXIED://127.0.0.1:${proxy.advertisedPort}`]),
      ].join(','),
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT',
      'controller.listener.names': 'CONTROLLER',
      'log.dirs': join(root, `node-${index}`),
      'num.partitions': '4',
      'default.replication.factor': replicas,
      'offsets.topic.num.partitions': '4',
      'offsets.topic.replication.factor': replicas,
      'transaction.state.log.replication.factor': replicas,
      'transaction.state.log.min.isr': '1',
      'transaction.state.log.num.partitions': '4',
      'group.initial.rebalance.delay.ms': '0',
      'group.min.session.timeout.ms': '1000',
      'num.network.threads': '2',
      'num.io.threads': '2',
      'log.cleaner.dedupe.buffer.size': '4194304',
      // Records of the tests are years old by their times, and half a minute after its start Kafka begins to delete such.
      'log.retention.ms': '-1',
      ...this.#options.properties,
    }
    return Object.entries(lines)
      .map(([key, value]) => `${key}=${value}\n`)
      .join('')
  }
}

/** Resolves to whether the port takes a connection and answers ApiVersions v0 (not merely accepts). */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const finish = (isUp: boolean) => {
      socket.destroy()
      resolve(isUp)
    }
    socket.setTimeout(2_000, () => finish(false))
    socket.once('error', () => finish(false))
    socket.once('close', () => finish(false))
    socket.once('data', () => finish(true))
    // size 10, ApiVersions (18) version 0, correlation id 1, null client id
    socket.once('connect', () => socket.write(Buffer.from('0000000a0012000000000001ffff', 'hex')))
  })
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

function javaBinary(): string {
  const java17 = '/usr/lib/jvm/java-17-openjdk-amd64/bin/java'
  return existsSync(java17) ? java17 : 'java'
}

/**
 * The folder that holds the server's jars, filled by Maven when it is not there yet. The folder appears under its
 * final name only when it is complete, so two test files may fetch at the same time.
 */
export function fetchJars(version: string): string {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'gophership-test')
  const folder = join(cache, `apache-kafka-${version}`)
  if (existsSync(folder)) return folder
  mkdirSync(cache, { recursive: true })
  const staging = mkdtempSync(join(cache, 'fetching-'))
  const pom = join(staging, 'pom.xml')
  writeFileSync(pom, pomOf(version))
  const fetched = spawnSync(
    'mvn',
    ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${join(staging, 'jars')}`],
    { encoding: 'utf8', timeout: 300_000 },
  )
  if (fetched.status !== 0) {
    rmSync(staging, { recursive: true, force: true })
    throw new Error(`Maven could not fetch Apache Kafka ${version}: ${fetched.stdout}${fetched.stderr}`)
  }
  try {
    renameSync(join(staging, 'jars'), folder)
  } catch (error) {
    if (!existsSync(folder)) throw error
  }
  rmSync(staging, { recursive: true, force: true })
  return folder
}

function pomOf(version: string): string {
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>test</groupId><artifactId>apache-kafka-jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${version}</version></dependency>
  </dependencies>
</project>
`
}
