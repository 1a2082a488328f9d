/** The common part of CreateTopics and of Metadata that creates what it is asked for. */

import type { BrokerContext } from '../broker-context.ts'
import type { Topic } from '../topics/topic.ts'
import type { TopicDeclaration } from '../topics/topic-registry.ts'

/**
 * Creates a topic that is not there, `alone`; the caller has checked all there is to check. Offsets that were committed for
 * a predecessor may be there still: its deletion is durable before they are forgotten, and the power may fail in between.
 * A group would begin where it ended then, and skip the first records of the new topic.
 */
export function createTopic(
  declaration: TopicDeclaration,
  { topics, offsets }: BrokerContext,
): Promise<Topic> {
  return topics.create(declaration, () => offsets.deleteTopic(declaration.name))
}
