import { describe, expect, it } from 'vitest'
import { killRounds } from './kill-rounds.ts'

const rounds = Number(
  process.env['GOPHERSHIP_KILL_ROUNDS'] ?? (process.env['GOPHERSHIP_TEST_LONG'] === '1' ? 300 : 100),
)
const seed = Number(process.env['GOPHERSHIP_SEED'] ?? 1)

describe('kill -9', () => {
  it(
    `loses no acknowledged record in ${rounds} rounds of load, kill and restart`,
    async () => {
      const report = await killRounds({ rounds, seed })

      const repeat = `repeat: GOPHERSHIP_SEED=${seed} GOPHERSHIP_KILL_ROUNDS=${rounds} npm run test:only -- test/e2e/kill-rounds.test.ts`
      console.info(
        JSON.stringify({
          ...report,
          lost: report.lost.length,
          corrupted: report.corrupted.length,
          withoutEvent: report.withoutEvent.length,
        }),
      )
      console.info(
        `0 lost in ${rounds} rounds bounds the failure rate at ${((3 / rounds) * 100).toFixed(1)} % with 95 % confidence`,
      )
      expect(report.lost, repeat).toEqual([])
      expect(report.corrupted, repeat).toEqual([])
      expect(report.withoutEvent, repeat).toEqual([])
      expect(report.eventsDoubled, repeat).toBe(0)
      // A restarted processor has its partitions back at once; a dead one's session takes 10 s to run out.
      expect(report.startMsMax).toBeLessThan(9_000)
      // The campaign proves nothing when it never cut a send in two, or never acknowledged anything.
      expect(report.acknowledged).toBeGreaterThan(rounds * 20)
      expect(report.roundsCutInFlight).toBeGreaterThan(rounds / 2)
    },
    30_000 + rounds * 6_000,
  )
})
