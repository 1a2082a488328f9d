/**
 * The text of `topics.snapshot`, the one file that says which topics exist. Drawn in
 * `schemas/formats/broker-directory.md`. It is replaced as a whole (`storage/snapshot-file.ts`) before a creation is
 * answered and before a deletion touches any file.
 */

import { GopherShipError } from '../../core/errors.ts'

const VERSION = 2
/** Its topics have no tag secret. */
const VERSION_WITHOUT_TAGS = 1

export interface SavedTopic {
  readonly name: string
  /** The topic id, 32 hexadecimal digits. */
  readonly id: string
  readonly partitionCount: number
  readonly configs: Readonly<Record<string, string>>
  /** What the tags of its logs come from, 32 hexadecimal digits; a topic made before there were tags has none. */
  readonly tagSecret?: string
}

export interface SavedTopics {
  /** 22 characters, made once for the data directory. */
  readonly clusterId: string
  readonly topics: readonly SavedTopic[]
  /** Deleted topics whose files may still be there. */
  readonly deleting: readonly { readonly name: string; readonly id: string }[]
}

export function encodeTopicsSnapshot(saved: SavedTopics): Buffer {
  return Buffer.from(JSON.stringify({ version: VERSION, ...saved }), 'utf8')
}

/** Parses the text; it passed its checksum, so only its version is in doubt (GS_STORAGE_VERSION). */
export function decodeTopicsSnapshot(bytes: Buffer): SavedTopics {
  const saved = JSON.parse(bytes.toString('utf8')) as SavedTopics & { version: number }
  if (saved.version !== VERSION && saved.version !== VERSION_WITHOUT_TAGS) {
    throw new GopherShipError(
      'GS_STORAGE_VERSION',
      `expected topics snapshot version ${VERSION}, found ${saved.version}; start the newer release that wrote it`,
      { facts: { version: saved.version } },
    )
  }
  return { clusterId: saved.clusterId, topics: saved.topics, deleting: saved.deleting }
}
