/**
 * ListOffsets 1–7: passed on to the partitions' leaders upstream under the vault's topic names, for `kcat -Q` and for
 * tools that show how far a producer has come. A partition that cannot be asked about gets an error of its own.
 */

import { isFailure } from '../../core/errors.ts'
import { kafkaErrorCodeOf } from '../../kafka/kafka-errors.ts'
import type { ListenerReply, ListenerRequest } from '../../listener/listener-types.ts'
import type { VaultStream } from '../../vault/vault-writer.ts'
import { within } from '../../vault/within.ts'
import { listOffsetsApi } from '../../wire/02-list-offsets.ts'
import type { RequestOf } from '../../wire/api.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'
import { encodeResponseFrame } from '../../wire/frame.ts'
import { WireError } from '../../wire/wire-error.ts'
import type { IngressContext } from './handler-types.ts'
import { codeOfTopicName } from './stream-names.ts'

type ListOffsetsRequest = RequestOf<typeof listOffsetsApi>
type PartitionAsked = ListOffsetsRequest['topics'][number]['partitions'][number]

interface PartitionAnswer {
  partitionIndex: number
  errorCode: number
  timestamp: number
  offset: number
  leaderEpoch: number
}

/** Each partition is a request upstream; nobody has a reason to ask about more at once. */
const PARTITIONS_MAX = 1000
const LOOK_UP_MS_MAX = 10_000

export async function handleListOffsets(
  request: ListenerRequest,
  context: IngressContext,
): Promise<ListenerReply> {
  const { header, frame, bodyStart } = request
  const value = listOffsetsApi.decodeRequest(frame, bodyStart, header.apiVersion)
  const partitionCount = value.topics.reduce((sum, { partitions }) => sum + partitions.length, 0)
  if (partitionCount > PARTITIONS_MAX) {
    throw new WireError('GS_WIRE_MALFORMED', `ListOffsets: at most ${PARTITIONS_MAX} partitions at once`, {
      partitionCount,
    })
  }
  const topics = await Promise.all(
    value.topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await listTopic(context, value.isolationLevel, name, partitions),
    })),
  )
  return encodeResponseFrame(listOffsetsApi, header.apiVersion, header.correlationId, { topics })
}

async function listTopic(
  context: IngressContext,
  isolationLevel: number,
  name: string,
  partitions: readonly PartitionAsked[],
): Promise<PartitionAnswer[]> {
  const nameCode = codeOfTopicName(name, context.templates)
  if (nameCode !== KAFKA_ERROR.NONE) return partitions.map((asked) => failed(asked, nameCode))
  let stream: VaultStream | null
  try {
    stream =
      context.vault.known(name) ??
      (await within(context.clock, LOOK_UP_MS_MAX, 'a look-up', context.vault.find(name)))
  } catch (error) {
    return partitions.map((asked) => failed(asked, codeOfLookUp(error)))
  }
  if (stream === null) return partitions.map((asked) => failed(asked, KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION))
  const { topic, partitionCount } = stream
  return Promise.all(
    partitions.map((asked) =>
      asked.partitionIndex < 0 || asked.partitionIndex >= partitionCount
        ? failed(asked, KAFKA_ERROR.UNKNOWN_TOPIC_OR_PARTITION)
        : listPartition(context, isolationLevel, topic, asked),
    ),
  )
}

async function listPartition(
  context: IngressContext,
  isolationLevel: number,
  topic: string,
  asked: PartitionAsked,
): Promise<PartitionAnswer> {
  const { partitionIndex, timestamp } = asked
  try {
    const answer = await context.cluster.request(
      listOffsetsApi,
      {
        replicaId: -1,
        isolationLevel,
        topics: [{ name: topic, partitions: [{ partitionIndex, timestamp }] }],
      },
      { topic, partition: partitionIndex },
      { timeoutMs: LOOK_UP_MS_MAX },
    )
    const found = answer.topics[0]?.partitions[0]
    if (found === undefined) return failed(asked, KAFKA_ERROR.LEADER_NOT_AVAILABLE)
    // The leader epoch is the upstream's; here there is one leader for ever.
    return { ...found, leaderEpoch: 0 }
  } catch (error) {
    return failed(asked, codeOfLookUp(error))
  }
}

/** A look-up may always be repeated, so what went wrong in between is "no leader at the moment". */
function codeOfLookUp(error: unknown): number {
  if (!isFailure(error)) throw error
  return kafkaErrorCodeOf(error) ?? KAFKA_ERROR.LEADER_NOT_AVAILABLE
}

function failed({ partitionIndex }: PartitionAsked, errorCode: number): PartitionAnswer {
  return { partitionIndex, errorCode, timestamp: -1, offset: -1, leaderEpoch: -1 }
}
