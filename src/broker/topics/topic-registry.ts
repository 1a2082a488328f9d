/**
 * Which topics exist. It owns the topics snapshot and the folders `topics/<name>/<id>/<partition>`.
 *
 * Promises: a topic that was answered as created is there after any crash; a deleted one never comes back, and its files
 * go even if the process dies meanwhile; a topic created again has a new id and so a new folder, and can never show the
 * records of its predecessor.
 *
 * Creation: 1. the snapshot names the topic (durable). 2. The partitions are opened. 3. The topic is visible. A crash
 * after 1 is finished by the next start. Deletion: 1. the topic is invisible. 2. The snapshot lists it under
 * `deleting` (durable). 3. The files go. 4. The next snapshot forgets it. A crash after 2 is finished by the next start.
 */

import { strict as assert } from 'node:assert'
import { dirname, join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import type { Disk } from '../../core/disk.ts'
import type { Random } from '../../core/random.ts'
import { makeDurableDirectory } from '../../storage/durable-directory.ts'
import { logTagOf, NO_TAG } from '../../storage/log-tag.ts'
import { readSnapshot, writeSnapshot } from '../../storage/snapshot-file.ts'
import type { Diagnostics } from '../../telemetry/diagnostics.ts'
import type { BrokerOptions } from '../broker-options.ts'
import { Partition } from './partition.ts'
import type { Topic } from './topic.ts'
import type { ConfigOverrides } from './topic-config.ts'
import { effectiveConfig } from './topic-config.ts'
import { isInternalTopic } from './topic-name.ts'
import { tidyTopicsFolder } from './topics-folder.ts'
import type { SavedTopic } from './topics-snapshot.ts'
import { decodeTopicsSnapshot, encodeTopicsSnapshot } from './topics-snapshot.ts'

export interface TopicRegistryOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly diagnostics: Diagnostics
  readonly directory: string
  readonly options: BrokerOptions
}

export interface TopicDeclaration {
  readonly name: string
  readonly partitionCount: number
  readonly overrides: ConfigOverrides
}

/** Partitions opened at once at start: enough to keep the disk busy, few enough to keep memory small. */
const OPEN_AT_ONCE = 16

export class TopicRegistry {
  readonly #deps: TopicRegistryOptions
  readonly #byName = new Map<string, Topic>()
  readonly #byId = new Map<string, Topic>()
  /** Topics the snapshot names; a superset of those visible while one is being created. */
  readonly #saved = new Map<string, SavedTopic>()
  readonly #deleting = new Map<string, { name: string; id: string }>()
  /** Per name, the end of the latest change that was asked for. */
  readonly #changes = new Map<string, Promise<void>>()
  /** Of topics that are about to be created. */
  #reservedPartitionCount = 0
  /** Removals of files under way. */
  readonly #removing = new Set<Promise<void>>()
  #clusterId = ''
  #saveQueue: Promise<void> = Promise.resolve()
  /** A save that has not begun: whoever changes something meanwhile shares it. */
  #nextSave: Promise<void> | null = null

  private constructor(deps: TopicRegistryOptions) {
    this.#deps = deps
  }

  /** Reads the snapshot, finishes what a crash interrupted, and opens every partition; all of them, or none stays open. */
  static async open(deps: TopicRegistryOptions): Promise<TopicRegistry> {
    const registry = new TopicRegistry(deps)
    try {
      await registry.#load()
    } catch (error) {
      await registry.close()
      throw error
    }
    return registry
  }

  get clusterId(): string {
    return this.#clusterId
  }

  get topics(): Iterable<Topic> {
    return this.#byName.values()
  }

  /** Every partition of every topic. */
  get partitions(): Partition[] {
    return [...this.#byName.values()].flatMap((topic) => topic.partitions)
  }

  get topicCount(): number {
    return this.#byName.size
  }

  /** Partitions of all topics, those being created included. */
  get partitionCount(): number {
    let count = this.#reservedPartitionCount
    for (const topic of this.#saved.values()) count += topic.partitionCount
    return count
  }

  byName(name: string): Topic | undefined {
    return this.#byName.get(name)
  }

  /** Finds a topic by its sixteen-byte id. */
  byId(id: Buffer): Topic | undefined {
    return this.#byId.get(id.toString('hex'))
  }

  partition(topicName: string, index: number): Partition | undefined {
    return this.#byName.get(topicName)?.partitions[index]
  }

  /** True when creating so many partitions would pass the limit. */
  isFullFor(partitionCount: number): boolean {
    return this.partitionCount + partitionCount > this.#deps.options.partitionsMax
  }

  /**
   * Runs a change of the topic of that name once those asked for before have ended. What a change depends on is looked at
   * in here, as the changes before decide whether there is a topic, what it is, and how many partitions it has:
   * 1. Two requests see one partition and ask for three. 2. Both open partition 1, and two logs write to the same files.
   */
  alone<Result>(name: string, change: () => Promise<Result>): Promise<Result> {
    const changing = (this.#changes.get(name) ?? Promise.resolve()).then(change)
    const ended = changing
      .then(
        () => {},
        () => {},
      )
      .finally(() => {
        if (this.#changes.get(name) === ended) this.#changes.delete(name)
      })
    this.#changes.set(name, ended)
    return changing
  }

  /** The topic of that name, created if it is not there. The caller has checked name, settings and room. */
  async ensure(declaration: TopicDeclaration): Promise<Topic> {
    const { name } = declaration
    return (
      this.#byName.get(name) ??
      this.alone(name, async () => this.#byName.get(name) ?? (await this.create(declaration)))
    )
  }

  /**
   * Creates a topic, `alone`. The caller has checked that there is none, name, settings and room; the room is taken at once.
   * `prepare` is done before a start could find the topic.
   */
  async create(declaration: TopicDeclaration, prepare?: () => Promise<void>): Promise<Topic> {
    const { name, partitionCount, overrides } = declaration
    this.#assertAlone(name)
    this.#reservedPartitionCount += partitionCount
    try {
      await prepare?.()
    } finally {
      this.#reservedPartitionCount -= partitionCount
    }
    const saved: SavedTopic = {
      name,
      id: this.#deps.random.bytes(16).toString('hex'),
      partitionCount,
      configs: overrides,
      tagSecret: this.#deps.random.bytes(16).toString('hex'),
    }
    // One whose deletion failed halfway is deleted for good with this.
    const predecessor = this.#saved.get(name)
    if (predecessor !== undefined) this.#deleting.set(predecessor.id, { name, id: predecessor.id })
    this.#saved.set(name, saved)
    try {
      await this.#save()
    } catch (error) {
      this.#saved.delete(name)
      throw error
    }
    const topic = this.#newTopic(saved)
    try {
      await this.#makeFolder(topic)
      const indexes = Array.from({ length: partitionCount }, (_, index) => index)
      await inParallel(indexes, OPEN_AT_ONCE, async (index) => {
        topic.partitions[index] = await this.#openPartition(topic, index)
      })
    } catch (error) {
      // It was never seen by anyone, so what there is of it goes: now, or at the next start.
      this.#saved.delete(name)
      this.#deleting.set(saved.id, { name, id: saved.id })
      await this.#removeFiles(
        topic.partitions.filter((partition) => partition !== undefined),
        name,
        saved.id,
      )
      throw error
    }
    this.#publish(topic)
    this.#deps.diagnostics.info({ topic: name, partitionCount, topicId: saved.id }, 'topic created')
    return topic
  }

  /** Adds partitions up to `partitionCount`. The caller has checked, `alone`, that it is more than there are. */
  async addPartitions(topic: Topic, partitionCount: number): Promise<void> {
    this.#assertAlone(topic.name)
    const saved = this.#saved.get(topic.name)
    if (saved === undefined) return
    this.#saved.set(topic.name, { ...saved, partitionCount })
    try {
      await this.#save()
    } catch (error) {
      this.#saved.set(topic.name, saved)
      throw error
    }
    for (let index = topic.partitions.length; index < partitionCount; index += 1) {
      topic.partitions.push(await this.#openPartition(topic, index))
    }
  }

  /** Replaces a topic's own settings, already checked, `alone`. */
  async setOverrides(topic: Topic, overrides: ConfigOverrides): Promise<void> {
    this.#assertAlone(topic.name)
    const saved = this.#saved.get(topic.name)
    if (saved === undefined) return
    this.#saved.set(topic.name, { ...saved, configs: overrides })
    try {
      await this.#save()
    } catch (error) {
      this.#saved.set(topic.name, saved)
      throw error
    }
    topic.overrides = overrides
    topic.config = effectiveConfig(overrides, this.#deps.options)
    for (const partition of topic.partitions) partition.setConfig(topic.config)
  }

  /** Deletes a topic, `alone`; resolves when that is durable. Its files go in the background. */
  async delete(topic: Topic): Promise<void> {
    this.#assertAlone(topic.name)
    const id = topic.id.toString('hex')
    const saved = this.#saved.get(topic.name)
    if (saved === undefined || saved.id !== id) return
    this.#byName.delete(topic.name)
    this.#byId.delete(id)
    this.#saved.delete(topic.name)
    this.#deleting.set(id, { name: topic.name, id })
    try {
      await this.#save()
    } catch (error) {
      this.#saved.set(topic.name, saved)
      this.#deleting.delete(id)
      await this.#takeBack(topic)
      throw error
    }
    const removing = this.#removeFiles(topic.partitions, topic.name, id).finally(() =>
      this.#removing.delete(removing),
    )
    this.#removing.add(removing)
  }

  /**
   * Serves a topic again whose deletion failed, unless a start could still find it deleted: 1. The new snapshot takes the old
   * one's place. 2. Making that durable fails. 3. Records are acknowledged. 4. The next start removes them with the topic. So
   * what can be seen of the snapshot decides; where it is the new one it is replaced, or else the topic is left alone.
   */
  async #takeBack(topic: Topic): Promise<void> {
    const id = topic.id.toString('hex')
    const isKnown = async () => {
      const bytes = await readSnapshot(this.#deps.disk, this.#snapshotPath())
      return bytes !== null && decodeTopicsSnapshot(bytes).topics.some((saved) => saved.id === id)
    }
    try {
      if (!(await isKnown())) await this.#save()
      this.#publish(topic)
    } catch (error) {
      this.#deps.diagnostics.error(
        { err: error, topic: topic.name, topicId: id },
        'the deletion of a topic failed halfway; the next start decides whether it is there',
      )
      for (const partition of topic.partitions) await partition.close()
    }
  }

  /** Closes every partition cleanly. */
  async close(): Promise<void> {
    await Promise.all(this.#changes.values())
    await Promise.all(this.#removing)
    await this.#saveQueue
    await inParallel(this.partitions, OPEN_AT_ONCE, (partition) => partition.close())
  }

  async #load(): Promise<void> {
    const { disk, diagnostics, directory, random } = this.#deps
    const path = join(directory, 'topics')
    await disk.mkdir(path)
    await disk.syncDirectory(directory)
    const bytes = await readSnapshot(disk, this.#snapshotPath())
    if (bytes === null) {
      this.#clusterId = random.bytes(16).toString('base64url').slice(0, 22)
      await this.#save()
    } else {
      await this.#takeUp(bytes)
    }
    const known = [...this.#saved.values(), ...this.#deleting.values()]
    await tidyTopicsFolder({ disk, diagnostics, path }, known)
  }

  /** Opens the topics of a snapshot, and goes on with their deletions. */
  async #takeUp(bytes: Buffer): Promise<void> {
    const saved = decodeTopicsSnapshot(bytes)
    this.#clusterId = saved.clusterId
    for (const each of saved.topics) this.#saved.set(each.name, each)
    for (const each of saved.deleting) this.#deleting.set(each.id, each)
    const opened = saved.topics.map((each) => ({ topic: this.#newTopic(each), count: each.partitionCount }))
    // Nobody sees them before all are open; but whatever is open by then is closed, should one of them fail.
    for (const { topic } of opened) this.#publish(topic)
    const places = opened.flatMap(({ topic, count }) =>
      Array.from({ length: count }, (_, index) => ({ topic, index })),
    )
    await Promise.all(opened.map(({ topic }) => this.#makeFolder(topic)))
    await inParallel(places, OPEN_AT_ONCE, async ({ topic, index }) => {
      topic.partitions[index] = await this.#openPartition(topic, index)
    })
    for (const { name, id } of [...this.#deleting.values()]) await this.#removeFiles([], name, id)
  }

  #assertAlone(name: string): void {
    assert(this.#changes.has(name), 'a topic is changed by one at a time')
  }

  #newTopic(saved: SavedTopic): Topic {
    return {
      name: saved.name,
      id: Buffer.from(saved.id, 'hex'),
      isInternal: isInternalTopic(saved.name),
      tagSecret: saved.tagSecret === undefined ? null : Buffer.from(saved.tagSecret, 'hex'),
      overrides: saved.configs,
      config: effectiveConfig(saved.configs, this.#deps.options),
      partitions: [],
    }
  }

  #publish(topic: Topic): void {
    this.#byName.set(topic.name, topic)
    this.#byId.set(topic.id.toString('hex'), topic)
  }

  /** Also for a folder that is there: the process that made it may have been killed before its name was durable. */
  #makeFolder(topic: Topic): Promise<void> {
    return makeDurableDirectory(this.#deps.disk, this.#folder(topic.name, topic.id.toString('hex')))
  }

  #openPartition(topic: Topic, index: number): Promise<Partition> {
    const { disk, clock, diagnostics, options } = this.#deps
    return Partition.open({
      disk,
      clock,
      diagnostics: diagnostics.child({ topic: topic.name, partition: index }),
      directory: join(this.#folder(topic.name, topic.id.toString('hex')), String(index)),
      topicName: topic.name,
      index,
      config: topic.config,
      tag: topic.tagSecret === null ? NO_TAG : logTagOf(topic.tagSecret, index),
      producersMax: options.producersPerPartitionMax,
      producerSnapshotBytes: options.producerSnapshotBytes,
      reopenMs: options.partitionReopenMs,
    })
  }

  async #removeFiles(partitions: readonly Partition[], name: string, id: string): Promise<void> {
    const { disk, diagnostics } = this.#deps
    try {
      // Each is let go of, whatever becomes of the others: nobody closes a partition of a topic that is not there.
      const failures: unknown[] = []
      await inParallel(partitions, OPEN_AT_ONCE, (partition) =>
        partition.destroy().catch((error: unknown) => void failures.push(error)),
      )
      if (failures.length > 0) throw failures[0]
      const folder = this.#folder(name, id)
      await disk.removeDirectory(folder)
      // Forgotten before that is durable, a power cut would bring back files that no start knows of any more. A topic whose
      // folder could not even be made has no parent to sync.
      if (await disk.exists(dirname(folder))) await disk.syncDirectory(dirname(folder))
      this.#deleting.delete(id)
      await this.#save()
      diagnostics.info({ topic: name, topicId: id }, 'topic deleted')
    } catch (error) {
      diagnostics.warn(
        { err: error, topic: name, topicId: id },
        'the files of a deleted topic could not be removed yet',
      )
    }
  }

  /** Makes the present state durable. Calls that come while a save runs share the next one. */
  #save(): Promise<void> {
    if (this.#nextSave !== null) return this.#nextSave
    const save = this.#saveQueue.then(() => {
      this.#nextSave = null
      const bytes = encodeTopicsSnapshot({
        clusterId: this.#clusterId,
        topics: [...this.#saved.values()],
        deleting: [...this.#deleting.values()],
      })
      return writeSnapshot(this.#deps.disk, this.#snapshotPath(), bytes)
    })
    this.#nextSave = save
    this.#saveQueue = save.catch(() => {})
    return save
  }

  #snapshotPath(): string {
    return join(this.#deps.directory, 'topics.snapshot')
  }

  #folder(name: string, id: string): string {
    return join(this.#deps.directory, 'topics', name, id)
  }
}

/** Runs `work` on every item, `width` at a time; rejects with the first failure once those under way are done. */
async function inParallel<Item>(items: readonly Item[], width: number, work: (item: Item) => Promise<void>) {
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const item = items[next] as Item
      next += 1
      await work(item)
    }
  }
  const results = await Promise.allSettled(Array.from({ length: Math.min(width, items.length) }, worker))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
