import { expect, test } from 'vitest'
import { moduleUrl } from '../../src/core/module-url.ts'

test('a module is found as .ts from a checkout and as .js from the published package', () => {
  const fromSource = moduleUrl('./broker/broker-thread.ts', 'file:///app/src/app.ts')
  const fromPackage = moduleUrl('./broker/broker-thread.ts', 'file:///app/dist/app.js')

  expect(fromSource.href).toBe('file:///app/src/broker/broker-thread.ts')
  expect(fromPackage.href).toBe('file:///app/dist/broker/broker-thread.js')
})
