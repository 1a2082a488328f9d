/** A topology shown before anything runs: as text for a terminal, as a Mermaid flowchart, as JSON for programs. */

import type { CompiledTopology } from './compile.ts'
import { stagesAt } from './compile.ts'
import type { Density } from './declaration.ts'
import { DENSITIES } from './declaration.ts'
import { shortUrl } from './user-stages.ts'

/** What `describeAsJson` gives. */
export interface TopologyDescription {
  readonly name: string
  readonly summary: string | null
  readonly source: { readonly streams: 'all' | readonly string[] }
  readonly timeZone: string
  readonly stages: readonly {
    readonly stage: string
    readonly summary: string
    /** The file of a stage of the user's own; null for one that ships. */
    readonly module: string | null
    readonly tiers: readonly string[]
    readonly options: Readonly<Record<string, unknown>>
  }[]
  /** Stage names in order, for each density. */
  readonly tiers: Readonly<Record<Density, readonly string[]>>
  readonly sinks: { readonly enriched: string; readonly deadLetter: string }
}

export function describeAsJson(topology: CompiledTopology): TopologyDescription {
  const { declaration } = topology
  const namesAt = (density: Density) => stagesAt(topology, density).map((stage) => stage.name)
  return {
    name: topology.name,
    summary: declaration.summary ?? null,
    source: declaration.source,
    timeZone: topology.timeZone,
    stages: topology.stages.map(({ name, summary, module, tiers, options }) => ({
      stage: name,
      summary,
      module: module === null ? null : shortUrl(module),
      tiers,
      options,
    })),
    tiers: { full: namesAt('full'), partial: namesAt('partial'), passthrough: namesAt('passthrough') },
    sinks: declaration.sinks,
  }
}

/** Lines for a terminal, at most about a hundred columns wide; ends with a line feed. */
export function describeAsText(topology: CompiledTopology): string {
  const { declaration } = topology
  const wide = Math.max(...topology.stages.map((stage) => stage.name.length), 0)
  const stages = topology.stages.flatMap(({ name, summary, module, tiers, options }, index) => {
    const marks = (['full', 'partial'] as const)
      .map((tier) => (tiers.includes(tier) ? tier : '').padEnd(8))
      .join('')
    const lines = [`  ${`${index + 1}`.padStart(2)}  ${name.padEnd(wide)}  ${marks} ${summary}`]
    if (module !== null)
      lines.push(`      ${''.padEnd(wide)}  ${''.padEnd(16)} your own, from ${shortUrl(module)}`)
    const given = Object.keys(options).length > 0
    if (given) lines.push(`      ${''.padEnd(wide)}  ${''.padEnd(16)} options ${JSON.stringify(options)}`)
    return lines
  })
  return [
    `topology  ${topology.name}`,
    ...(declaration.summary === undefined ? [] : [`          ${declaration.summary}`]),
    `source    ${sourceText(topology)}`,
    `zone      ${topology.timeZone}, for times that carry no offset`,
    'stages    in order, each with the density tiers in which it runs',
    ...stages,
    ...tierLines(topology),
    `sinks     events to ${declaration.sinks.enriched}`,
    `          records that no stage could handle to ${declaration.sinks.deadLetter}`,
    '',
  ].join('\n')
}

/** What runs at each density, in order. */
function tierLines(topology: CompiledTopology): string[] {
  return DENSITIES.flatMap((density, index) => {
    const names = stagesAt(topology, density).map((stage) => stage.name)
    const text =
      density === 'passthrough'
        ? 'no stage: batches are forwarded as they are, and are owed'
        : names.length === 0
          ? 'no stage: the event is the line'
          : names.join(' → ')
    return wrap(text, TIER_COLUMNS).map((line, lineIndex) => {
      const title = index === 0 && lineIndex === 0 ? 'tiers' : ''
      return `${title.padEnd(10)}${(lineIndex === 0 ? density : '').padEnd(13)}${line}`
    })
  })
}

const TIER_COLUMNS = 80

/** Breaks text between words into lines of at most so many characters, where words allow it. */
function wrap(text: string, columns: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1] as string
    if (line === '') lines[lines.length - 1] = word
    else if (line.length + 1 + word.length <= columns) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}

/** A flowchart for anything that renders Mermaid; ends with a line feed. */
export function describeAsMermaid(topology: CompiledTopology): string {
  const { declaration } = topology
  const lines = ['flowchart LR', `  source[("${escapeLabel(sourceText(topology))}")]`]
  for (const [index, stage] of topology.stages.entries()) {
    lines.push(`  s${index}["${escapeLabel(stage.name)}<br/><small>${stage.tiers.join(', ')}</small>"]`)
  }
  lines.push(`  enriched[("${escapeLabel(declaration.sinks.enriched)}")]`)
  lines.push(`  deadLetter[("${escapeLabel(declaration.sinks.deadLetter)}")]`)
  for (const density of DENSITIES) {
    if (density === 'passthrough') continue
    const path = topology.stages.flatMap((stage, index) =>
      stage.tiers.includes(density) ? [`s${index}`] : [],
    )
    const nodes = ['source', ...path, 'enriched']
    for (let at = 1; at < nodes.length; at += 1) lines.push(`  ${nodes[at - 1]} -->|${density}| ${nodes[at]}`)
  }
  for (const index of topology.stages.keys()) lines.push(`  s${index} -.->|failed| deadLetter`)
  return `${lines.join('\n')}\n`
}

function sourceText(topology: CompiledTopology): string {
  const { streams } = topology.declaration.source
  return streams === 'all' ? 'every stream of the vault' : `streams ${streams.join(', ')}`
}

/** Mermaid reads entities in quoted labels; names come from files. */
function escapeLabel(text: string): string {
  return text.replace(/[&"<>#;]/g, (char) => `#${char.charCodeAt(0)};`)
}
