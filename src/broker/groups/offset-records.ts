/**
 * Keys and values of `__consumer_offsets`, in Kafka's own format (`OffsetCommitKey/Value`, `GroupMetadataKey/Value` in
 * group-coordinator's message definitions), so that Kafka's tools can print the topic. Drawn in
 * `schemas/formats/consumer-offsets.md`. Written: key versions 1 and 2, value version 3. Read: also the older values.
 */

import { Packer, Unpacker } from '../classic-types.ts'
import type { PersistedGroup, PersistedMember } from './persisted-group.ts'

export interface CommittedOffset {
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestampMs: number
}

export type OffsetsRecordKey =
  | { readonly kind: 'offset'; readonly groupId: string; readonly topic: string; readonly partition: number }
  | { readonly kind: 'group'; readonly groupId: string }

const OFFSET_KEY_VERSION = 1
const GROUP_KEY_VERSION = 2
const VALUE_VERSION = 3

export function encodeOffsetKey(groupId: string, topic: string, partition: number): Buffer {
  const out = new Packer()
  out.int16(OFFSET_KEY_VERSION)
  out.string(groupId)
  out.string(topic)
  out.int32(partition)
  return out.finish()
}

export function encodeOffsetValue(value: CommittedOffset): Buffer {
  const out = new Packer()
  out.int16(VALUE_VERSION)
  out.int64(value.offset)
  out.int32(value.leaderEpoch)
  out.string(value.metadata)
  out.int64(value.commitTimestampMs)
  return out.finish()
}

export function encodeGroupKey(groupId: string): Buffer {
  const out = new Packer()
  out.int16(GROUP_KEY_VERSION)
  out.string(groupId)
  return out.finish()
}

export function encodeGroupValue(group: PersistedGroup): Buffer {
  const out = new Packer()
  out.int16(VALUE_VERSION)
  out.string(group.protocolType)
  out.int32(group.generationId)
  out.nullableString(group.protocolName)
  out.nullableString(group.leaderId)
  out.int64(group.stateTimestampMs)
  out.int32(group.members.length)
  for (const member of group.members) {
    out.string(member.memberId)
    out.nullableString(member.groupInstanceId)
    out.string(member.clientId)
    out.string(member.clientHost)
    out.int32(member.rebalanceTimeoutMs)
    out.int32(member.sessionTimeoutMs)
    out.bytes(member.subscription)
    out.bytes(member.assignment)
  }
  return out.finish()
}

/** Decodes a key; null for one of a kind that is not known here (such as another group type). */
export function decodeOffsetsKey(bytes: Buffer): OffsetsRecordKey | null {
  const from = new Unpacker(bytes)
  const version = from.int16()
  if (version === 0 || version === OFFSET_KEY_VERSION) {
    return { kind: 'offset', groupId: from.string(), topic: from.string(), partition: from.int32() }
  }
  return version === GROUP_KEY_VERSION ? { kind: 'group', groupId: from.string() } : null
}

/** Decodes an offset value of version 0 to 3; null for a later one. */
export function decodeOffsetValue(bytes: Buffer): CommittedOffset | null {
  const from = new Unpacker(bytes)
  const version = from.int16()
  if (version < 0 || version > VALUE_VERSION) return null
  const offset = from.int64()
  const leaderEpoch = version >= 3 ? from.int32() : -1
  return { offset, leaderEpoch, metadata: from.string(), commitTimestampMs: from.int64() }
}

/** Decodes a group value of version 0 to 3; null for a later one. */
export function decodeGroupValue(groupId: string, bytes: Buffer): PersistedGroup | null {
  const from = new Unpacker(bytes)
  const version = from.int16()
  if (version < 0 || version > VALUE_VERSION) return null
  const protocolType = from.string()
  const generationId = from.int32()
  const protocolName = from.nullableString()
  const leaderId = from.nullableString()
  const stateTimestampMs = version >= 2 ? Math.max(0, from.int64()) : 0
  const members: PersistedMember[] = []
  for (let left = from.int32(); left > 0; left -= 1) {
    const memberId = from.string()
    const groupInstanceId = version >= 3 ? from.nullableString() : null
    const clientId = from.string()
    const clientHost = from.string()
    const rebalanceTimeoutMs = version >= 1 ? from.int32() : -1
    const sessionTimeoutMs = from.int32()
    members.push({
      memberId,
      groupInstanceId,
      clientId,
      clientHost,
      rebalanceTimeoutMs: rebalanceTimeoutMs >= 0 ? rebalanceTimeoutMs : sessionTimeoutMs,
      sessionTimeoutMs,
      subscription: from.bytes(),
      assignment: from.bytes(),
    })
  }
  return { groupId, protocolType, generationId, protocolName, leaderId, stateTimestampMs, members }
}
