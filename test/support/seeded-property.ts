/** Properties with a seed: the same cases in every run, other ones on demand, and a failure prints the command that repeats it. */

import fc from 'fast-check'

const SEED_VARIABLE = 'GOPHERSHIP_PROPERTY_SEED'
const PATH_VARIABLE = 'GOPHERSHIP_PROPERTY_PATH'
const isLong = process.env['GOPHERSHIP_TEST_LONG'] === '1'

/** How often the long run tries a property, for each time of the default run. */
const LONG_FACTOR = 20

/**
 * Checks a property `runCount` times. The long run tries more, from a new seed each time.
 *
 * @param file the test file from the root of the repository, for the command.
 */
export function checkProperty<Case>(
  file: string,
  runCount: number,
  property: fc.IRawProperty<Case, false>,
): void {
  const asked = process.env[SEED_VARIABLE]
  const path = process.env[PATH_VARIABLE]
  const details = fc.check(property, {
    seed: asked === undefined ? (isLong ? Date.now() & 0x7fffffff : 1) : Number(asked),
    numRuns: isLong ? runCount * LONG_FACTOR : runCount,
    ...(path === undefined ? {} : { path, endOnFailure: true }),
  })
  if (!details.failed) return
  const { seed, counterexamplePath } = details
  const command = `${SEED_VARIABLE}=${seed} ${PATH_VARIABLE}=${counterexamplePath} npm run test:only -- ${file}`
  throw new Error(`repeat it with: ${command}\n${fc.defaultReportMessage(details) ?? ''}`, {
    cause: details.errorInstance,
  })
}
