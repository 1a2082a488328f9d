/** A producer's topic name is a stream name; these are the Kafka answers for names that are none. */

import type { StreamTopicTemplates } from '../../vault/stream-topics.ts'
import { streamNameProblem } from '../../vault/stream-topics.ts'
import { KAFKA_ERROR } from '../../wire/error-codes.ts'

/** NONE, INVALID_TOPIC_EXCEPTION for an illegal name, TOPIC_AUTHORIZATION_FAILED for one of GopherShip's own. */
export function codeOfTopicName(name: string, templates: StreamTopicTemplates): number {
  switch (streamNameProblem(name, templates)) {
    case null:
      return KAFKA_ERROR.NONE
    case 'reserved':
      return KAFKA_ERROR.TOPIC_AUTHORIZATION_FAILED
    case 'illegal':
      return KAFKA_ERROR.INVALID_TOPIC_EXCEPTION
  }
}

/** A name from outside, for a diagnostic: cut, and with every control byte escaped. */
export function printable(name: string): string {
  return JSON.stringify(name.slice(0, 100))
}
