import Table from 'cli-table3'
import pc from 'picocolors'
import type { ConformanceReport, ConformanceResult, ConformanceSummary } from '../../testing/index.ts'
import { NO_FRAME, withoutTrailingBlanks } from '../frameless.ts'

type Colours = ReturnType<typeof pc.createColors>

/** The table, what failed in detail, and what it comes to, for a person. */
export function renderReport(report: ConformanceReport, coloured: boolean): string {
  const colours = pc.createColors(coloured)
  const details = report.rows.filter(
    ({ level, result }) => (level !== 'MAY' && result === 'fail') || result === 'inconclusive',
  )
  return [
    '',
    renderTable(report, colours),
    '',
    ...details.flatMap(({ id, level, detail }) => [`  ${colours.bold(id)} ${level}: ${detail}`, '']),
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
  if (result === 'inconclusive') return yellow('? inconclusive')
  if (result === 'skipped') return dim(`- ${detail}`)
  if (level === 'MUST') return red('✘ fail')
  return level === 'SHOULD' ? yellow('! warning') : dim('- not offered')
}

function verdict({ url, summary }: ConformanceReport, { bold, green, red }: Colours): string[] {
  const { passed, failed, blocked, inconclusive, warnings, notOffered, skipped } = summary
  const counts =
    `${passed} passed, ${failed} failed, ${blocked} not shown since another failed, ${inconclusive} inconclusive, ` +
    `${warnings} warnings, ${notOffered} not offered, ${skipped} skipped`
  const mark = summary.conforms ? green(bold('✔')) : red(bold('✘'))
  return [`  ${mark} ${bold(url)} ${sentenceOf(summary)}: ${counts}.`]
}

function sentenceOf({ conforms, failed }: ConformanceSummary): string {
  if (conforms) return 'does what an API must'
  return failed > 0 ? 'does not do all that an API must' : 'was not shown to do all that an API must'
}
