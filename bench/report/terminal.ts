import Table from 'cli-table3'
import pc from 'picocolors'
import type { Result, Section } from '../harness/result.ts'
import { comparisonGrid, factsGrid, growthGrid, TEXT_COLUMNS, verdict, type Grid } from './columns.ts'
import { describeLoss, lossesOf } from './losses.ts'

const EDGES = ['top', 'bottom', 'left', 'right', 'mid']
const NO_FRAME = Object.fromEntries(
  EDGES.flatMap((edge) => [
    edge,
    `${edge}-mid`,
    `${edge}-left`,
    `${edge}-right`,
    `left-${edge}`,
    `right-${edge}`,
  ]).map((edge) => [edge, '']),
)

/** A result for a person at a terminal. */
export function renderResult({ what, sections, machine, quick }: Result): string {
  const { bold, dim, yellow } = pc
  return [
    '',
    bold(what),
    dim(`${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, commit ${machine.commit}`),
    ...(quick ? [yellow('A quick run: good enough to see that it works, not to quote.')] : []),
    ...sections.flatMap(renderSection),
    '',
  ].join('\n')
}

function renderSection(section: Section): string[] {
  const { bold, dim, green, red } = pc
  const title = ['', bold(section.title), dim(section.note)]
  if (section.kind === 'growth') {
    const paint = section.grows.length === 0 ? green : red
    return [...title, drawn(growthGrid(section), 0), paint(verdict(section))]
  }
  if (section.kind === 'facts') return [...title, drawn(factsGrid(section), TEXT_COLUMNS)]
  const losses = lossesOf(section).map((loss) => `${red('-')} ${describeLoss(loss)}`)
  return [...title, drawn(comparisonGrid(section), TEXT_COLUMNS), ...losses]
}

function drawn({ head, rows }: Grid, textColumns: number): string {
  const table = new Table({
    chars: { ...NO_FRAME, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: head.map((_, index) => (index < textColumns ? 'left' : 'right')),
  })
  table.push(head.map((cell) => pc.dim(cell)))
  for (const { cells, marked } of rows) table.push(cells.map((cell) => (marked ? pc.cyan(cell) : cell)))
  return table.toString()
}
