import { expect, test } from 'vitest'
import type { MetadataSnapshot } from '../../src/kafka/metadata-snapshot.ts'
import { EMPTY_METADATA, mergeMetadata, sameTopics } from '../../src/kafka/metadata-snapshot.ts'
import { metadataApi } from '../../src/wire/03-metadata.ts'
import type { ResponseInputOf, ResponseOf } from '../../src/wire/api.ts'
import { ZERO_UUID } from '../../src/wire/fields.ts'
import { WireWriter } from '../../src/wire/wire-writer.ts'

/** Through the wire, so that every field is there. */
function answer(value: ResponseInputOf<typeof metadataApi>): ResponseOf<typeof metadataApi> {
  const writer = new WireWriter()
  metadataApi.encodeResponse(12, value, writer)
  return metadataApi.decodeResponse(Buffer.concat(writer.finish()), 0, 12)
}

const ID: Buffer = Buffer.alloc(16, 1)

function topic(
  name: string,
  partitions: readonly { leaderId: number; leaderEpoch?: number }[],
  topicId = ID,
) {
  return {
    name,
    topicId,
    partitions: partitions.map((partition, partitionIndex) => ({
      partitionIndex,
      leaderEpoch: 0,
      ...partition,
    })),
  }
}

function leaders(snapshot: MetadataSnapshot, name: string): number[] | undefined {
  return snapshot.topics.get(name)?.partitions.map(({ leaderId }) => leaderId)
}

test('topics that were not asked for are kept, and after a question about all they are gone', () => {
  const first = mergeMetadata(EMPTY_METADATA, answer({ topics: [topic('a', [{ leaderId: 1 }])] }), ['a'])
  const second = mergeMetadata(first, answer({ topics: [topic('b', [{ leaderId: 2 }])] }), ['b'])
  expect([...second.topics.keys()]).toEqual(['a', 'b'])
  const all = mergeMetadata(second, answer({ topics: [topic('b', [{ leaderId: 2 }])] }), null)
  expect([...all.topics.keys()]).toEqual(['b'])
})

test('a topic answered with an error is not there, and its error is known until it is answered well', () => {
  const known = mergeMetadata(EMPTY_METADATA, answer({ topics: [topic('a', [{ leaderId: 1 }])] }), ['a'])
  const gone = mergeMetadata(known, answer({ topics: [{ name: 'a', errorCode: 3 }] }), ['a'])
  expect(gone.topics.has('a')).toBe(false)
  expect(gone.topicErrors.get('a')).toBe(3)
  const back = mergeMetadata(gone, answer({ topics: [topic('a', [{ leaderId: 1 }])] }), ['a'])
  expect(back.topicErrors.has('a')).toBe(false)
})

test('an older leader epoch of the same topic does not bring an old leader back', () => {
  const newer = mergeMetadata(
    EMPTY_METADATA,
    answer({ topics: [topic('a', [{ leaderId: 2, leaderEpoch: 6 }])] }),
    ['a'],
  )
  const lagging = answer({ topics: [topic('a', [{ leaderId: 1, leaderEpoch: 5 }])] })
  expect(leaders(mergeMetadata(newer, lagging, ['a']), 'a')).toEqual([2])
  const recreated = answer({ topics: [topic('a', [{ leaderId: 3, leaderEpoch: 0 }], Buffer.alloc(16, 2))] })
  expect(leaders(mergeMetadata(newer, recreated, ['a']), 'a')).toEqual([3])
})

test('partitions are put in order, and those behind a gap wait for a better answer', () => {
  const partitions = [2, 0, 4].map((partitionIndex) => ({ partitionIndex, leaderId: partitionIndex }))
  const snapshot = mergeMetadata(
    EMPTY_METADATA,
    answer({ topics: [{ name: 'a', topicId: ID, partitions }] }),
    ['a'],
  )
  expect(leaders(snapshot, 'a')).toEqual([0])
})

test('a topic id does not keep the answer it came in', () => {
  const found = answer({ topics: [topic('a', [{ leaderId: 1 }])] })
  const snapshot = mergeMetadata(EMPTY_METADATA, found, ['a'])
  found.topics[0]?.topicId.fill(9)
  expect(snapshot.topics.get('a')?.topicId.equals(ID)).toBe(true)
})

test('topics differ by name, id and partition count, not by leader', () => {
  const of = (...topics: ReturnType<typeof topic>[]) =>
    mergeMetadata(EMPTY_METADATA, answer({ topics }), null)
  const base = of(topic('a', [{ leaderId: 1 }]))
  expect(sameTopics(base, of(topic('a', [{ leaderId: 2 }])))).toBe(true)
  expect(sameTopics(base, of(topic('a', [{ leaderId: 1 }, { leaderId: 1 }])))).toBe(false)
  expect(sameTopics(base, of(topic('a', [{ leaderId: 1 }], ZERO_UUID)))).toBe(false)
  expect(sameTopics(base, of(topic('b', [{ leaderId: 1 }])))).toBe(false)
  expect(sameTopics(base, of())).toBe(false)
})
