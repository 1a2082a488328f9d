/** A command's result as a table for people, or as JSON or YAML for programs. */

import { stripVTControlCharacters, styleText } from 'node:util'
import Table from 'cli-table3'
import { Option } from 'commander'
import { stringify } from 'yaml'
import type { Terminal } from './terminal.ts'

export const OUTPUT_FORMATS = ['table', 'json', 'yaml'] as const
export type OutputFormat = (typeof OUTPUT_FORMATS)[number]

export const outputOption = (): Option =>
  new Option('-o, --output <format>', 'how to print the result').choices([...OUTPUT_FORMATS]).default('table')

export interface Column<Row> {
  readonly title: string
  readonly isNumber?: boolean
  readonly cell: (row: Row) => string | number
}

/** Prints plain data; `table` formats it for people. JSON and YAML hold all of it, always. */
export function printResult<Value>(
  terminal: Terminal,
  { format, value, table }: { format: OutputFormat; value: Value; table: (value: Value) => string },
): void {
  if (format === 'json') terminal.out(`${JSON.stringify(value, null, 2)}\n`)
  else if (format === 'yaml') terminal.out(stringify(value))
  else terminal.out(table(value))
}

/** Columns side by side without rulers, titles in bold where there is colour. */
export function formatTable<Row>(
  terminal: Terminal,
  rows: readonly Row[],
  columns: readonly Column<Row>[],
): string {
  const none = { top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '' }
  const gaps = {
    'bottom-left': '',
    'bottom-right': '',
    left: '',
    'left-mid': '',
    mid: '',
    'mid-mid': '',
    right: '',
  }
  const table = new Table({
    chars: { ...none, ...gaps, 'right-mid': '', middle: '  ' },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
    head: columns.map(({ title }) => (terminal.isColored ? styleBold(title) : title)),
    colAligns: columns.map(({ isNumber }) => (isNumber ? 'right' : 'left')),
  })
  for (const row of rows) table.push(columns.map(({ cell }) => printable(String(cell(row)))))
  const lines = table.toString().split('\n')
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`
}

/** 1234567 as 1,234,567: the same on every machine. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

/** Names came from outside: a topic cannot move the cursor or paint the screen. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?')
}

export function styleBold(text: string): string {
  return styleText('bold', text, { validateStream: false })
}
