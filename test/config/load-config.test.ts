import { expect, test } from 'vitest'
import { ConfigError } from '../../src/config/config-error.ts'
import type { ConfigSources } from '../../src/config/load-config.ts'
import { loadConfig } from '../../src/config/load-config.ts'

const yaml = (text: string) => ({ name: 'gophership.yaml', text })

function problemsOf(sources: ConfigSources) {
  try {
    loadConfig(sources)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  throw new Error('the configuration was accepted')
}

test('nothing configured is a running configuration: the embedded broker, all roles, everything on loopback', () => {
  const { config, warnings } = loadConfig({})

  expect(config.roles).toEqual(['broker', 'ingress', 'processor', 'compactor', 'admin'])
  expect([config.broker.host, config.ingress.host, config.admin.host]).toEqual([
    '127.0.0.1',
    '127.0.0.1',
    '127.0.0.1',
  ])
  expect([
    config.ingress.kafka.port,
    config.broker.port,
    config.ingress.http.port,
    config.admin.port,
  ]).toEqual([9092, 19092, 8080, 9464])
  expect(config.dataDir).toBe('./data')
  expect(warnings).toEqual([])
})

test('the environment overrides the file and flags override both, and each origin is remembered', () => {
  const { config, origins } = loadConfig({
    file: yaml('dataDir: /file\nlog:\n  level: debug\nkafka: {clientId: file}\n'),
    environment: { GOPHERSHIP_DATA_DIR: '/environment', GOPHERSHIP_LOG_LEVEL: 'warn', HOME: '/root' },
    flags: new Map([['dataDir', '/flag']]),
  })

  expect([config.dataDir, config.log.level, config.kafka.clientId]).toEqual(['/flag', 'warn', 'file'])
  expect(Object.fromEntries(origins)).toEqual({
    dataDir: '--data-dir',
    'log.level': 'GOPHERSHIP_LOG_LEVEL',
    'kafka.clientId': 'gophership.yaml:4',
  })
})

test('an unknown key fails with its line and the nearest right name', () => {
  const problems = problemsOf({ file: yaml('# comment\nbroker:\n  host: 127.0.0.1\n  partitoinCount: 3\n') })

  expect(problems).toEqual([
    {
      source: 'gophership.yaml:4',
      path: 'broker.partitoinCount',
      message: 'unknown key; did you mean "partitionCount"?',
    },
  ])
})

test('a right key in the wrong place is told where it belongs', () => {
  const [problem] = problemsOf({ file: yaml('workerCount: 3\n') })

  expect(problem?.message).toBe('unknown key; there is "processor.workerCount"')
})

test('every problem is reported at once, each with the place it was written', () => {
  const problems = problemsOf({
    file: yaml('log: {level: loud}\nprocessor:\n  workerCount: many\n'),
    environment: { GOPHERSHIP_ADMIN_PORT: '99999' },
    flags: new Map([['processor.timeZone', 'Mars/Olympus']]),
  })

  expect(problems.map(({ source, path }) => `${source} ${path}`).sort()).toEqual([
    '--processor-time-zone processor.timeZone',
    'GOPHERSHIP_ADMIN_PORT admin.port',
    'gophership.yaml:1 log.level',
    'gophership.yaml:3 processor.workerCount',
  ])
  const messages = problems.map(({ message }) => message)
  expect(messages).toContain('expected at most 65535, found 99999')
  expect(messages).toContain('expected a whole number, found "many"')
})

test('sizes and durations may carry a unit, in every source', () => {
  const { config } = loadConfig({
    file: yaml('broker: {retentionMs: 3d, segmentBytes: "64 MiB"}\n'),
    environment: { GOPHERSHIP_INGRESS_ADMISSION_BYTES_MAX: '128MiB' },
    flags: new Map([['processor.commitIntervalMs', '2s']]),
  })

  expect(config.broker.retentionMs).toBe(259_200_000)
  expect(config.broker.segmentBytes).toBe(67_108_864)
  expect(config.ingress.admissionBytesMax).toBe(134_217_728)
  expect(config.processor.commitIntervalMs).toBe(2_000)
})

test('a port does not take a unit', () => {
  const [problem] = problemsOf({ flags: new Map([['admin.port', '9k']]) })

  expect(problem?.message).toContain('expected a whole number')
})

test('syntax errors and duplicate keys name their line', () => {
  expect(problemsOf({ file: yaml('a: 1\na: 2\n') })[0]).toMatchObject({ source: 'gophership.yaml:2' })
  expect(problemsOf({ file: yaml('log: [\n') })[0]?.message).toContain('not valid YAML')
  expect(problemsOf({ file: yaml('- a list\n') })[0]?.message).toContain('expected options')
  expect(problemsOf({ file: yaml('log: {}\n---\nlog: {}\n') })[0]?.message).toContain('one YAML document')
})

test('a group whose options are all commented out sets nothing', () => {
  const { config } = loadConfig({ file: yaml('broker:\n  # port: 1\ningress:\n  http:\n') })

  expect(config).toEqual(loadConfig({}).config)
})

test('an option without a value is refused, and so are words where options are expected', () => {
  expect(problemsOf({ file: yaml('broker:\n  port:\n') })[0]).toMatchObject({ path: 'broker.port' })
  expect(problemsOf({ file: yaml('log: loud\n') })[0]?.message).toContain('expected options')
})

test('a wrong value is told how to write a right one', () => {
  const wrong = 'broker: {segmentBytes: 1.5GiB, retentionMs: 7 days}\nroles: [ingres]\nlog: {level: wran}\n'
  const messages = problemsOf({ file: yaml(wrong) }).map(({ message }) => message)

  expect(messages).toEqual(
    expect.arrayContaining([
      expect.stringContaining('such as 64MiB'),
      expect.stringContaining('such as 30s or 7d'),
      expect.stringContaining('did you mean "ingress"?'),
      expect.stringContaining('did you mean "warn"?'),
    ]),
  )
})

test('an alias bomb is refused and does not eat memory', () => {
  const bomb = `${Array.from({ length: 9 }, (_, i) => `a${i}: &a${i} [${i === 0 ? 'x' : Array(9).fill(`*a${i - 1}`)}]`).join('\n')}\n`

  expect(() => loadConfig({ file: yaml(bomb) })).toThrow(ConfigError)
})

test('an admin address that other machines can reach is refused', () => {
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'gateway.internal']) {
    expect(problemsOf({ flags: new Map([['admin.host', host]]) })[0]).toMatchObject({
      source: '--admin-host',
      path: 'admin.host',
    })
  }
  for (const host of ['localhost', '127.8.8.8', '::1', '[::1]'])
    loadConfig({ flags: new Map([['admin.host', host]]) })
})

test.each([
  'dataDir',
  'broker.host',
  'ingress.host',
  'admin.host',
  'processor.groupId',
  'processor.topology',
])('%s given as nothing is refused, as a variable that is not set gives it', (path) => {
  expect(problemsOf({ flags: new Map([[path, '']]) })[0]).toMatchObject({ path })
})

test.each([
  'enriched.{stream}',
  'passthrough.{stream}',
  'gophership.{stream}',
  'gophership.debt',
  'dead-letter',
  'dead-letter.{stream}',
  '__{stream}',
  '.',
  '..{stream}',
])('%s is no template for the vault: other records are there, or nothing can be', (template) => {
  expect(problemsOf({ flags: new Map([['streams.vaultTemplate', template]]) })[0]).toMatchObject({
    source: '--streams-vault-template',
    path: 'streams.vaultTemplate',
  })
})

test.each(['{stream}', 'vault', 'raw-vault', '{stream}.raw', 'enriched-raw.{stream}'])(
  '%s is a template for the vault',
  (template) => {
    loadConfig({ flags: new Map([['streams.vaultTemplate', template]]) })
  },
)

test('a drain leaves the other parts their time of the half minute that a stop may take', () => {
  // Compactor 3 s, processors 6 s, broker 7 s, one after the other; what takes longer than 29 s is cut.
  expect(problemsOf({ flags: new Map([['drainMs', '13s']]) })[0]).toMatchObject({ path: 'drainMs' })
  loadConfig({ flags: new Map([['drainMs', '12s']]) })
})

test.each(['k1', 'k1:', 'k1:0', 'k1:65536', 'k1:99999', ':9092', 'k 1:9092'])(
  '%j is no Kafka server, and a check says so before a start does',
  (server) => {
    const [problem] = problemsOf({ flags: new Map([['kafka.bootstrapServers', `k0:9092,${server}`]]) })
    expect(problem).toMatchObject({ path: 'kafka.bootstrapServers.1' })
    expect(problem?.message).toContain('expected host:port')
  },
)

test('roles that need a Kafka are refused without one', () => {
  const roles = ['roles', 'ingress,processor'] as const

  expect(problemsOf({ flags: new Map([roles]) })[0]?.path).toBe('roles')
  loadConfig({ flags: new Map([roles, ['kafka.bootstrapServers', 'a:9092,[::1]:9092']]) })
})

test('two listeners on one port are refused, naming both options', () => {
  const [problem] = problemsOf({ flags: new Map([['admin.port', '8080']]) })

  expect(problem).toMatchObject({ path: 'admin.port' })
  expect(problem?.message).toContain('ingress.http.port')
  loadConfig({
    flags: new Map([
      ['admin.port', '0'],
      ['ingress.http.port', '0'],
    ]),
  })
})

test('an unknown name in the environment is a warning, because others set such names for us', () => {
  const { warnings, config } = loadConfig({
    environment: {
      GOPHERSHIP_DATADIR: '/x',
      GOPHERSHIP_ADMIN_PORT: 'tcp://10.0.0.1:9464',
      GOPHERSHIP_CONFIG: 'gophership.yaml',
    },
  })

  expect(warnings).toHaveLength(2)
  expect(warnings[0]).toContain('did you mean GOPHERSHIP_DATA_DIR?')
  expect(config.admin.port).toBe(9464)
})

test('a file cannot reach the prototype of the configuration', () => {
  expect(() => loadConfig({ file: yaml('__proto__: {polluted: 1}\n') })).toThrow(ConfigError)
  expect(() => loadConfig({ file: yaml('log: {constructor: 1}\n') })).toThrow(ConfigError)
  expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
})

test('thresholds, dwells and worker counts that cannot be are refused, and the right form is shown', () => {
  const cases: [flags: Record<string, string>, path: string, shown: RegExp][] = [
    [
      { 'pressure.soft.residentMemory': '95' },
      'pressure.hard.residentMemory',
      /yellow .*95.* below red .*92/,
    ],
    [{ 'pressure.hard.lagSeconds': '30' }, 'pressure.hard.lagSeconds', /at least the lag objective \(60 s\)/],
    [{ 'pressure.soft.lagSeconds': '90' }, 'pressure.hard.lagSeconds', /lower the first or raise the second/],
    [{ 'pressure.dwellMs': '31s' }, 'pressure.dwellMs', /at most half of pressure.lagObjectiveMs/],
    [{ 'pressure.dwellMs': 'a while' }, 'pressure.dwellMs', /milliseconds, or with a unit such as 30s/],
    [{ 'pressure.lagObjectiveMs': '-1s' }, 'pressure.lagObjectiveMs', /at least 1000/],
    [{ 'pressure.soft.stallIo': '60%' }, 'pressure.soft.stallIo', /whole number of percent, without a sign/],
    [{ 'pressure.observeOnly': 'maybe' }, 'pressure.observeOnly', /expected boolean/],
    [
      { 'pressure.yellowExitPercent': '39', 'pressure.redExitPercent': '20' },
      'pressure.yellowExitPercent',
      /less than pressure.redExitPercent/,
    ],
    [
      { 'processor.workerCountMin': '4', 'processor.workerCountMax': '2' },
      'processor.workerCountMax',
      /at least processor.workerCountMin \(4\), or 0/,
    ],
  ]
  for (const [flags, path, shown] of cases) {
    const found = problemsOf({ flags: new Map(Object.entries(flags)) }).find((one) => one.path === path)
    expect(found?.message, JSON.stringify(flags)).toMatch(shown)
  }
})
