/**
 * How far a long command is: a bar that stays in its line on a screen, a line now and then in a file. Always on standard
 * error, so that results can be piped.
 */

import cliProgress from 'cli-progress'
import { formatCount } from './output.ts'
import type { Terminal } from './terminal.ts'

export interface ProgressBarOptions {
  /** What is done, such as `reading outputs`. */
  readonly label: string
  /** What is counted, such as `records`. */
  readonly unit: string
}

/** Time between two drawings on a screen, and between two lines elsewhere. */
const DRAW_MS = 100
const LINE_MS = 5_000
const BAR_CHARS = 24
/** Nothing is said before, so that quick work is quiet. */
const QUIET_MS = 500
const CLEAR_LINE = '\r\u001b[K'

/** The look of a bar; the library asks for every option, and draws with these. */
const LOOK = {
  barsize: BAR_CHARS,
  barCompleteString: '█'.repeat(BAR_CHARS),
  barIncompleteString: '░'.repeat(BAR_CHARS),
  barGlue: '',
  autopaddingChar: '00',
}

export class ProgressBar {
  readonly #terminal: Terminal
  readonly #options: ProgressBarOptions
  readonly #startedMs = performance.now()
  #drawnMs = Number.NEGATIVE_INFINITY
  #isOnScreen = false
  #isMoving = false
  #firstCount = 0

  constructor(terminal: Terminal, options: ProgressBarOptions) {
    this.#terminal = terminal
    this.#options = options
  }

  /** Says how much is done of how much; cheap, and may be called as often as one likes. */
  update(doneCount: number, totalCount: number): void {
    // What an earlier run had done says nothing of the rate of this one.
    if (!this.#isMoving) this.#firstCount = doneCount
    this.#isMoving = true
    const nowMs = performance.now()
    const { isInteractive } = this.#terminal
    if (nowMs - this.#startedMs < (isInteractive ? QUIET_MS : LINE_MS)) return
    if (nowMs - this.#drawnMs < (isInteractive ? DRAW_MS : LINE_MS)) return
    this.#drawnMs = nowMs
    const text = this.#format(doneCount, totalCount, (nowMs - this.#startedMs) / 1_000)
    this.#terminal.err(isInteractive ? `${CLEAR_LINE}${text}` : `${text}\n`)
    this.#isOnScreen = isInteractive
  }

  /** Removes the bar from the screen; what was written line by line stays. */
  stop(): void {
    if (this.#isOnScreen) this.#terminal.err(CLEAR_LINE)
    this.#isOnScreen = false
  }

  #format(doneCount: number, totalCount: number, seconds: number): string {
    const { label, unit } = this.#options
    const share = totalCount > 0 ? Math.min(1, doneCount / totalCount) : 0
    const rate = (doneCount - this.#firstCount) / Math.max(seconds, 0.001)
    const remaining =
      rate > 0 ? cliProgress.Format.TimeFormat(Math.ceil((totalCount - doneCount) / rate), LOOK, 5) : '?'
    const bar = cliProgress.Format.BarFormat(share, LOOK)
    const count = `${formatCount(doneCount)} of ${formatCount(totalCount)} ${unit}`
    return `${label} ${bar} ${Math.floor(share * 100)}% ${count}, ${formatCount(Math.round(rate))}/s, ${remaining} left`
  }
}
