/** A sticky expression tried at one place of a text, without a slice. */

/** The match of `expression`, which has the flag y, at `at`, and its groups; nothing for none. */
export function matchAt(expression: RegExp, text: string, at: number): readonly (string | undefined)[] {
  expression.lastIndex = at
  return expression.exec(text) ?? []
}
