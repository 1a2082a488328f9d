import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { overload } from './overload/overload.ts'

const isLong = process.env['GOPHERSHIP_TEST_LONG'] === '1'
const SECONDS = Number(process.env['GOPHERSHIP_OVERLOAD_SECONDS'] ?? (isLong ? 60 : 8))
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const TOPOLOGY = fileURLToPath(new URL('overload/slow.yaml', import.meta.url))
/** As long as the overload, as the default is for a minute of it: then shedding is due, and no step up before it ends. */
const LAG_OBJECTIVE_SECONDS = SECONDS

test(`four times what full density can do, for ${SECONDS} s: lag keeps its objective, and everything is repaid`, async () => {
  const { report, gophership } = await overload({
    seconds: SECONDS,
    lagObjectiveSeconds: LAG_OBJECTIVE_SECONDS,
    fullRecordsPerSecond: 9_000,
  })
  try {
    console.log(JSON.stringify(report))
    expect(report.lagSecondsMax).toBeLessThanOrEqual(LAG_OBJECTIVE_SECONDS)
    expect(report.owedMax).toBeGreaterThan(0)
    // Down, however many steps that takes, and up again once.
    const thickness = report.tiers.map((tier) => ['passthrough', 'partial', 'full'].indexOf(tier))
    const turns = thickness.filter(
      (tier, index) =>
        index > 0 &&
        index < thickness.length - 1 &&
        Math.sign(tier - (thickness[index - 1] ?? 0)) !== Math.sign((thickness[index + 1] ?? 0) - tier),
    )
    expect(turns.length, report.tiers.join(' ')).toBeLessThanOrEqual(1)
    expect(report.peakMiB - report.idleMiB).toBeLessThanOrEqual(256)
    const audit = spawnSync(
      process.execPath,
      [
        MAIN,
        'audit',
        '--deep',
        '--processor-topology',
        TOPOLOGY,
        '--broker-port',
        String(gophership.ports.broker),
      ],
      { encoding: 'utf8' },
    )
    expect(audit.status, `${audit.stdout}\n${audit.stderr}`).toBe(0)
    expect(audit.stdout).toContain(`${report.recordCount.toLocaleString('en-US')} at full density`)
  } finally {
    await gophership.destroy()
  }
}, 900_000)
