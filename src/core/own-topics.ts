/** How the topics are called that are GopherShip's own or Kafka's, whatever the configuration says. None of them is ever a vault topic. */

export const OWN_TOPIC_PREFIXES: readonly string[] = ['enriched.', 'passthrough.', 'gophership.', '__']
export const OWN_TOPICS: readonly string[] = ['dead-letter']

/** True for a topic of that kind. */
export function isOwnTopic(name: string): boolean {
  return OWN_TOPICS.includes(name) || OWN_TOPIC_PREFIXES.some((prefix) => name.startsWith(prefix))
}
