/** A run drawn as SVG: waiting, tier and debt over the same time. By hand, because three lines need no library. */

import { TIERS, type Tier } from '../pressure/tiers.ts'
import type { SimulationRun, SimulationSample } from './simulation.ts'

export interface ChartOptions {
  readonly title: string
  readonly objectiveSeconds: number
}

const WIDTH = 960
const LEFT = 84
const RIGHT = 32
const TOP = 60
const PANEL_HEIGHT = 120
const PANEL_GAP = 36
const PLOT_WIDTH = WIDTH - LEFT - RIGHT
/** Points along a line; of the samples in between, the highest is drawn. */
const POINTS_MAX = PLOT_WIDTH

const TIER_COLORS: Readonly<Record<Tier, string>> = {
  full: '#2e7d4f',
  partial: '#c98a1b',
  passthrough: '#b3372f',
}
const INK = '#1f2933'
const FAINT = '#cbd2d9'
const LINE = '#2456a6'

/** One panel: its name, what is drawn in it, and a mark across it. */
interface Panel {
  readonly label: string
  readonly measure: (sample: SimulationSample) => number
  readonly mark?: { readonly value: number; readonly label: string }
}

/** The whole picture as the text of an SVG file. */
export function drawRun({ samples }: SimulationRun, { title, objectiveSeconds }: ChartOptions): string {
  const panels: Panel[] = [
    { label: 'arrivals, records/s', measure: ratesOf(samples) },
    {
      label: 'wait, s',
      measure: ({ waitSeconds }) => waitSeconds,
      mark: { value: objectiveSeconds, label: `objective ${objectiveSeconds} s` },
    },
    { label: 'backlog, records', measure: ({ backlogRecordCount }) => backlogRecordCount },
    { label: 'debt, records', measure: ({ debtRecordCount }) => debtRecordCount },
  ]
  const tierTop = TOP + panels.length * (PANEL_HEIGHT + PANEL_GAP)
  const height = tierTop + 84
  const endMs = samples.at(-1)?.atMs ?? 1
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12" fill="${INK}">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="${LEFT}" y="22" font-size="16" font-weight="bold">${escapeText(title)}</text>`,
    drawTime(endMs, tierTop + 28),
    ...panels.map((panel, index) =>
      drawPanel(panel, samples, endMs, TOP + index * (PANEL_HEIGHT + PANEL_GAP)),
    ),
    drawTiers(samples, endMs, tierTop),
    drawLegend(tierTop + 70),
    '</svg>',
    '',
  ].join('\n')
}

function drawPanel(
  { label, measure, mark }: Panel,
  samples: readonly SimulationSample[],
  endMs: number,
  top: number,
) {
  const values = samples.map(measure)
  const max = niceMax(values.reduce((most, value) => Math.max(most, value), mark?.value ?? 0))
  const y = (value: number) => round(top + PANEL_HEIGHT - (value / max) * PANEL_HEIGHT)
  const stride = Math.max(1, Math.ceil(samples.length / POINTS_MAX))
  const points: string[] = []
  for (let from = 0; from < samples.length; from += stride) {
    const peak = values.slice(from, from + stride).reduce((most, value) => Math.max(most, value), 0)
    points.push(`${x(samples[from]?.atMs ?? 0, endMs)},${y(peak)}`)
  }
  const parts = [
    `<text x="${LEFT}" y="${top - 8}">${label}</text>`,
    `<line x1="${LEFT}" y1="${y(0)}" x2="${WIDTH - RIGHT}" y2="${y(0)}" stroke="${FAINT}"/>`,
    `<line x1="${LEFT}" y1="${y(max)}" x2="${WIDTH - RIGHT}" y2="${y(max)}" stroke="${FAINT}"/>`,
    `<text x="${LEFT - 8}" y="${y(0) + 4}" text-anchor="end">0</text>`,
    `<text x="${LEFT - 8}" y="${y(max) + 4}" text-anchor="end">${formatCount(max)}</text>`,
    `<polyline fill="none" stroke="${LINE}" stroke-width="1.5" points="${points.join(' ')}"/>`,
  ]
  if (mark !== undefined) {
    const at = y(mark.value)
    parts.push(
      `<line x1="${LEFT}" y1="${at}" x2="${WIDTH - RIGHT}" y2="${at}" stroke="${TIER_COLORS.passthrough}" stroke-dasharray="4 3"/>`,
      `<text x="${WIDTH - RIGHT}" y="${at - 4}" text-anchor="end" fill="${TIER_COLORS.passthrough}">${escapeText(mark.label)}</text>`,
    )
  }
  return parts.join('\n')
}

/** The tier as a ribbon: one rectangle for each stretch of the same tier. */
function drawTiers(samples: readonly SimulationSample[], endMs: number, top: number): string {
  const parts = [`<text x="${LEFT}" y="${top - 8}">tier</text>`]
  let fromMs = 0
  samples.forEach(({ tier, atMs }, index) => {
    if (samples[index + 1]?.tier === tier) return
    const left = x(fromMs, endMs)
    const width = round(Math.max(0.5, x(atMs, endMs) - left))
    parts.push(`<rect x="${left}" y="${top}" width="${width}" height="20" fill="${TIER_COLORS[tier]}"/>`)
    fromMs = atMs
  })
  return parts.join('\n')
}

/** A faint line through all panels and a label below, at round times. */
function drawTime(endMs: number, top: number): string {
  const stepSeconds = TICK_SECONDS.find((seconds) => endMs / 1_000 / seconds <= TICKS_MAX) ?? endMs / 1_000
  const count = Math.floor(endMs / 1_000 / stepSeconds)
  return Array.from({ length: count + 1 }, (_, tick) => {
    const at = x(tick * stepSeconds * 1_000, endMs)
    return (
      `<line x1="${at}" y1="${TOP}" x2="${at}" y2="${top - 4}" stroke="${FAINT}" stroke-width="0.5"/>` +
      `<text x="${at}" y="${top + 10}" text-anchor="middle">${formatTime(tick * stepSeconds)}</text>`
    )
  }).join('\n')
}

/** Steps between two times on the axis, and how many there may be. */
const TICK_SECONDS = [1, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400]
const TICKS_MAX = 12

/** 30 s, 2 min, 1.5 h. */
function formatTime(seconds: number): string {
  if (seconds >= 7_200) return `${seconds / 3_600} h`
  return seconds >= 120 ? `${seconds / 60} min` : `${seconds} s`
}

function drawLegend(top: number): string {
  return TIERS.map((tier, index) => {
    const left = LEFT + index * 120
    return `<rect x="${left}" y="${top - 10}" width="12" height="12" fill="${TIER_COLORS[tier]}"/><text x="${left + 18}" y="${top}">${tier}</text>`
  }).join('\n')
}

function ratesOf(samples: readonly SimulationSample[]): (sample: SimulationSample) => number {
  const stepMs = samples[0]?.atMs ?? 1
  return ({ arrivedRecordCount }) => (arrivedRecordCount * 1_000) / stepMs
}

const x = (atMs: number, endMs: number): number => round(LEFT + (atMs / endMs) * PLOT_WIDTH)
const round = (value: number): number => Math.round(value * 10) / 10

/** The next number of the form 1, 2 or 5 times a power of ten; 1 for nothing. */
function niceMax(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 5, 10].map((step) => step * power).find((candidate) => candidate >= value) ?? value
}

function formatCount(value: number): string {
  if (value >= 1e6) return `${value / 1e6}M`
  return value >= 1e3 ? `${value / 1e3}k` : String(value)
}

const escapeText = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
