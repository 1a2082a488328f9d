/** Comma-separated columns (RFC 4180): a column in double quotes may have commas, and quotes that are written twice. */

const COLUMN = /("(?:[^"]|"")*"|[^,]*)(?:,|$)/y

/** Up to `count` columns from `at` on, those in quotes without them. */
export function firstColumns(text: string, at: number, count: number): string[] {
  const columns: string[] = []
  COLUMN.lastIndex = at
  while (columns.length < count && COLUMN.lastIndex < text.length) {
    const column = COLUMN.exec(text)?.[1]
    if (column === undefined) break
    columns.push(column.startsWith('"') ? column.slice(1, -1).replaceAll('""', '"') : column)
  }
  return columns
}
