import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { GopherShipProcess } from '../support/gophership-process.ts'
import { connect, judge, openDebt, shedUnderKills } from './shedding-kills.ts'

const RECORDS = Number(process.env['GOPHERSHIP_SHED_RECORDS'] ?? 100_000)
const ROUNDS = Number(process.env['GOPHERSHIP_SHED_ROUNDS'] ?? 3)
const SEED = Number(process.env['GOPHERSHIP_SEED'] ?? 1)

test(`${RECORDS} records, tiers flipped at random, ${ROUNDS} kills: each is enriched once or owed once, and then repaid`, async () => {
  const gophership = await GopherShipProcess.prepare()
  try {
    const report = await shedUnderKills(gophership, { records: RECORDS, rounds: ROUNDS, seed: SEED })
    console.log(JSON.stringify({ ...report, missing: report.missing.length, doubled: report.doubled.length }))
    expect(report).toMatchObject({ missing: [], doubled: [], mismatched: [], recordCount: RECORDS })
    expect(report.flips).toBeGreaterThan(ROUNDS)
    expect(Math.min(report.entries['partial'] ?? 0, report.entries['passthrough'] ?? 0)).toBeGreaterThan(0)
    expect(report.fullCount).toBeGreaterThan(0)

    // With a compactor, what is owed is repaid without anyone asking.
    await gophership.stop()
    await gophership.start()
    const cluster = await connect(gophership)
    await eventually('nothing is owed', async () => (await openDebt(cluster)).length === 0, {
      withinMs: 90_000,
      everyMs: 500,
    })
    const after = await judge(cluster)
    await cluster.close()
    expect(after).toMatchObject({ missing: [], doubled: [], fullCount: RECORDS })
  } finally {
    await gophership.destroy()
  }
}, 400_000)
