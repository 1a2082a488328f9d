import { describe, expect, it } from 'vitest'
import { runMutant } from './mutant-run.ts'
import { MUTANTS } from './mutants.ts'

describe('broken on purpose, the tests notice when', () => {
  for (const mutant of MUTANTS) {
    it(mutant.name, async () => {
      const { caught, output } = await runMutant(mutant)

      expect(caught, output).toBe(true)
    }, 300_000)
  }
})
