import { expect, test } from 'vitest'
import { run } from './run-cli.ts'

test.each(['../etc', 'a/b', '', 'enriched.web', 'raw-vault.web'])(
  'replay of %j is refused as no name of a stream, before any cluster is asked',
  async (stream) => {
    const { exitCode, err } = await run(['replay', '--stream', stream, '--to-topic', 'x'])

    expect(exitCode).toBe(2)
    expect(err).toContain(`expected --stream to be the name of a stream, found "${stream}"`)
  },
)
