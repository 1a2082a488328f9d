import type { Reporter, TestModule } from 'vitest/node'

/** Ends the run with `N passed, N failed` alone on a line, for scripts and for whoever reads only the end. */
export default class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const passed = tests.filter((test) => test.result().state === 'passed').length
    // A file that does not load has no tests, and an error outside any test belongs to none; both are failures.
    const brokenFiles = modules.filter(
      (module) => module.state() === 'failed' && module.errors().length > 0,
    ).length
    const failed =
      tests.filter((test) => test.result().state === 'failed').length + brokenFiles + unhandledErrors.length
    // Left to the end of the turn: the default reporter prints its summary in the same event.
    setImmediate(() => process.stdout.write(`\n${passed} passed, ${failed} failed\n`))
  }
}
