/**
 * A disk that does only what `core/disk.ts` promises. It keeps what is durable apart from what is merely visible, per file
 * and per name, and a crash picks, from a seed, any state that a power cut may leave:
 *
 * - of the writes to a file since its last `datasync`: none, all, a prefix cut at any byte, or any subset of their 512 B or
 *   4 KiB sectors, where the others hold zeros or stale bytes of some other place on the disk;
 * - of the changes of names since their folder's last `syncDirectory`: none, all, or a prefix.
 *
 * It can stop at the Nth call (that call and all later ones never return), fail the Nth call, or fail all calls of some
 * kinds from the Nth on. A failed `datasync` forgets what was to be written: reads go on showing it and later syncs
 * succeed without it, as Linux does ("fsyncgate").
 */

import { dirname, join } from 'node:path'
import type { DirectoryLock, Disk, DiskEntry, DiskFile, OpenMode } from '../../src/core/disk.ts'
import { GopherShipError } from '../../src/core/errors.ts'
import type { Random } from '../../src/core/random.ts'

const ALL_CALLS = [
  'open',
  'create',
  'read',
  'write',
  'datasync',
  'truncate',
  'close',
  'rename',
  'unlink',
  'readdir',
  'mkdir',
  'removeDirectory',
  'syncDirectory',
  'stat',
] as const

export type DiskCall = (typeof ALL_CALLS)[number]

/** Calls that change something: after a failure plan of kind "full disk" these fail and the others do not. */
export const CHANGING_CALLS: readonly DiskCall[] = [
  'create',
  'write',
  'datasync',
  'truncate',
  'rename',
  'mkdir',
  'syncDirectory',
]

type Change = { kind: 'write'; position: number; bytes: Buffer } | { kind: 'truncate'; bytes: number }

class FileNode {
  readonly kind = 'file'
  visible: Buffer
  durable: Buffer
  pending: Change[] = []
  modifiedMs: number

  constructor(content: Buffer, modifiedMs: number) {
    this.visible = content
    this.durable = content
    this.modifiedMs = modifiedMs
  }
}

class DirectoryNode {
  readonly kind = 'directory'
}

type Node = FileNode | DirectoryNode

interface NameChange {
  readonly folders: readonly string[]
  apply(names: Map<string, Node>): void
}

/** How files and names are torn at a crash. */
export type CrashMode = 'none' | 'all' | 'prefix' | 'sectors-zero' | 'sectors-stale' | 'mixed'

export class SimDisk implements Disk {
  /** Calls so far; the first is number 1. */
  callCount = 0
  /** Each call as "kind path", when `isTraced`. */
  readonly trace: string[] = []
  /** Calls on files that were closed before: on a real disk they meet whatever file was opened since. */
  readonly callsOnClosed: string[] = []
  isTraced = false
  #names = new Map<string, Node>([['/', new DirectoryNode()]])
  #durableNames = new Map<string, Node>(this.#names)
  #pendingNames: NameChange[] = []
  #dieAt = Number.POSITIVE_INFINITY
  #onDied: () => void = () => {}
  #failAt = Number.POSITIVE_INFINITY
  #failFrom = Number.POSITIVE_INFINITY
  #failPathPart = ''
  #failCode = 'EIO'
  #failCalls: ReadonlySet<DiskCall> = new Set()
  #locks = new Set<string>()
  readonly #openHandles = new Map<object, string>()
  #delay: (() => number) | null = null
  /** What the machine's clock says; files are stamped with it when they are written. */
  wallMs: () => number = () => 0
  /** Set once a planned failure has happened. */
  hasFailed = false

  /** The Nth call from now, and all after it, never return; resolves when that call is made. */
  dieAfter(callCount: number): Promise<void> {
    this.#dieAt = this.callCount + callCount
    return new Promise((resolve) => {
      this.#onDied = resolve
    })
  }

  /** The Nth call from now fails, whatever it is. */
  failAfter(callCount: number, code: string): void {
    this.#failAt = this.callCount + callCount
    this.#failCode = code
    this.hasFailed = false
  }

  /** The Nth call from now fails, and all calls after it, until `heal`. */
  failFrom(callCount: number, code: string): void {
    this.failAlways(ALL_CALLS, code)
    this.#failFrom = this.callCount + callCount
    this.hasFailed = false
  }

  /** From now on all calls of these kinds fail, on paths that hold `pathPart`, until `heal`. */
  failAlways(calls: readonly DiskCall[], code: string, pathPart = ''): void {
    this.#failFrom = this.callCount + 1
    this.#failPathPart = pathPart
    this.#failCalls = new Set(calls)
    this.#failCode = code
  }

  heal(): void {
    this.#failAt = Number.POSITIVE_INFINITY
    this.#failFrom = Number.POSITIVE_INFINITY
  }

  /** Makes each call take 0 to `turnsMax` turns of the microtask queue, so that calls overlap in many ways. */
  delayCalls(random: Random, turnsMax: number): void {
    this.#delay = () => random.below(turnsMax + 1)
  }

  /** A disk as a power cut may leave this one. May be asked many times; this disk does not change. */
  crash(random: Random, mode: CrashMode = 'mixed'): SimDisk {
    const after = new SimDisk()
    const names = new Map(this.#durableNames)
    const kept =
      mode === 'all'
        ? this.#pendingNames.length
        : mode === 'none'
          ? 0
          : random.below(this.#pendingNames.length + 1)
    for (const change of this.#pendingNames.slice(0, kept)) change.apply(names)
    const copies = new Map<Node, Node>()
    for (const [path, node] of names) {
      if (!hasParents(names, path)) continue
      const copy =
        copies.get(node) ??
        (node.kind === 'file' ? new FileNode(this.#tear(node, random, mode), node.modifiedMs) : node)
      copies.set(node, copy)
      after.#names.set(path, copy)
    }
    after.#durableNames = new Map(after.#names)
    return after
  }

  /** Goes on after `dieAfter` as after a kill -9: the process is gone, what is visible stays and is as durable as before. */
  revive(): void {
    this.#dieAt = Number.POSITIVE_INFINITY
    this.#locks.clear()
  }

  /** A copy in which all that is visible is durable: something to damage. */
  fork(): SimDisk {
    const after = new SimDisk()
    for (const [path, node] of this.#names) {
      after.#names.set(
        path,
        node.kind === 'file' ? new FileNode(Buffer.from(node.visible), node.modifiedMs) : node,
      )
    }
    after.#durableNames = new Map(after.#names)
    return after
  }

  /** The visible bytes of a file. */
  bytesOf(path: string): Buffer {
    const node = this.#names.get(path)
    if (node?.kind !== 'file') throw new Error(`no file at ${path}`)
    return node.visible
  }

  /** Replaces a file's bytes, visible and durable, behind everybody's back; creates it when needed. */
  setBytes(path: string, bytes: Buffer): void {
    const node = this.#names.get(path)
    if (node?.kind === 'file') {
      node.visible = bytes
      node.durable = bytes
      node.pending = []
      return
    }
    const created = new FileNode(bytes, this.wallMs())
    this.#names.set(path, created)
    this.#durableNames.set(path, created)
  }

  /** Changes one byte behind everybody's back. */
  flip(path: string, position: number, mask: number): void {
    const bytes = Buffer.from(this.bytesOf(path))
    bytes[position] = (bytes[position] ?? 0) ^ mask
    this.setBytes(path, bytes)
  }

  /** Removes a file behind everybody's back. */
  remove(path: string): void {
    this.#names.delete(path)
    this.#durableNames.delete(path)
  }

  /** The paths that open handles were opened by, sorted; one for each handle. */
  openPaths(): string[] {
    return [...this.#openHandles.values()].sort()
  }

  /** All paths of files, sorted. */
  files(): string[] {
    return [...this.#names]
      .filter(([, node]) => node.kind === 'file')
      .map(([path]) => path)
      .sort()
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    await this.#call(mode === 'create' ? 'create' : 'open', path)
    const node = this.#names.get(path)
    if (mode === 'create') {
      if (node !== undefined) throw errno('EEXIST', path)
      this.#assertFolder(dirname(path))
      const created = new FileNode(Buffer.alloc(0), this.wallMs())
      this.#changeNames([dirname(path)], (names) => names.set(path, created))
      return this.#handle(path, created)
    }
    if (node === undefined) throw errno('ENOENT', path)
    if (node.kind !== 'file') throw errno('EISDIR', path)
    return this.#handle(path, node)
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#call('rename', to)
    const node = this.#names.get(from)
    if (node === undefined) throw errno('ENOENT', from)
    this.#changeNames([dirname(from), dirname(to)], (names) => {
      names.delete(from)
      names.set(to, node)
    })
  }

  async unlink(path: string): Promise<void> {
    await this.#call('unlink', path)
    if (this.#names.get(path)?.kind !== 'file') throw errno('ENOENT', path)
    this.#changeNames([dirname(path)], (names) => names.delete(path))
  }

  async readdir(path: string): Promise<string[]> {
    await this.#call('readdir', path)
    this.#assertFolder(path)
    return [...this.#names.keys()]
      .filter((name) => name !== path && dirname(name) === path)
      .map((name) => name.slice(path.length + 1))
  }

  async mkdir(path: string): Promise<void> {
    await this.#call('mkdir', path)
    const missing: string[] = []
    for (let folder = path; !this.#names.has(folder); folder = dirname(folder)) missing.push(folder)
    for (const folder of missing.reverse()) {
      const node = new DirectoryNode()
      this.#changeNames([dirname(folder)], (names) => names.set(folder, node))
    }
  }

  async removeDirectory(path: string): Promise<void> {
    await this.#call('removeDirectory', path)
    const inside = [...this.#names.keys()].filter((name) => name === path || name.startsWith(`${path}/`))
    this.#changeNames([dirname(path)], (names) => {
      for (const name of inside) names.delete(name)
    })
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#call('syncDirectory', path)
    this.#assertFolder(path)
    const rest: NameChange[] = []
    for (const change of this.#pendingNames) {
      if (change.folders.includes(path)) change.apply(this.#durableNames)
      else rest.push(change)
    }
    this.#pendingNames = rest
  }

  async stat(path: string): Promise<DiskEntry | null> {
    await this.#call('stat', path)
    const node = this.#names.get(path)
    if (node === undefined) return null
    if (node.kind === 'directory') return { kind: node.kind, bytes: 0, modifiedMs: 0 }
    return { kind: node.kind, bytes: node.visible.length, modifiedMs: node.modifiedMs }
  }

  async exists(path: string): Promise<boolean> {
    return (await this.stat(path)) !== null
  }

  async lockDirectory(path: string): Promise<DirectoryLock> {
    if (this.#locks.has(path)) {
      throw new GopherShipError('GS_STORAGE_LOCKED', `${path} is in use by process 1.`, { facts: { pid: 1 } })
    }
    this.#locks.add(path)
    return {
      release: async () => {
        this.#locks.delete(path)
      },
    }
  }

  #handle(path: string, node: FileNode): DiskFile {
    const write = async (buffers: readonly Buffer[], position: number): Promise<void> => {
      this.#assertOpen(handle, `write ${path}`)
      const whole = Buffer.concat(buffers)
      // A write that the power cut interrupts may still have reached the disk, in part or whole.
      if (this.callCount + 1 === this.#dieAt) this.#change(node, { kind: 'write', position, bytes: whole })
      const failure = await this.#attempt('write', path)
      // A failed write may have written any part.
      const bytes = failure === null ? whole : whole.subarray(0, whole.length >>> 1)
      if (bytes.length > 0) this.#change(node, { kind: 'write', position, bytes })
      if (failure !== null) throw failure
    }
    const handle: DiskFile = {
      read: async (into, position) => {
        this.#assertOpen(handle, `read ${path}`)
        await this.#call('read', path)
        if (position >= node.visible.length) return 0
        return node.visible.copy(into, 0, position, position + into.length)
      },
      write: (bytes, position) => write([bytes], position),
      writev: write,
      datasync: async () => {
        this.#assertOpen(handle, `datasync ${path}`)
        const failure = await this.#attempt('datasync', path)
        if (failure === null)
          for (const pending of node.pending) node.durable = applied(node.durable, pending)
        node.pending = []
        if (failure !== null) throw failure
      },
      truncate: async (bytes) => {
        this.#assertOpen(handle, `truncate ${path}`)
        await this.#call('truncate', path)
        this.#change(node, { kind: 'truncate', bytes })
      },
      size: async () => {
        this.#assertOpen(handle, `size ${path}`)
        await this.#call('stat', path)
        return node.visible.length
      },
      close: async () => {
        this.#assertOpen(handle, `close ${path}`)
        // As on Linux, a close that fails has let go of the file all the same.
        this.#openHandles.delete(handle)
        await this.#call('close', path)
      },
    }
    this.#openHandles.set(handle, path)
    return handle
  }

  #change(node: FileNode, pending: Change): void {
    node.visible = applied(node.visible, pending)
    node.pending.push(pending)
    node.modifiedMs = this.wallMs()
  }

  #assertOpen(handle: DiskFile, what: string): void {
    if (this.#openHandles.has(handle)) return
    this.callsOnClosed.push(what)
    throw errno('EBADF', what)
  }

  #changeNames(folders: readonly string[], apply: (names: Map<string, Node>) => void): void {
    apply(this.#names)
    this.#pendingNames.push({ folders, apply })
  }

  #assertFolder(path: string): void {
    if (this.#names.get(path)?.kind !== 'directory') throw errno('ENOENT', path)
  }

  async #call(kind: DiskCall, path: string): Promise<void> {
    const failure = await this.#attempt(kind, path)
    if (failure !== null) throw failure
  }

  /** Counts the call; resolves with the failure that it is to have, or null. */
  async #attempt(kind: DiskCall, path: string): Promise<Error | null> {
    this.callCount += 1
    const number = this.callCount
    if (this.isTraced) this.trace.push(`${kind} ${path}`)
    if (number >= this.#dieAt) {
      this.#onDied()
      await new Promise(() => {})
    }
    for (let turns = this.#delay?.() ?? 0; turns > 0; turns -= 1) await null
    // The power may have gone while the call was under way: then it has no effect.
    if (this.callCount >= this.#dieAt) await new Promise(() => {})
    const failsAlways =
      number >= this.#failFrom && this.#failCalls.has(kind) && path.includes(this.#failPathPart)
    const isPlanned = number === this.#failAt || failsAlways
    if (!isPlanned) return null
    this.hasFailed = true
    return errno(this.#failCode, path)
  }

  /** The bytes of a file as a power cut may leave them. */
  #tear(node: FileNode, random: Random, crashMode: CrashMode): Buffer {
    const mode = crashMode === 'mixed' ? TEARINGS[random.below(TEARINGS.length)] : crashMode
    if (mode === 'none' || node.pending.length === 0) return Buffer.from(node.durable)
    let content: Buffer = Buffer.from(node.durable)
    if (mode === 'all') {
      for (const pending of node.pending) content = applied(content, pending)
      return content
    }
    const reached = node.pending.slice(0, random.below(node.pending.length) + 1)
    const last = reached.at(-1)
    if (mode === 'prefix') {
      for (const pending of reached.slice(0, -1)) content = applied(content, pending)
      if (last?.kind === 'write') {
        const bytes = last.bytes.subarray(0, random.below(last.bytes.length + 1))
        if (bytes.length > 0) content = applied(content, { ...last, bytes })
      }
      return content
    }
    const sectorBytes = random.below(2) === 0 ? 512 : 4096
    const keptShare = random.below(5) / 4
    for (const pending of reached) {
      content =
        pending.kind === 'truncate'
          ? applied(content, pending)
          : this.#tearSectors(content, pending, {
              sectorBytes,
              keptShare,
              random,
              isStale: mode === 'sectors-stale',
            })
    }
    return content
  }

  #tearSectors(
    content: Buffer,
    write: { position: number; bytes: Buffer },
    tearing: { sectorBytes: number; keptShare: number; random: Random; isStale: boolean },
  ): Buffer {
    const { sectorBytes, keptShare, random } = tearing
    const before = content.length
    let torn = content
    for (let from = write.position; from < write.position + write.bytes.length; ) {
      const to = Math.min(
        (Math.floor(from / sectorBytes) + 1) * sectorBytes,
        write.position + write.bytes.length,
      )
      const bytes = write.bytes.subarray(from - write.position, to - write.position)
      if (random.float() < keptShare) torn = applied(torn, { kind: 'write', position: from, bytes })
      else if (to > before) {
        const filled = tearing.isStale ? this.#staleBytes(to - from, random) : Buffer.alloc(to - from)
        torn = applied(torn, { kind: 'write', position: from, bytes: filled })
      }
      from = to
    }
    return torn
  }

  /** Bytes of some file, from a sector's start: what was once in a block that is used again. */
  #staleBytes(count: number, random: Random): Buffer {
    const nodes = [...this.#names.values()].filter(
      (node): node is FileNode => node.kind === 'file' && node.visible.length > 0,
    )
    const node = nodes[random.below(Math.max(nodes.length, 1))]
    if (node === undefined) return random.bytes(count)
    const from = Math.floor(random.below(node.visible.length) / 512) * 512
    const stale = Buffer.alloc(count)
    node.visible.copy(stale, 0, from)
    return stale
  }
}

const TEARINGS = ['none', 'all', 'prefix', 'sectors-zero', 'sectors-stale'] as const

function applied(content: Buffer, pending: Change): Buffer {
  if (pending.kind === 'truncate') {
    const cut = Buffer.alloc(pending.bytes)
    content.copy(cut, 0, 0, pending.bytes)
    return cut
  }
  const end = pending.position + pending.bytes.length
  const grown = Buffer.alloc(Math.max(content.length, end))
  content.copy(grown)
  pending.bytes.copy(grown, pending.position)
  return grown
}

function hasParents(names: Map<string, Node>, path: string): boolean {
  for (let folder = path; folder !== dirname(folder); ) {
    folder = dirname(folder)
    if (!names.has(folder)) return false
  }
  return true
}

function errno(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${path}`), { code })
}

/** Where tests put things on a simulated disk. */
export const SIM_ROOT = '/data'
export const simPath = (...names: string[]): string => join(SIM_ROOT, ...names)
