import type { TestSequencer, TestSpecification } from 'vitest/node'

/** Test files that take longer than many others together, the longest first; not one that measures, which others would disturb. */
const LONGEST = [
  'e2e/kill-rounds.test.ts',
  'app/app.test.ts',
  'e2e/shedding-kills.test.ts',
  'processor/processor.test.ts',
  'compat/apache-kafka.test.ts',
  'compat/transactions.test.ts',
  'package.test.ts',
]

/** Begins with what takes longest, so that no file is left to run alone at the end while the other worker has nothing to do. */
export default class LongestFirst implements TestSequencer {
  sort(files: TestSpecification[]): TestSpecification[] {
    return files.toSorted((a, b) => rankOf(a) - rankOf(b) || (a.moduleId < b.moduleId ? -1 : 1))
  }

  /** The suite is not divided among machines. */
  shard(files: TestSpecification[]): TestSpecification[] {
    return files
  }
}

function rankOf({ moduleId }: TestSpecification): number {
  const rank = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}`))
  return rank < 0 ? LONGEST.length : rank
}
