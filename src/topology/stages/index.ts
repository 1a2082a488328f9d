/** The stages that ship, written out. A topology may name these and those its user adds. */

import type { AnyStageDefinition } from '../stage.ts'
import { accessLogStage } from './access-log.ts'
import { containerStage } from './container.ts'
import { formatStage } from './format.ts'
import { glanceStage } from './glance.ts'
import { jsonStage } from './json.ts'
import { keyValueStage } from './key-value.ts'
import { logfmtStage } from './logfmt.ts'
import { lookupStage } from './lookup.ts'
import { redactStage } from './redact.ts'
import { severityStage } from './severity.ts'
import { syslogStage } from './syslog.ts'
import { textStage } from './text.ts'
import { timestampStage } from './timestamp.ts'
import { traceContextStage } from './trace-context.ts'

export const SHIPPED_STAGES: readonly AnyStageDefinition[] = [
  formatStage,
  glanceStage,
  containerStage,
  syslogStage,
  textStage,
  jsonStage,
  accessLogStage,
  logfmtStage,
  keyValueStage,
  timestampStage,
  severityStage,
  traceContextStage,
  lookupStage,
  redactStage,
]
