/** Which names a topic may have: Kafka's own rule (`org.apache.kafka.common.internals.Topic`). */

import { TOPIC_NAME_CHARS_MAX } from '../../core/limits.ts'

const LEGAL = /^[a-zA-Z0-9._-]+$/

/** The broker's own topic of committed offsets and group state. */
export const OFFSETS_TOPIC = '__consumer_offsets'

/** The broker's own topic of transactional ids and their transactions. */
export const TRANSACTIONS_TOPIC = '__transaction_state'

/** What is wrong with a topic name, as a sentence for the client, or null when it is legal. */
export function topicNameProblem(name: string): string | null {
  if (name === '') return 'the topic name is empty'
  if (name === '.' || name === '..') return `the topic name cannot be "." or ".."`
  if (name.length > TOPIC_NAME_CHARS_MAX) {
    return `the topic name has ${name.length} characters, the most allowed is ${TOPIC_NAME_CHARS_MAX}`
  }
  if (!LEGAL.test(name)) {
    return 'the topic name may hold only ASCII letters, digits, ".", "_" and "-"'
  }
  return null
}

/** True for topics that only the broker itself writes. */
export function isInternalTopic(name: string): boolean {
  return name === OFFSETS_TOPIC || name === TRANSACTIONS_TOPIC
}
