import { Counter } from 'prom-client'
import { expect, test } from 'vitest'
import { LabelCap } from '../../src/telemetry/label-cap.ts'
import { addProcessMetrics, formatMetrics, openThreadRegistry } from '../../src/telemetry/metrics.ts'

test('equal series of two threads are summed, and per-thread gauges stay apart', async () => {
  const registries = ['main', 'processor-0'].map((thread) => openThreadRegistry(thread))
  registries.forEach((registry, index) => {
    new Counter({
      name: 'gophership_example_total',
      help: 'x',
      labelNames: ['stream'],
      registers: [registry],
    }).inc({ stream: 'web' }, index + 1)
  })

  const page = await formatMetrics(
    await Promise.all(registries.map((registry) => registry.getMetricsAsJSON())),
  )

  expect(page).toContain('gophership_example_total{stream="web"} 3')
  expect(page).toMatch(/gophership_thread_heap_used_bytes\{thread="main"\} \d+/)
  expect(page).toMatch(/gophership_thread_heap_used_bytes\{thread="processor-0"\} \d+/)
})

test('process metrics and the version are on the page once', async () => {
  const registry = openThreadRegistry('main')
  addProcessMetrics(registry, '1.2.3')

  const page = await formatMetrics([await registry.getMetricsAsJSON()])

  expect(page.match(/^process_resident_memory_bytes \d+$/gm)).toHaveLength(1)
  expect(page).toContain('gophership_build_info{version="1.2.3"} 1')
})

test('label values past the cap, and overlong ones, become "other"', () => {
  const cap = new LabelCap({ valuesMax: 2, charsMax: 5 })

  const labels = ['a', 'b', 'c', 'a', 'toolong'].map((value) => cap.labelOf(value))

  expect(labels).toEqual(['a', 'b', 'other', 'a', 'other'])
})
