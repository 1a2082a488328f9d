/**
 * What a client may do, as the bit fields that Kafka answers with when it is asked (KIP-430). Nobody is refused anything
 * here, so the answer is every operation that the kind of resource knows, as from a Kafka without an authorizer.
 */

/** Kafka's numbers of operations (`AclOperation`): each is a bit of the answer. */
const OPERATION = {
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  clusterAction: 9,
  describeConfigs: 10,
  alterConfigs: 11,
  idempotentWrite: 12,
} as const

type Operation = keyof typeof OPERATION

function bitsOf(...operations: readonly Operation[]): number {
  return operations.reduce((bits, operation) => bits | (1 << OPERATION[operation]), 0)
}

export const TOPIC_OPERATIONS = bitsOf(
  'read',
  'write',
  'create',
  'delete',
  'alter',
  'describe',
  'describeConfigs',
  'alterConfigs',
)

export const CLUSTER_OPERATIONS = bitsOf(
  'create',
  'alter',
  'describe',
  'clusterAction',
  'describeConfigs',
  'alterConfigs',
  'idempotentWrite',
)

export const GROUP_OPERATIONS = bitsOf('read', 'delete', 'describe')

/** "Not asked for" in the answer. */
export const OPERATIONS_NOT_ASKED = -2147483648
