/**
 * Which topic holds which stream: the one place that knows the names.
 *
 * A stream's vault topic comes from one template (`raw-vault.{stream}`); the stream `default` has the template's stem
 * (`raw-vault`). The mapping goes both ways: `streamOf(vaultTopicOf(s)) === s` for every valid stream, and no topic
 * but `vaultTopicOf(s)` maps back to `s`. A template without `{stream}` puts every stream into one topic, and that
 * topic is then the stream `default`.
 *
 * It also knows which names a producer may not use: GopherShip's own topics, whose content would otherwise be forged.
 */

import { TOPIC_NAME_CHARS_MAX } from '../core/limits.ts'
import { isOwnTopic, OWN_TOPIC_PREFIXES, OWN_TOPICS } from '../core/own-topics.ts'
import { DEFAULT_STREAM, STREAM_PLACEHOLDER, stemOf } from '../core/topic-template.ts'

/** Every topic name GopherShip uses, as templates; `{stream}` stands for the stream's name. */
export interface StreamTopicTemplates {
  /** Where raw bytes are stored. */
  readonly vault: string
  /** Where events go. */
  readonly enriched: string
  /** Where raw batches go while shedding. */
  readonly passthrough: string
  /** Where records go that no stage could handle. One topic for all streams. */
  readonly deadLetter: string
}

/** What the topics are called unless the configuration says otherwise. */
export const DEFAULT_STREAM_TOPICS: StreamTopicTemplates = {
  vault: 'raw-vault.{stream}',
  enriched: 'enriched.{stream}',
  passthrough: 'passthrough.{stream}',
  deadLetter: 'dead-letter',
}

/** Why a name cannot be a stream: it is not a legal topic name, or it is one of GopherShip's own. */
export type StreamNameProblem = 'illegal' | 'reserved'

/** Kafka's own rule for topic names (`org.apache.kafka.common.internals.Topic`). */
const LEGAL_NAME = /^[a-zA-Z0-9._-]+$/
/** Reserved whatever the templates say, beside the topics that are GopherShip's or Kafka's own. */
const RESERVED_PREFIX = 'raw-vault'

/** The topic that holds the raw bytes of a valid stream. */
export function vaultTopicOf(
  stream: string,
  templates: StreamTopicTemplates = DEFAULT_STREAM_TOPICS,
): string {
  const template = templates.vault
  if (stream === DEFAULT_STREAM) return stemOf(template)
  return template.replace(STREAM_PLACEHOLDER, () => stream)
}

/** The stream whose raw bytes a topic holds; null for a topic that is no vault topic. */
export function streamOf(
  topic: string,
  templates: StreamTopicTemplates = DEFAULT_STREAM_TOPICS,
): string | null {
  const template = templates.vault
  if (topic === stemOf(template)) return DEFAULT_STREAM
  const at = template.indexOf(STREAM_PLACEHOLDER)
  if (at < 0) return null
  const before = template.slice(0, at)
  const after = template.slice(at + STREAM_PLACEHOLDER.length)
  if (topic.length <= before.length + after.length) return null
  if (!topic.startsWith(before) || !topic.endsWith(after)) return null
  const stream = topic.slice(before.length, topic.length - after.length)
  return stream === DEFAULT_STREAM || streamNameProblem(stream, templates) !== null ? null : stream
}

/** The topic that holds the events of a stream. */
export function enrichedTopicOf(
  stream: string,
  templates: StreamTopicTemplates = DEFAULT_STREAM_TOPICS,
): string {
  return templates.enriched.replace(STREAM_PLACEHOLDER, () => stream)
}

/** The topic that holds a stream's raw batches forwarded while shedding. */
export function passthroughTopicOf(
  stream: string,
  templates: StreamTopicTemplates = DEFAULT_STREAM_TOPICS,
): string {
  return templates.passthrough.replace(STREAM_PLACEHOLDER, () => stream)
}

/** True for a name no producer may write to: GopherShip's own topics and Kafka's internal ones. */
export function isReserved(name: string, templates: StreamTopicTemplates = DEFAULT_STREAM_TOPICS): boolean {
  if (isOwnTopic(name) || name === templates.deadLetter || name.startsWith(RESERVED_PREFIX)) return true
  return [templates.vault, templates.enriched, templates.passthrough].some((template) =>
    followsTemplate(name, template),
  )
}

/** Null for a name that may be a stream; otherwise what is wrong with it. Illegal comes before reserved. */
export function streamNameProblem(
  name: string,
  templates: StreamTopicTemplates = DEFAULT_STREAM_TOPICS,
): StreamNameProblem | null {
  if (name.length === 0 || name.length > TOPIC_NAME_CHARS_MAX) return 'illegal'
  if (name === '.' || name === '..' || !LEGAL_NAME.test(name)) return 'illegal'
  if (isReserved(name, templates)) return 'reserved'
  if (isOwnTopic(vaultTopicOf(name, templates))) return 'reserved'
  return name.length > streamNameCharsMax(templates) ? 'illegal' : null
}

/** A regular expression, as text, that matches the name of every vault topic and of no other topic of GopherShip or Kafka. */
export function vaultTopicsPattern(templates: StreamTopicTemplates = DEFAULT_STREAM_TOPICS): string {
  const stem = literal(stemOf(templates.vault))
  const [before = '', after] = templates.vault.split(STREAM_PLACEHOLDER).map(literal)
  if (after === undefined) return `^${stem}$`
  const reserved = [
    ...[RESERVED_PREFIX, ...OWN_TOPIC_PREFIXES].map(literal),
    ...[DEFAULT_STREAM, ...OWN_TOPICS].map((name) => `${literal(name)}${after}$`),
  ]
  return `^${stem}$|^${before}(?!${reserved.join('|')}).+${after}$`
}

/** The longest stream name whose topics all stay within Kafka's limit. */
export function streamNameCharsMax(templates: StreamTopicTemplates = DEFAULT_STREAM_TOPICS): number {
  const overhead = [templates.vault, templates.enriched, templates.passthrough].map((template) =>
    template.includes(STREAM_PLACEHOLDER) ? template.length - STREAM_PLACEHOLDER.length : 0,
  )
  return TOPIC_NAME_CHARS_MAX - Math.max(...overhead)
}

/** A name's text as it stands in a regular expression: of its characters only the dot means something there. */
const literal = (name: string): string => name.replaceAll('.', '\\.')

function followsTemplate(name: string, template: string): boolean {
  const at = template.indexOf(STREAM_PLACEHOLDER)
  if (at < 0) return name === template
  const before = template.slice(0, at)
  const after = template.slice(at + STREAM_PLACEHOLDER.length)
  // A template that is all placeholder cannot reserve every name there is.
  if (before === '' && after === '') return false
  if (name === stemOf(template)) return true
  return name.length > before.length + after.length && name.startsWith(before) && name.endsWith(after)
}
