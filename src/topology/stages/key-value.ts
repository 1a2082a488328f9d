/**
 * The key-value stage: pairs inside a text message (`authentication failure; uid=0 euid=0 user=root`) become
 * attributes under their own names, as text; the body keeps them. Only a message with at least `pairsMin` pairs is
 * read, a key must start a word, and an attribute that is there already is left alone.
 */

import { z } from 'zod'
import { MessagePairs, PAIRS_MAX } from '../message-pairs.ts'
import { defineStage } from '../stage.ts'

const MESSAGE_CHARS_MAX = 65_536

export const keyValueStage = defineStage({
  name: 'key-value',
  summary: 'Takes key=value pairs out of text messages as attributes; the body keeps them.',
  options: z.strictObject({
    pairsMin: z
      .number()
      .int()
      .min(1)
      .max(PAIRS_MAX)
      .default(2)
      .describe('Fewest pairs that make a message worth reading.'),
  }),
  create: ({ pairsMin }) => {
    const pairs = new MessagePairs()
    return ({ attributes, body, format }) => {
      // Of structured lines and access logs nothing is left to find: there an `=` is part of a value or a URL.
      if (format !== 'message' && format !== 'text') return
      if (typeof body !== 'string' || body.length > MESSAGE_CHARS_MAX || !body.includes('=')) return
      // JSON that was cut short is no list of pairs, whatever stands in its strings.
      if (/^\s*[{[]\s*["{[]/.test(body)) return
      const count = pairs.find(body)
      if (count < pairsMin) return
      for (let index = 0; index < count; index += 1)
        attributes.setIfAbsent(pairs.keys[index] as string, pairs.values[index] as string)
    }
  },
})
