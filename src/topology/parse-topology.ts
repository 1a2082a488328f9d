/** A topology from YAML text; never from the disk. */

import { parse, YAMLParseError } from 'yaml'
import { GopherShipError } from '../core/errors.ts'
import type { TopologyDeclaration } from './declaration.ts'
import { checkTopology } from './declaration.ts'

/**
 * Reads a topology from YAML text. `origin` names the file in messages.
 * Throws GS_TOPOLOGY_INVALID naming every fault at once.
 */
export function parseTopology(yamlText: string, origin: string): TopologyDeclaration {
  let document: unknown
  try {
    document = parse(yamlText, { maxAliasCount: 100 })
  } catch (cause) {
    const place = cause instanceof YAMLParseError ? cause.message.split('\n')[0] : 'it cannot be read'
    throw new GopherShipError('GS_TOPOLOGY_INVALID', `${origin} is to be a YAML document: ${place}`, {
      cause,
    })
  }
  return checkTopology(document, origin)
}
