/** What must hold between the options of pressure and of the workers, and what they come to where one stands for another. */

import type { ConfigProblem } from './config-error.ts'
import type { Config } from './schema.ts'

type SensorName = keyof Config['pressure']['soft']
type RuleProblem = Omit<ConfigProblem, 'source'>

/** Below the objective: time for a yellow to be acted on before records are late. */
const SOFT_LAG_SHARE = 1 / 4

/** The readings at which each sensor asks for yellow and red, with what 0 stands for filled in; units as in the options. */
export function pressureThresholds({
  pressure,
}: Config): Readonly<Record<SensorName, { soft: number; hard: number }>> {
  const objectiveSeconds = pressure.lagObjectiveMs / 1_000
  const names = Object.keys(pressure.soft) as SensorName[]
  const entries = names.map((name) => {
    const [soft, hard] = [pressure.soft[name], pressure.hard[name]]
    if (name !== 'lagSeconds') return [name, { soft, hard }]
    return [name, { soft: soft || objectiveSeconds * SOFT_LAG_SHARE, hard: hard || objectiveSeconds }]
  })
  return Object.fromEntries(entries)
}

/** Rules that the options of pressure and workers break. */
export function brokenPressureRules(config: Config): RuleProblem[] {
  const { pressure, processor } = config
  const problems: RuleProblem[] = []
  for (const [name, { soft, hard }] of Object.entries(pressureThresholds(config))) {
    if (soft < hard) continue
    const message = `expected yellow (pressure.soft.${name}, ${soft}) below red (pressure.hard.${name}, ${hard}); lower the first or raise the second`
    problems.push({ path: `pressure.hard.${name}`, message })
  }
  const lagHard = pressureThresholds(config).lagSeconds.hard
  if (lagHard * 1_000 < pressure.lagObjectiveMs) {
    const message = `expected at least the lag objective (${pressure.lagObjectiveMs / 1_000} s), found ${lagHard} s: red would stop all enrichment while records are still in time; 0 takes the objective itself`
    problems.push({ path: 'pressure.hard.lagSeconds', message })
  }
  if (pressure.yellowExitPercent >= pressure.redExitPercent) {
    const message = `expected less than pressure.redExitPercent (${pressure.redExitPercent}), found ${pressure.yellowExitPercent}: yellow is the calmer zone`
    problems.push({ path: 'pressure.yellowExitPercent', message })
  }
  if (pressure.dwellMs * 2 > pressure.lagObjectiveMs) {
    const message = `expected at most half of pressure.lagObjectiveMs (${pressure.lagObjectiveMs} ms), found ${pressure.dwellMs} ms: a tier is kept for a dwell, and the objective must leave time to come back from it`
    problems.push({ path: 'pressure.dwellMs', message })
  }
  const { workerCountMin, workerCountMax } = processor
  if (workerCountMax !== 0 && workerCountMax < workerCountMin) {
    const message = `expected at least processor.workerCountMin (${workerCountMin}), or 0 for one less than there are cores, found ${workerCountMax}`
    problems.push({ path: 'processor.workerCountMax', message })
  }
  return problems
}
