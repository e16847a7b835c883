import Table from 'cli-table3'
import pc from 'picocolors'
import type { ConformanceReport, ConformanceResult } from '../../testing/index.ts'
import { NO_FRAME, withoutTrailingBlanks } from '../frameless.ts'

type Colours = ReturnType<typeof pc.createColors>

/** The table, what failed in detail, and what it comes to, for a person. */
export function renderReport(report: ConformanceReport, coloured: boolean): string {
  const colours = pc.createColors(coloured)
  const failures = report.rows.filter(({ level, result }) => level !== 'MAY' && result === 'fail')
  return [
    '',
    renderTable(report, colours),
    '',
    ...failures.flatMap(({ id, level, detail }) => [`  ${colours.bold(id)} ${level}: ${detail}`, '']),
    ...verdict(report, colours),
  ].join('\n')
}

function renderTable({ rows, notBlackBox }: ConformanceReport, colours: Colours): string {
  const table = new Table({
    chars: { ...NO_FRAME, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  for (const row of rows) table.push([`  ${row.id}`, row.level, row.title, resultOf(row, colours)])
  for (const { id, title, why } of notBlackBox) {
    table.push([`  ${id}`, '', colours.dim(title), colours.dim(`not black-box: ${why}`)])
  }
  return withoutTrailingBlanks(table.toString())
}

function resultOf(
  { level, result, detail = '' }: ConformanceResult,
  { dim, green, red, yellow }: Colours,
): string {
  if (result === 'pass') return green('✔ pass')
  if (result === 'skipped') return dim(`- ${detail}`)
  if (level === 'MUST') return red('✘ fail')
  return level === 'SHOULD' ? yellow('! warning') : dim('- not offered')
}

function verdict({ url, summary }: ConformanceReport, { bold, green, red }: Colours): string[] {
  const { passed, failed, blocked, warnings, notOffered, skipped } = summary
  const counts =
    `${passed} passed, ${failed} failed, ${blocked} not shown since another failed, ${warnings} warnings, ` +
    `${notOffered} not offered, ${skipped} skipped`
  const mark = summary.conforms ? green(bold('✔')) : red(bold('✘'))
  const sentence = summary.conforms ? 'does what an API must' : 'does not do all that an API must'
  return [`  ${mark} ${bold(url)} ${sentence}: ${counts}.`]
}
