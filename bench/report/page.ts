import type { Comparison, Facts, Growth, Result, Section } from '../harness/result.ts'
import { comparisonGrid, factsGrid, growthGrid, TEXT_COLUMNS, verdict, type Grid } from './columns.ts'
import { lineOf } from './figures.ts'
import type { Aim } from './aims.ts'
import { describeLoss, factLossesOf, lossesOf } from './losses.ts'
import { isDrawn, pictureName } from './pictures.ts'
import { renderAims } from './reached.ts'

const HEAD = `# Benchmarks

<!-- Made by \`npm run bench -- report\` from bench/results. Changes by hand are lost. -->

What Holdfast costs, beside what else there is, measured in the same rounds. Run it yourself:

\`\`\`sh
npm run bench               # lists the benchmarks
npm run bench -- policies   # runs one of them
npm run bench -- report     # makes this page from what was kept
\`\`\`

How to read the tables:

- Absolute figures are those of one machine. The **ratio** is to the baseline that is named above the table, taken round
  by round, so that a machine that gets busy for a while slows both sides of it.
- A figure is the median of the rounds; half of the rounds lie within the **spread**.
- **B** is what one call allocates on the heap, garbage included.
- In each round everything is measured once, in an order drawn anew, and in a process of its own, or, as servers, in one
  that stays: what V8 has learned of one library does not slow down another. Peers have the settings that Holdfast has
  by default, as far as they know them.
- misina, a client with the same aims, is not among the peers: npm had no package of that name when this was made.
`

const AIMS = `## What was aimed at

Figures are medians of the tables below, so of the same runs. The **limit** is what the least takes that could do the
same: the work written out by hand for good calls only, or a layer that does nothing. What stands between, and why, says
[What it costs, and why](performance.md).`

/** The documentation's page, from everything that was kept: what was aimed at, then a part for each line of Node. */
export function renderPage(results: readonly Result[], aims: readonly Aim[]): string {
  const lines = [...new Set(results.map(({ machine }) => lineOf(machine.node)))].sort((a, b) => a - b)
  const parts = lines.flatMap((line) => [
    `## Node ${line}`,
    ...renderLosses(
      results.filter(({ machine }) => lineOf(machine.node) === line),
      line,
    ),
    ...results.filter(({ machine }) => lineOf(machine.node) === line).flatMap(renderResult),
  ])
  return `${[HEAD.trimEnd(), AIMS, renderAims(aims, results), ...parts].join('\n\n')}\n`
}

function renderLosses(results: readonly Result[], line: number): string[] {
  const sections = results.flatMap((result) => result.sections)
  const losses = sections
    .filter((section): section is Comparison => section.kind === 'comparison')
    .flatMap((section) => lossesOf(section).map((loss) => `- ${section.title}: ${describeLoss(loss)}.`))
  const factLosses = sections
    .filter((section): section is Facts => section.kind === 'facts')
    .flatMap((section) => factLossesOf(section).map((loss) => `- ${section.title}: ${loss}.`))
  return [
    `### Where we lose on Node ${line}`,
    losses.length === 0
      ? 'Nowhere: no peer that does the same, or a part of it, needs less.'
      : `Peers that do the same, or a part of it, and need less in three quarters of the rounds or more:\n\n${losses.join('\n')}`,
    ...(factLosses.length === 0
      ? []
      : [
          `And where of several figures one of ours is worse than the best of the peers':\n\n${factLosses.join('\n')}`,
        ]),
  ]
}

function renderResult(result: Result): string[] {
  const { bench, what, machine, date, quick } = result
  const versions = Object.entries(machine.versions).map(([library, version]) => `${library} ${version}`)
  const warning = quick ? ['> A quick run: good enough to see that it works, not to quote.'] : []
  return [
    `### ${bench} on Node ${lineOf(machine.node)}`,
    what,
    ...warning,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, Node ${machine.node}, ` +
      `${date.slice(0, 10)}, commit ${machine.commit}; ${versions.join(', ')}.`,
    ...result.sections.flatMap((section) => [
      ...renderSection(section),
      ...(isDrawn(section) ? [`![${section.title}](benchmarks/${pictureName(result, section)})`] : []),
    ]),
  ]
}

function renderSection(section: Section): string[] {
  const title = `**${section.title}.** ${section.note}`
  if (section.kind === 'growth') return [title, ...renderGrowth(section)]
  return [title, section.kind === 'facts' ? renderFacts(section) : renderComparison(section)]
}

function renderGrowth(section: Growth): string[] {
  return [drawn(growthGrid(section), 0), `Verdict: ${verdict(section)}.`]
}

const renderFacts = (section: Facts): string => drawn(factsGrid(section), TEXT_COLUMNS)

const renderComparison = (section: Comparison): string => drawn(comparisonGrid(section), TEXT_COLUMNS)

function drawn({ head, rows }: Grid, textColumns: number): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const rule = head.map((_, index) => (index < textColumns ? '---' : '---:'))
  const bold = (cell: string, index: number): string => (index < textColumns ? `**${cell}**` : cell)
  return [
    line(head),
    line(rule),
    ...rows.map(({ cells, marked }) => line(marked ? cells.map(bold) : cells)),
  ].join('\n')
}
