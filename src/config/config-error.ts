import { GopherShipError } from '../core/errors.ts'

/** One thing wrong with the configuration. */
export interface ConfigProblem {
  /** Where it was written: `gophership.yaml:12`, `GOPHERSHIP_LOG_LEVEL`, `--log-level`, or `options together`. */
  readonly source: string
  /** The option or key, dotted; empty for the file as a whole. */
  readonly path: string
  /** What was expected and found, and what to write instead. */
  readonly message: string
}

/** GS_CONFIG_INVALID with every problem found, not only the first. */
export class ConfigError extends GopherShipError {
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map(
      ({ source, path, message }) => `  ${source}: ${path === '' ? '' : `${path}: `}${message}`,
    )
    super('GS_CONFIG_INVALID', `the configuration is not valid:\n${lines.join('\n')}`, {
      facts: { problemCount: problems.length },
    })
    this.problems = problems
  }
}
