/** Whole numbers out of text, without a slice. */

/** Digits as a number; -1 for anything else. */
export function wholeNumber(line: string, at: number, end: number): number {
  if (end <= at || end - at > 15) return -1
  let value = 0
  for (let index = at; index < end; index += 1) {
    const digit = line.charCodeAt(index) - 0x30
    if (!(digit >= 0 && digit <= 9)) return -1
    value = value * 10 + digit
  }
  return value
}
