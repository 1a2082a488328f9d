import { defineConfig } from 'vitest/config'
import LongestFirst from './longest-first.ts'

const long = process.env['GOPHERSHIP_TEST_LONG'] === '1'

/** One configuration for both runs: the default suite, and (`npm run test:long`) the same suite with its campaigns. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', ...(long ? ['test/**/*.long.ts'] : [])],
    testTimeout: long ? 600_000 : 30_000,
    hookTimeout: long ? 600_000 : 60_000,
    maxWorkers: 2,
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './test/closing-line-reporter.ts'],
  },
})
