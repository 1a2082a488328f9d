/**
 * Who reads which partition. The group's leader runs one of these on what all members said; both are pure, and give every
 * partition of a subscribed topic to exactly one member that subscribes to it.
 */

/** What a member told the leader. */
export interface AssignorMember {
  readonly memberId: string
  /** Stable identity of a static member; members are put in order by it, so that restarts change nothing. */
  readonly groupInstanceId: string | null
  readonly topics: readonly string[]
  /** What the member had in `generationId`. */
  readonly ownedPartitions: readonly AssignedTopic[]
  /** -1 when the member does not say. */
  readonly generationId: number
}

export interface AssignedTopic {
  readonly topic: string
  readonly partitions: readonly number[]
}

/** Member id to what it reads; every member has an entry. */
export type Assignments = Map<string, AssignedTopic[]>

export type Assignor = (
  members: readonly AssignorMember[],
  partitionCounts: ReadonlyMap<string, number>,
) => Assignments

/** By the name under which members vote for it. */
export const ASSIGNORS = { range: assignRange, sticky: assignSticky } as const satisfies Record<
  string,
  Assignor
>
export type AssignorName = keyof typeof ASSIGNORS

/**
 * Topic by topic, each member in turn gets a run of neighbouring partitions, the first ones one more when it does not come
 * out even. Partitions of the same number of several topics meet at the same member.
 */
export function assignRange(
  members: readonly AssignorMember[],
  partitionCounts: ReadonlyMap<string, number>,
): Assignments {
  const given = new Given(members)
  for (const [topic, partitionCount] of partitionCounts) {
    const readers = inOrder(members).filter((member) => member.topics.includes(topic))
    const share = Math.floor(partitionCount / readers.length)
    const extra = partitionCount % readers.length
    let next = 0
    for (const [index, { memberId }] of readers.entries()) {
      const count = share + (index < extra ? 1 : 0)
      for (const end = next + count; next < end; next++) given.give(memberId, topic, next)
    }
  }
  return given.assignments()
}

/**
 * Every member keeps what it had as far as balance allows; what is free goes to whoever has least; then partitions move
 * from the fullest to the emptiest until no two members that could share one differ by more than one. (The idea of
 * KIP-54, without its optimal but slow search.)
 */
export function assignSticky(
  members: readonly AssignorMember[],
  partitionCounts: ReadonlyMap<string, number>,
): Assignments {
  const given = new Given(members)
  const ordered = inOrder(members)
  const owners = ownersOf(ordered, partitionCounts)
  for (const [topic, partitionCount] of partitionCounts) {
    const readers = ordered.filter((member) => member.topics.includes(topic))
    for (let partition = 0; readers.length > 0 && partition < partitionCount; partition++) {
      const owner = owners.get(keyOf(topic, partition))
      if (owner !== undefined) given.give(owner, topic, partition)
    }
  }
  for (const [topic, partitionCount] of partitionCounts) {
    const readers = ordered.filter((member) => member.topics.includes(topic))
    for (let partition = 0; readers.length > 0 && partition < partitionCount; partition++) {
      if (owners.has(keyOf(topic, partition))) continue
      // The total decides; among equals, whoever has least of this very topic, so that a busy topic is spread.
      const least = leastOf(readers, (id) => given.count(id) * 1_000_000 + given.countOf(id, topic))
      given.give(least.memberId, topic, partition)
    }
  }
  balance(ordered, given)
  return given.assignments()
}

/** Moves one partition at a time; each move lowers the sum of squares of the loads, so it ends. */
function balance(members: readonly AssignorMember[], given: Given): void {
  for (let moved = true; moved; ) {
    moved = false
    const fullestFirst = members.toSorted((a, b) => given.count(b.memberId) - given.count(a.memberId))
    for (const from of fullestFirst) {
      const move = findMove(from, members, given)
      if (move === null) continue
      given.take(from.memberId, move.topic, move.partition)
      given.give(move.to, move.topic, move.partition)
      moved = true
      break
    }
  }
}

function findMove(
  from: AssignorMember,
  members: readonly AssignorMember[],
  given: Given,
): { readonly to: string; readonly topic: string; readonly partition: number } | null {
  const load = given.count(from.memberId)
  for (const [topic, partitions] of given.topicsOf(from.memberId)) {
    const readers = members.filter((member) => member.topics.includes(topic))
    const least = leastOf(readers, (id) => given.count(id))
    const partition = partitions.at(-1)
    if (partition !== undefined && given.count(least.memberId) + 1 < load) {
      return { to: least.memberId, topic, partition }
    }
  }
  return null
}

/** The rightful previous owner of each partition: of the newest generation, still subscribed, and the only one. */
function ownersOf(
  members: readonly AssignorMember[],
  partitionCounts: ReadonlyMap<string, number>,
): ReadonlyMap<string, string> {
  const claims = new Map<string, { memberId: string | null; generationId: number }>()
  for (const { memberId, topics, ownedPartitions, generationId } of members) {
    for (const { topic, partitions } of ownedPartitions) {
      if (!topics.includes(topic)) continue
      for (const partition of partitions) {
        if (partition >= (partitionCounts.get(topic) ?? 0) || partition < 0) continue
        const key = keyOf(topic, partition)
        const claim = claims.get(key)
        if (claim === undefined || claim.generationId < generationId)
          claims.set(key, { memberId, generationId })
        // Two of one generation cannot both be right: it is given anew.
        else if (claim.generationId === generationId) claim.memberId = null
      }
    }
  }
  const owners = new Map<string, string>()
  for (const [key, { memberId }] of claims) if (memberId !== null) owners.set(key, memberId)
  return owners
}

/** Assignments being made. */
class Given {
  readonly #byMember = new Map<string, Map<string, number[]>>()
  readonly #counts = new Map<string, number>()

  constructor(members: readonly AssignorMember[]) {
    for (const { memberId } of members) this.#byMember.set(memberId, new Map())
  }

  give(memberId: string, topic: string, partition: number): void {
    const topics = this.#byMember.get(memberId)
    const partitions = topics?.get(topic)
    if (partitions === undefined) topics?.set(topic, [partition])
    else partitions.push(partition)
    this.#counts.set(memberId, this.count(memberId) + 1)
  }

  take(memberId: string, topic: string, partition: number): void {
    const partitions = this.#byMember.get(memberId)?.get(topic) ?? []
    partitions.splice(partitions.indexOf(partition), 1)
    this.#counts.set(memberId, this.count(memberId) - 1)
  }

  count(memberId: string): number {
    return this.#counts.get(memberId) ?? 0
  }

  countOf(memberId: string, topic: string): number {
    return this.#byMember.get(memberId)?.get(topic)?.length ?? 0
  }

  topicsOf(memberId: string): ReadonlyMap<string, readonly number[]> {
    return this.#byMember.get(memberId) ?? new Map()
  }

  assignments(): Assignments {
    const assignments: Assignments = new Map()
    for (const [memberId, topics] of this.#byMember) {
      const assigned = Array.from(topics, ([topic, partitions]) => ({
        topic,
        partitions: partitions.toSorted((a, b) => a - b),
      }))
      assignments.set(
        memberId,
        assigned.filter(({ partitions }) => partitions.length > 0),
      )
    }
    return assignments
  }
}

function inOrder(members: readonly AssignorMember[]): AssignorMember[] {
  const identity = ({ groupInstanceId, memberId }: AssignorMember) => groupInstanceId ?? memberId
  return members.toSorted((a, b) => (identity(a) < identity(b) ? -1 : identity(a) > identity(b) ? 1 : 0))
}

/** The first of those with the least; `members` is not empty. */
function leastOf(members: readonly AssignorMember[], weigh: (memberId: string) => number): AssignorMember {
  return members.reduce((least, member) => (weigh(member.memberId) < weigh(least.memberId) ? member : least))
}

function keyOf(topic: string, partition: number): string {
  return `${topic} ${partition}`
}
