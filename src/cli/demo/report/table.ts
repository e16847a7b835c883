import Table from 'cli-table3'
import pc from 'picocolors'
import { NO_FRAME, withoutTrailingBlanks } from '../../frameless.ts'
import type { DemoOptions } from '../options.ts'
import type { ColumnReport } from './counts.ts'
import type { FaultReport } from './faults.ts'
import { failedClaims, type DemoReport } from './verdict.ts'

type Colours = ReturnType<typeof pc.createColors>
type Cell = (column: ColumnReport) => string

const NONE = '-'

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
const many = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** The table and what it means, for a person. */
export function renderReport(report: DemoReport, options: DemoOptions, coloured: boolean): string {
  const colours = pc.createColors(coloured)
  return [
    '',
    renderTable(report, colours),
    ...legend(colours),
    '',
    ...faultLines(report.faults, options, colours),
    '',
    ...verdictLines(report, colours),
    '',
  ].join('\n')
}

function renderTable({ bare, naive, holdfast }: DemoReport, colours: Colours): string {
  const { bold, cyan, dim } = colours
  const table = new Table({
    chars: { ...NO_FRAME, middle: '    ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: ['left', 'right', 'right', 'right'],
  })
  const row = (label: string, cell: Cell): void => {
    table.push([`  ${label}`, cell(bare), cell(naive), cell(holdfast)])
  }
  const gap = (): void => void table.push(['', '', '', ''])
  table.push(['', bold('bare fetch'), bold('naive loop'), bold(cyan('Holdfast'))])
  table.push(['', dim('no retries'), dim('4 retries, no keys'), dim('its defaults')])
  gap()
  row('ordered', ({ ordered }) => String(ordered))
  row('confirmed', ({ confirmed, ordered }) => mark(colours, confirmed, confirmed === ordered))
  row(bold('lost'), ({ lost }) => mark(colours, lost, lost === 0))
  row(bold('doubled'), ({ doubled }) => mark(colours, doubled, doubled === 0))
  row(bold('unsure'), ({ unsure }) => mark(colours, unsure, unsure === 0))
  gap()
  row('requests sent', ({ requests }) => String(requests))
  row('retries', ({ retries }) => countOrNone(retries))
  row('circuit openings', ({ circuitOpenings }) => countOrNone(circuitOpenings))
  row('parked, sent again', ({ parked }) => countOrNone(parked))
  row('  parked for, each', ({ parked, parkedMs }) => (parked === 0 ? NONE : seconds(parkedMs / parked)))
  row('time', ({ durationMs }) => seconds(durationMs))
  return withoutTrailingBlanks(table.toString())
}

const countOrNone = (count: number): string => (count === 0 ? NONE : String(count))

function mark({ bold, green, red }: Colours, count: number, good: boolean): string {
  return good ? green(bold(String(count))) : red(bold(String(count)))
}

function legend({ dim }: Colours): string[] {
  return [
    '',
    dim('  lost      in the database nowhere, at the end'),
    dim('  doubled   in the database more than once'),
    dim('  unsure    in the database, but its client never got to know'),
    dim("  parked    set aside by the demo's own loop, sent again with the same key"),
  ]
}

function faultLines(faults: FaultReport, { seed, fast }: DemoOptions, { dim }: Colours): string[] {
  return [
    dim(`  The same faults for all three (seed ${seed}), counted by the servers that made them:`),
    dim(`  ${many(faults.serverErrors, '5xx answer')}, ${many(faults.resets, 'connection')} reset, `) +
      dim(`${many(faults.lostAfterCommit, 'answer')} lost after the commit,`),
    dim(
      `  ${many(faults.delayed, 'request')} delayed, and the service gone altogether for ${seconds(faults.outageMs)}.`,
    ),
    ...(fast ? [dim('  Times are those of the plan, which passed twenty times as fast.')] : []),
  ]
}

function verdictLines(report: DemoReport, { bold, green, red }: Colours): string[] {
  const failures = failedClaims(report)
  if (failures.length > 0) return failures.map((failure) => `  ${red(bold('✘'))} ${failure}.`)
  const { bare, naive, holdfast } = report
  return [
    `  ${green(bold('✔'))} ${bold('Holdfast')}: ${holdfast.confirmed} of ${holdfast.ordered} orders confirmed, ` +
      'none lost, none doubled, none unsure.',
    `    Bare fetch lost ${bare.lost} of them, the naive loop placed ${naive.doubled} more than once.`,
  ]
}
