/** Which topics a replay may write to. Replayed records must not be taken for new ones by accident. */

import { TOPIC_NAME_CHARS_MAX } from '../core/limits.ts'
import { isReserved, type StreamTopicTemplates, streamOf } from '../vault/stream-topics.ts'
import { invalidReplay } from './replay-error.ts'

export interface TargetTopicOptions {
  readonly target: string
  /** The vault topic that is replayed. */
  readonly source: string
  readonly templates: StreamTopicTemplates
  /** The person said that a live topic is meant. */
  readonly isLiveMeant: boolean
}

const LEGAL_NAME = /^[a-zA-Z0-9._-]+$/
/** Topics of GopherShip's own books, and Kafka's: nobody but their owner may write there. */
const CLOSED_PREFIXES = ['gophership.', '__']

/** Throws GS_REPLAY_INVALID, saying why and what to write instead. */
export function checkTargetTopic({ target, source, templates, isLiveMeant }: TargetTopicOptions): void {
  if (!LEGAL_NAME.test(target) || target.length > TOPIC_NAME_CHARS_MAX || target === '.' || target === '..') {
    throw invalidReplay(
      `expected --to-topic to be a topic name (letters, digits, dots, hyphens, underscores, at most ${TOPIC_NAME_CHARS_MAX}), found "${target}"`,
    )
  }
  const example = `such as --to-topic replay.${streamOf(source, templates) ?? 'copy'}`
  if (target === source || streamOf(target, templates) === streamOf(source, templates)) {
    throw invalidReplay(
      `cannot replay ${source} into ${target}, which is the source itself: each copy would be read again, without end, and every record would be enriched twice. Choose another topic, ${example}.`,
    )
  }
  if (CLOSED_PREFIXES.some((prefix) => target.startsWith(prefix))) {
    throw invalidReplay(
      `cannot replay into ${target}: topics with that beginning hold books, not records. Choose another, ${example}.`,
    )
  }
  if (isReserved(target, templates) && !isLiveMeant) {
    const what =
      streamOf(target, templates) === null ? 'its readers would see' : 'its processors would enrich'
    throw invalidReplay(
      `${target} is a live topic of GopherShip: ${what} the copies as new records. Choose another topic, ${example}, or say --into-live when that is meant.`,
    )
  }
}
