/** The sequences that give text colours on a terminal (ECMA-48's SGR): loggers write them into files and pipes as well. */

const ESCAPE = '\u001b['
const COLOURS = /\u001b\[[\d;]*m/g

/** The text without its colours. */
export function withoutColours(text: string): string {
  return text.includes(ESCAPE) ? text.replace(COLOURS, '') : text
}
