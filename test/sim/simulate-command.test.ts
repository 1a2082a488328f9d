import { expect, test } from 'vitest'
import { run } from '../cli/run-cli.ts'

test.each(['step', 'ramp', 'sawtooth', 'diurnal', 'black-swan', 'recorded'])(
  'simulate %s reports that the objective held, the tier did not flap, and little was shed beyond the optimum',
  async (trace) => {
    const { exitCode, out, err } = await run(['simulate', trace, '-o', 'json'])

    expect([exitCode, err]).toEqual([0, ''])
    const report = JSON.parse(out)
    expect(report).toMatchObject({ name: trace, isObjectivePossible: true, isCovered: true })
    expect(report.waitSecondsMax).toBeLessThanOrEqual(report.objectiveSeconds)
    expect(report.reversalsPerDwellMax).toBeLessThanOrEqual(1)
    expect(report.shedRatio).toBeLessThanOrEqual(1.1)
  },
)

test('a trace of one’s own is read from a file, scaled by nothing, and drawn', async () => {
  const files: Record<string, string> = { 'monday.csv': 'seconds,rate\n0,500\n60,4000\n120,500\n600,0\n' }

  const { exitCode, out } = await run(
    ['simulate', 'monday.csv', '--svg', 'monday.svg', '--pressure-lag-objective-ms', '30s'],
    { files },
  )

  expect(exitCode).toBe(0)
  expect(out).toMatch(/^monday.csv\n {2}longest wait {3}2\d\.\d s, objective 30 s\n/)
  expect(out).toMatch(/drawn in monday.svg\n$/)
  expect(files['monday.svg']).toMatch(
    /^<svg [^>]*>[\s\S]*monday.csv: 30 s objective, 1000 records\/s in full/,
  )
})

test('an objective that could have been held and was not is exit code 1', async () => {
  const { exitCode, out } = await run(['simulate', 'step', '--pressure-observe-only', 'true'])

  expect(exitCode).toBe(1)
  expect(out).toMatch(/longest wait {3}\d{3}\.\d s, objective 60 s/)
})

test('what cannot be is refused with the right form shown', async () => {
  for (const [args, expected] of [
    [['simulate'], /missing required argument 'trace'/],
    [['simulate', 'stpe'], /did you mean "step"\?/],
    [['simulate', 'tomorrow'], /there is step, ramp, sawtooth, diurnal, black-swan, recorded/],
    [['simulate', './gone.csv'], /could not read .\/gone.csv/],
    [['simulate', 'bad.csv'], /bad.csv, line 2: expected "seconds,recordsPerSecond"/],
    [['simulate', 'step', '--capacity', '0'], /--capacity to be a number from 1 to 1000000000, found "0"/],
    [['simulate', 'step', '--workers', 'many'], /--workers to be a number/],
    [['simulate', 'step', '--partial-cost', '120'], /--partial-cost to be a number from 0.1 to 100/],
    [['simulate', 'step', '--passthrough-cost', '50'], /--passthrough-cost to be a number from 0.01 to 30/],
    [['simulate', 'step', '--pressure-dwell-ms', 'soon'], /milliseconds, or with a unit such as 30s/],
  ] as const) {
    const { exitCode, err } = await run(args, { files: { 'bad.csv': '0,5\n1,many\n' } })
    expect([exitCode, err], args.join(' ')).toEqual([2, expect.stringMatching(expected)])
  }
})
