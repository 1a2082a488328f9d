/**
 * The hours in which debt is repaid, as the configuration names them:
 *
 *   "22:00-06:00"               every day, by the wall clock of the configured time zone, over midnight too
 *   "0 22 * * 1-5 for 8h"       a cron expression of five fields, and for how long from each time that it names
 *
 * Pure: the time comes in, and nothing is scheduled.
 */

import { Cron } from 'croner'

/** Whether it is an idle hour. */
export interface IdleHour {
  readonly isIdle: boolean
  /** Wall-clock ms at which to ask again: nothing changes before. Infinite when nothing ever changes. */
  readonly askAgainMs: number
  /** When the next window opens, wall-clock ms; null in an idle hour, or when none ever does. */
  readonly opensMs: number | null
}

/** What a window says of a moment. */
interface WindowState {
  readonly isOpen: boolean
  /** Nothing changes before this moment. */
  readonly holdsUntilMs: number
}

type Window = (wallMs: number) => WindowState

const RANGE = /^([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)$/
const CRON = /^(.+?) for (\d{1,4})(m|h|d)$/
const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 }
const DURATION_MS_MAX = 7 * 86_400_000
const RIGHT_FORM =
  'expected hours such as "22:00-06:00", or a cron expression with a duration such as "0 22 * * 1-5 for 8h"'

/** What is wrong with the text of a window, with the right form; null when it is one. */
export function idleWindowProblem(text: string): string | null {
  try {
    parseWindow(text, 'UTC')
    return null
  } catch (error) {
    return `${RIGHT_FORM}; found ${JSON.stringify(text)}: ${(error as Error).message}`
  }
}

/** All windows together. With none, every hour is idle. */
export class IdleWindows {
  readonly #windows: readonly Window[]
  #known: (IdleHour & { readonly askedMs: number }) | null = null

  /** @param texts and @param timeZone were checked with the configuration; throws on those that are none. */
  constructor(texts: readonly string[], timeZone: string) {
    this.#windows = texts.map((text) => parseWindow(text, timeZone))
  }

  /** Whether a moment lies in any window. Cheap while nothing changes. */
  at(wallMs: number): IdleHour {
    const known = this.#known
    if (known !== null && wallMs >= known.askedMs && wallMs < known.askAgainMs) return known
    this.#known = { ...this.#look(wallMs), askedMs: wallMs }
    return this.#known
  }

  #look(wallMs: number): IdleHour {
    if (this.#windows.length === 0) {
      return { isIdle: true, askAgainMs: Number.POSITIVE_INFINITY, opensMs: null }
    }
    const states = this.#windows.map((window) => window(wallMs))
    const askAgainMs = Math.min(...states.map(({ holdsUntilMs }) => holdsUntilMs))
    const isIdle = states.some(({ isOpen }) => isOpen)
    return { isIdle, askAgainMs, opensMs: isIdle || !Number.isFinite(askAgainMs) ? null : askAgainMs }
  }
}

/** Throws an Error that says what is wrong with the text. */
function parseWindow(text: string, timeZone: string): Window {
  const range = RANGE.exec(text.trim())
  if (range !== null) {
    const [, startHour = '', startMinute = '', endHour = '00', endMinute = '00'] = range
    const isWholeDay = text.trim().endsWith('24:00') && `${startHour}${startMinute}` === '0000'
    if (startHour === endHour && startMinute === endMinute && !isWholeDay) {
      throw new Error('it ends when it begins (the whole day is 00:00-24:00)')
    }
    return dailyWindow(
      openCron(`${Number(startMinute)} ${Number(startHour)} * * *`, timeZone),
      openCron(`${Number(endMinute)} ${Number(endHour)} * * *`, timeZone),
    )
  }
  const [, pattern = '', count = '', unit = ''] = CRON.exec(text.trim()) ?? []
  if (pattern === '') {
    throw new Error(
      isCron(text) ? 'the duration is missing, as in " for 8h"' : 'it is neither of the two forms',
    )
  }
  const durationMs = Number(count) * (UNIT_MS[unit] ?? Number.NaN)
  if (!(durationMs >= 60_000 && durationMs <= DURATION_MS_MAX)) {
    throw new Error('the duration must be from 1m to 7d')
  }
  const cron = openCron(pattern, timeZone)
  if (cron.nextRun() === null) throw new Error('the cron expression names a moment that never comes')
  return cronWindow(cron, durationMs)
}

/**
 * Between two moments of every day. By comparing what comes next, an end that daylight saving moves is right as well: the
 * window is open when the next end comes before (or, for the whole day, with) the next start.
 */
function dailyWindow(start: Cron, end: Cron): Window {
  return (wallMs) => {
    const startsMs = nextMs(start, wallMs)
    const endsMs = nextMs(end, wallMs)
    return { isOpen: endsMs <= startsMs, holdsUntilMs: Math.min(startsMs, endsMs) }
  }
}

/** For so long from every moment that the expression names. */
function cronWindow(cron: Cron, durationMs: number): Window {
  return (wallMs) => {
    // The first start that can still be open. A later one may hold it open for longer: that is seen when asked again.
    const startsMs = nextMs(cron, wallMs - durationMs)
    const isOpen = startsMs <= wallMs
    return { isOpen, holdsUntilMs: isOpen ? startsMs + durationMs : startsMs }
  }
}

function openCron(pattern: string, timeZone: string): Cron {
  try {
    return new Cron(pattern, { timezone: timeZone, mode: '5-part', paused: true })
  } catch (error) {
    throw new Error((error as Error).message.replace(/^CronPattern: /, '').replace(/\.$/, ''), {
      cause: error,
    })
  }
}

function isCron(text: string): boolean {
  try {
    openCron(text, 'UTC')
    return true
  } catch {
    return false
  }
}

/** The next moment that an expression names, strictly later; infinite when there is none. */
const nextMs = (cron: Cron, wallMs: number): number =>
  cron.nextRun(new Date(wallMs))?.getTime() ?? Number.POSITIVE_INFINITY
