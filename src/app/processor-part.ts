/** The processor threads, from the configuration: one consumer group shared out among them. */

import { moduleUrl } from '../core/module-url.ts'
import { systemDisk } from '../core/system-disk.ts'
import type { ThreadSupervisor } from '../core/thread-supervisor.ts'
import type { ProcessorStatus } from '../processor/processor.ts'
import type { ProcessorThreadOptions } from '../processor/processor-thread.ts'
import { compileTopology } from '../topology/compile.ts'
import { DEFAULT_STREAM_TOPICS, streamOf } from '../vault/stream-topics.ts'
import type { AppContext } from './app-context.ts'
import { loadInstanceId } from './instance-id.ts'
import type { ProcessorStatusDocument, StreamStatus } from './status-document.ts'
import { superviseThread } from './supervised-thread.ts'
import { loadTopology } from './topology-file.ts'

/** Part of the half minute that a stop may take. */
const STOP_MS_MAX = 6_000
const HEAP_MIB_MAX = 1_024

export interface Worker {
  readonly name: string
  /** Null for a thread that is down or does not answer. */
  readonly status: ProcessorStatus | null
}

export interface ProcessorPart {
  readonly supervisors: readonly ThreadSupervisor[]
  /** Asks every thread; one that does not answer within `answerMsMax` (default: some seconds) has no status. */
  workers(options?: { readonly answerMsMax?: number }): Promise<Worker[]>
  status(): Promise<ProcessorStatusDocument>
  /** Finishes what is in flight, commits, leaves the group. */
  stop(): Promise<void>
}

export interface ProcessorPartOptions {
  readonly bootstrapServers: readonly string[]
  /** The pressure, for every thread. */
  readonly ambient: SharedArrayBuffer
}

/** Starts every thread at once; resolves when all have joined. When one cannot start, the others are stopped. */
export async function startProcessorPart(
  context: AppContext,
  { bootstrapServers, ambient }: ProcessorPartOptions,
): Promise<ProcessorPart> {
  const { config } = context
  const declaration = await loadTopology(config.processor.topology)
  // Compiled here only to refuse a wrong one before any thread starts; each thread compiles its own.
  compileTopology(declaration, { timeZone: config.processor.timeZone })
  const instanceId = await loadInstanceId(systemDisk, context.random, context.dataDir)
  const supervisors = Array.from(
    { length: config.processor.workerCount || config.processor.workerCountMin },
    (_, workerIndex) => {
      const name = `processor-${workerIndex}`
      return superviseThread({
        ...context,
        name,
        module: moduleUrl('../processor/processor-thread.ts', import.meta.url),
        heapMibMax: HEAP_MIB_MAX,
        optionsOf: (): ProcessorThreadOptions => ({
          bootstrapServers,
          clientId: config.kafka.clientId,
          groupId: config.processor.groupId,
          groupInstanceId: `gophership-${instanceId}-${workerIndex}`,
          workerIndex,
          topology: declaration,
          timeZone: config.processor.timeZone,
          vaultTemplate: config.streams.vaultTemplate,
          commitIntervalMs: config.processor.commitIntervalMs,
          guarantee: config.processor.guarantee,
          transactionTimeoutMs: config.processor.transactionTimeoutMs,
          passthrough: config.processor.passthrough,
          ambient,
          checkEveryRecords: config.pressure.checkRecordCount,
          logger: { ...context.logger, thread: name },
        }),
      })
    },
  )
  const stop = async () => {
    await Promise.all(supervisors.map((supervisor) => supervisor.stop({ stopMsMax: STOP_MS_MAX })))
  }
  try {
    await Promise.all(supervisors.map((supervisor) => supervisor.start()))
  } catch (error) {
    await stop().catch(() => {})
    throw error
  }
  const workers: ProcessorPart['workers'] = (options) =>
    Promise.all(
      supervisors.map(async ({ name, handle }): Promise<Worker> => {
        const status = await handle?.status(options).catch(() => null)
        return { name, status: (status as ProcessorStatus | null | undefined) ?? null }
      }),
    )
  return {
    supervisors,
    workers,
    stop,
    async status() {
      const answers = await workers()
      return {
        topology: declaration.name,
        streams: sumStreams(answers, config.streams.vaultTemplate),
        workers: answers,
      }
    },
  }
}

/** The partitions of all threads, added up for each stream, the one furthest behind first. */
export function sumStreams(workers: readonly Worker[], vaultTemplate: string): StreamStatus[] {
  const templates = { ...DEFAULT_STREAM_TOPICS, vault: vaultTemplate }
  const streams = new Map<string, StreamStatus>()
  for (const partition of workers.flatMap(({ status }) => status?.partitions ?? [])) {
    const stream = streamOf(partition.topic, templates) ?? partition.topic
    const sum = streams.get(stream)
    const ages = [sum?.lagSeconds ?? null, partition.lagSeconds].filter((age) => age !== null)
    streams.set(stream, {
      stream,
      partitionCount: (sum?.partitionCount ?? 0) + 1,
      lagRecords: (sum?.lagRecords ?? 0) + partition.lagRecords,
      lagSeconds: ages.length === 0 ? null : Math.max(...ages),
      recordCount: (sum?.recordCount ?? 0) + partition.recordCount,
      eventCount: (sum?.eventCount ?? 0) + partition.eventCount,
      deadLetterCount: (sum?.deadLetterCount ?? 0) + partition.deadLetterCount,
    })
  }
  return [...streams.values()].sort((a, b) => b.lagRecords - a.lagRecords || (a.stream < b.stream ? -1 : 1))
}
