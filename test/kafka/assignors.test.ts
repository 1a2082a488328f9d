import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Assignments, AssignorMember } from '../../src/kafka/assignors.ts'
import { ASSIGNORS, assignRange, assignSticky } from '../../src/kafka/assignors.ts'

function member(
  memberId: string,
  topics: readonly string[],
  more: Partial<AssignorMember> = {},
): AssignorMember {
  return { memberId, topics, groupInstanceId: null, ownedPartitions: [], generationId: -1, ...more }
}

/** The same members, now owning what they were given. */
function afterwards(
  members: readonly AssignorMember[],
  given: Assignments,
  generationId = 1,
): AssignorMember[] {
  return members.map((one) => ({ ...one, ownedPartitions: given.get(one.memberId) ?? [], generationId }))
}

function flat(given: Assignments): string[] {
  return [...given].flatMap(([memberId, topics]) =>
    topics.flatMap(({ topic, partitions }) =>
      partitions.map((partition) => `${topic}-${partition} ${memberId}`),
    ),
  )
}

function loadOf(given: Assignments, memberId: string): number {
  return (given.get(memberId) ?? []).reduce((sum, { partitions }) => sum + partitions.length, 0)
}

const TOPICS = ['a', 'b', 'c', 'd']
const counts = fc
  .array(fc.integer({ min: 0, max: 7 }), { minLength: 4, maxLength: 4 })
  .map(
    (sizes) =>
      new Map(TOPICS.map((topic, index) => [topic, sizes[index] ?? 0] as const).filter(([, n]) => n > 0)),
  )
const members = fc
  .array(fc.subarray(TOPICS), { minLength: 1, maxLength: 6 })
  .map((lists) => lists.map((topics, index) => member(`m${index}`, topics)))

describe.each(Object.entries(ASSIGNORS))('%s', (_name, assign) => {
  test('every partition that somebody reads has exactly one reader, who subscribes to it', () => {
    fc.assert(
      fc.property(members, counts, (group, partitionCounts) => {
        const given = flat(assign(group, partitionCounts)).map((line) => line.split(' ') as [string, string])
        const expected = [...partitionCounts].flatMap(([topic, count]) =>
          group.some(({ topics }) => topics.includes(topic))
            ? Array.from({ length: count }, (_, partition) => `${topic}-${partition}`)
            : [],
        )
        expect(given.map(([partition]) => partition).toSorted()).toEqual(expected.toSorted())
        for (const [partition, memberId] of given) {
          expect(group.find((one) => one.memberId === memberId)?.topics).toContain(partition.split('-')[0])
        }
      }),
    )
  })

  test('the order in which members joined changes nothing', () => {
    fc.assert(
      fc.property(members, counts, (group, partitionCounts) => {
        expect(flat(assign(group.toReversed(), partitionCounts)).toSorted()).toEqual(
          flat(assign(group, partitionCounts)).toSorted(),
        )
      }),
    )
  })

  test('every member has an entry, also when it is given nothing', () => {
    expect([...assign([member('m0', []), member('m1', ['a'])], new Map([['a', 1]])).keys()]).toEqual([
      'm0',
      'm1',
    ])
  })
})

describe('range', () => {
  test('gives neighbouring partitions, the first members one more', () => {
    const given = assignRange(
      [member('m1', ['a', 'b']), member('m0', ['a', 'b'])],
      new Map([
        ['a', 3],
        ['b', 2],
      ]),
    )
    expect(flat(given).toSorted()).toEqual(['a-0 m0', 'a-1 m0', 'a-2 m1', 'b-0 m0', 'b-1 m1'])
  })

  test('goes by the static identity, so that a restarted member gets the same again', () => {
    const before = [
      member('x', ['a'], { groupInstanceId: 'one' }),
      member('y', ['a'], { groupInstanceId: 'two' }),
    ]
    const after = [
      member('z', ['a'], { groupInstanceId: 'one' }),
      member('y', ['a'], { groupInstanceId: 'two' }),
    ]
    const partitionCounts = new Map([['a', 2]])
    expect(assignRange(after, partitionCounts).get('z')).toEqual(
      assignRange(before, partitionCounts).get('x'),
    )
  })
})

describe('sticky', () => {
  test('no two members that could share a partition differ by more than one', () => {
    fc.assert(
      fc.property(members, counts, (group, partitionCounts) => {
        const given = assignSticky(group, partitionCounts)
        for (const from of group) {
          for (const { topic } of given.get(from.memberId) ?? []) {
            for (const to of group.filter(({ topics }) => topics.includes(topic))) {
              expect(loadOf(given, from.memberId)).toBeLessThanOrEqual(loadOf(given, to.memberId) + 1)
            }
          }
        }
      }),
    )
  })

  test('with nothing changed, nothing moves', () => {
    fc.assert(
      fc.property(members, counts, (group, partitionCounts) => {
        const given = assignSticky(group, partitionCounts)
        expect(flat(assignSticky(afterwards(group, given), partitionCounts)).toSorted()).toEqual(
          flat(given).toSorted(),
        )
      }),
    )
  })

  test('when a member comes, only what it is given moves', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 30 }),
        (memberCount, partitionCount) => {
          const group = Array.from({ length: memberCount }, (_, index) => member(`m${index}`, ['a']))
          const partitionCounts = new Map([['a', partitionCount]])
          const before = new Set(flat(assignSticky(group, partitionCounts)))
          const grown = [...afterwards(group, assignSticky(group, partitionCounts)), member('new', ['a'])]
          const after = assignSticky(grown, partitionCounts)
          const moved = flat(after).filter((line) => !before.has(line))
          expect(moved).toHaveLength(loadOf(after, 'new'))
        },
      ),
    )
  })

  test('when a member goes, the others keep what they had', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 6 }),
        fc.integer({ min: 1, max: 30 }),
        (memberCount, partitionCount) => {
          const group = Array.from({ length: memberCount }, (_, index) => member(`m${index}`, ['a']))
          const partitionCounts = new Map([['a', partitionCount]])
          const given = assignSticky(group, partitionCounts)
          const left = afterwards(group, given).slice(1)
          const after = new Set(flat(assignSticky(left, partitionCounts)))
          for (const line of flat(given)) if (!line.endsWith(' m0')) expect(after).toContain(line)
        },
      ),
    )
  })

  test('a busy topic is spread, not only the total', () => {
    const group = [member('m0', ['a', 'b']), member('m1', ['a', 'b'])]
    const given = assignSticky(
      group,
      new Map([
        ['a', 4],
        ['b', 4],
      ]),
    )
    for (const { memberId } of group)
      expect(given.get(memberId)?.map(({ partitions }) => partitions.length)).toEqual([2, 2])
  })

  test('a claim of an older generation, or of two at once, does not count', () => {
    const owned = [{ topic: 'a', partitions: [0] }]
    const partitionCounts = new Map([['a', 2]])
    const stale = assignSticky(
      [
        member('m0', ['a'], { ownedPartitions: owned, generationId: 3 }),
        member('m1', ['a'], { ownedPartitions: owned, generationId: 4 }),
      ],
      partitionCounts,
    )
    expect(stale.get('m1')).toEqual(owned)
    const disputed = assignSticky(
      ['m0', 'm1'].map((id) => member(id, ['a'], { ownedPartitions: owned, generationId: 4 })),
      partitionCounts,
    )
    expect(flat(disputed)).toHaveLength(2)
  })

  test('claims to partitions that do not exist are ignored', () => {
    const ownedPartitions = [
      { topic: 'a', partitions: [-1, 5] },
      { topic: 'gone', partitions: [0] },
    ]
    const given = assignSticky(
      [member('m0', ['a'], { ownedPartitions, generationId: 1 })],
      new Map([['a', 1]]),
    )
    expect(flat(given)).toEqual(['a-0 m0'])
  })
})
