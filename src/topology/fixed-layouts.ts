/** Which fixed layouts of text are tried on a line: those that its first characters allow, the likeliest first. */

import { readAudit } from './audit-record.ts'
import {
  readLambdaPython,
  readLevelAndBracket,
  readNats,
  readOldRedis,
  readSerilogConsole,
  readSlowQuery,
  readTornado,
  readUwsgi,
  readWebLogic,
} from './bracketed-text.ts'
import { readCisco } from './cisco-message.ts'
import { readLambdaPlatform } from './cloud-text.ts'
import { readDated } from './dated-text.ts'
import type { EventDraft } from './event-draft.ts'
import { readEventFormat } from './event-format.ts'
import { readForwarded } from './forwarded-record.ts'
import { readPaloAlto } from './palo-alto.ts'
import type { TextLayout } from './text-layouts.ts'
import {
  readAndroid,
  readHdfs,
  readHealthApp,
  readHpc,
  readJavaLogging,
  readKlog,
  readOldMysql,
  readProxifier,
  readRedis,
  readRuby,
  readSpark,
  readSupercomputer,
} from './text-layouts.ts'
import { countDigits } from './time/scan-time.ts'
import { readW3c } from './w3c-log.ts'

const SPACE = 0x20
const HASH = 0x23
const COMMA = 0x2c
const COLON = 0x3a
const OPEN = 0x5b

const NONE: readonly TextLayout[] = []
/** Layouts of lines that start with so many digits. */
const BY_DIGIT_COUNT: readonly (readonly TextLayout[])[] = [
  NONE,
  NONE,
  [readSpark, readAndroid],
  NONE,
  [readDated, readW3c],
  NONE,
  [readHdfs, readOldMysql],
  NONE,
  [readHealthApp],
]

/** Layouts of lines that start with a bracket, and a digit or another bracket, or a letter in it. */
const BRACKET_AND_NUMBER: readonly TextLayout[] = [
  readProxifier,
  readForwarded,
  readOldRedis,
  readNats,
  readSerilogConsole,
]
const BRACKET_AND_LETTER: readonly TextLayout[] = [readTornado, readLambdaPython, readUwsgi]

/** Reads the draft's rest when it has one of the layouts; false leaves the draft as it was. */
export function readFixed(draft: EventDraft): boolean {
  const text = draft.rest
  const first = text.charCodeAt(0)
  // Cisco's lines start with a mark, a number or a capital.
  if (first <= 0x5a && readCisco(draft)) return true
  if (first === COMMA) return readPaloAlto(draft)
  if (first >= 0x30 && first <= 0x39) {
    if (readPaloAlto(draft)) return true
    const count = countDigits(text, 0, 9)
    for (const layout of BY_DIGIT_COUNT[count] ?? NONE) if (layout(draft)) return true
    return text.charCodeAt(count) === COLON
      ? readRedis(draft)
      : text.charCodeAt(count) === SPACE && readHpc(draft)
  }
  if (first === OPEN) {
    const layouts = isLetter(text.charCodeAt(1)) ? BRACKET_AND_LETTER : BRACKET_AND_NUMBER
    for (const layout of layouts) if (layout(draft)) return true
    // A list in a list that was not Fluent Bit's is JSON as any other.
    if (text.charCodeAt(1) === OPEN) draft.format = 'json'
    return draft.format === 'json'
  }
  const second = text.charCodeAt(1)
  if (second >= 0x30 && second <= 0x39) return readKlog(draft)
  if (second === 0x2c) return readRuby(draft)
  if (first === HASH) return readSlowQuery(draft) || readWebLogic(draft)
  if ((first >= 0x41 && first <= 0x5a) || first === 0x2d)
    return (
      readEventFormat(draft) ||
      readLevelAndBracket(draft) ||
      readJavaLogging(draft) ||
      readSupercomputer(draft) ||
      readLambdaPlatform(draft)
    )
  return readAudit(draft)
}

function isLetter(char: number): boolean {
  return (char >= 0x41 && char <= 0x5a) || (char >= 0x61 && char <= 0x7a)
}
