/**
 * The address of one of our own modules, for starting it in a worker thread. The same source runs as `.ts` from a
 * checkout and as `.js` from the published package, and the compiler rewrites only `import`s, not URLs.
 */

/**
 * Resolves `relative` (written with its `.ts` ending) against the module that asks, with the ending that this
 * installation has. Example: `moduleUrl('./broker/broker-thread.ts', import.meta.url)`.
 */
export function moduleUrl(relative: `./${string}.ts` | `../${string}.ts`, base: string): URL {
  const isSource = new URL(base).pathname.endsWith('.ts')
  return new URL(isSource ? relative : `${relative.slice(0, -'.ts'.length)}.js`, base)
}
