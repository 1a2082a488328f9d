/**
 * Metrics: one prom-client registry per thread, summed over all threads when somebody scrapes.
 *
 * Names are `gophership_<area>_<what>_<unit>`, in base units (seconds, bytes), counters ending in `_total`, as
 * Prometheus and OpenTelemetry have it. Equal series of different threads are added up, so a gauge that must not be
 * (a utilisation) carries the label `thread`.
 */

import { performance } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'

// The one door to prom-client: a module that counts needs nothing else of it.
export { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** Seconds, for latencies from a hundred microseconds to half a minute. */
export const LATENCY_BUCKETS_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const

/** What `/metrics` answers with. */
export const METRICS_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE

/** A thread's registry, with the thread's own load in it. Values are read when scraped; nothing runs between. */
export function openThreadRegistry(thread: string): Registry {
  const registry = new Registry()
  let since = performance.eventLoopUtilization()
  new Gauge({
    name: 'gophership_thread_event_loop_utilization_ratio',
    help: 'Share of the time since the last scrape in which the thread was busy, 0 to 1.',
    labelNames: ['thread'],
    registers: [registry],
    collect() {
      const now = performance.eventLoopUtilization()
      this.set({ thread }, performance.eventLoopUtilization(now, since).utilization)
      since = now
    },
  })
  new Gauge({
    name: 'gophership_thread_heap_used_bytes',
    help: 'JavaScript heap in use by the thread.',
    labelNames: ['thread'],
    registers: [registry],
    collect() {
      this.set({ thread }, getHeapStatistics().used_heap_size)
    },
  })
  return registry
}

/** Adds the process's own metrics (CPU, resident memory, file descriptors). Once per process, in the main thread. */
export function addProcessMetrics(registry: Registry, version: string): void {
  collectDefaultMetrics({
    register: registry,
    // The histogram of event-loop delay samples on a timer; at the default of 10 ms an idle process is not idle.
    eventLoopMonitoringPrecision: 1_000,
  })
  new Gauge({
    name: 'gophership_build_info',
    help: 'Always 1; the version is in the label.',
    labelNames: ['version'],
    registers: [registry],
  }).set({ version }, 1)
}

/** The counter of worker threads that ended by themselves. */
export function threadRestartCounter(registry: Registry): Counter<'thread'> {
  return new Counter({
    name: 'gophership_thread_restarts_total',
    help: 'Worker threads that stopped unasked and were started again.',
    labelNames: ['thread'],
    registers: [registry],
  })
}

/** All threads' metrics (each from `getMetricsAsJSON`) as one page in the Prometheus text format. */
export async function formatMetrics(threads: readonly object[][]): Promise<string> {
  // The declared type is wrong: `aggregate` takes one array of metrics for each process or thread.
  return await AggregatorRegistry.aggregate(threads as unknown as object[]).metrics()
}
