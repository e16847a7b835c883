import Table from 'cli-table3'
import type { CaseResult } from './cases/case.ts'
import type { ServerResult } from './servers/conform.ts'

/** What came of one runtime. */
export interface Report {
  readonly runtime: string
  readonly title: string
  /** `undefined` where it is missing. */
  readonly version: string | undefined
  readonly results: readonly CaseResult[]
  /** The server half in each framework, where there is one. */
  readonly servers: readonly ServerResult[]
  readonly seconds: number
  /** Why it could not be run, or not to its end. */
  readonly problem: string | undefined
}

export const HEAD: readonly string[] = ['Runtime', 'Version', 'Passed', 'Failed', 'Skipped', 'Time']

export const count = ({ results }: Report, result: CaseResult['result']): number =>
  results.filter((each) => each.result === result).length

export function rowOf(report: Report): string[] {
  if (report.version === undefined) return [report.title, 'missing', '-', '-', '-', '-']
  const counts = (['passed', 'failed', 'skipped'] as const).map((result) => String(count(report, result)))
  return [report.title, report.version, ...counts, `${report.seconds.toFixed(1)} s`]
}

/** The frameworks of the second table, by its columns. */
export const serverHead = (reports: readonly Report[]): string[] => [
  'Runtime',
  ...new Set(reports.flatMap(({ servers }) => servers.map(({ framework }) => framework))),
]

/** Of those that have servers, how many rows of the conformance table each framework passes. */
export const serverRows = (reports: readonly Report[]): string[][] =>
  reports
    .filter(({ servers }) => servers.length > 0)
    .map(({ title, servers }) => [title, ...servers.map(({ passed, of }) => `${passed} of ${of}`)])

export function renderTable(reports: readonly Report[]): string {
  return [
    drawn(HEAD, reports.map(rowOf)),
    drawn(serverHead(reports), serverRows(reports)),
    ...reports.flatMap(troubles),
  ].join('')
}

function drawn(head: readonly string[], rows: readonly string[][]): string {
  if (rows.length === 0) return ''
  const table = new Table({ head: [...head], style: { head: [], border: [] } })
  table.push(...rows)
  return `${table.toString()}\n`
}

function troubles({ title, problem, results, servers }: Report): string[] {
  const failed = results.filter(({ result }) => result === 'failed')
  return [
    ...failed.map(({ name, error }) => `✘ ${title}: ${name}: ${error}\n`),
    ...servers.flatMap(({ framework, troubles: lines }) =>
      lines.map((line) => `✘ ${title}: ${framework}: ${line}\n`),
    ),
    ...(problem === undefined ? [] : [`✘ ${problem.startsWith(title) ? '' : `${title}: `}${problem}\n`]),
  ]
}

/** Whether all went well; a runtime that is missing matters where it was asked for. */
export const isGood = (report: Report, needed: boolean): boolean =>
  report.version === undefined
    ? !needed
    : report.problem === undefined &&
      count(report, 'failed') === 0 &&
      count(report, 'passed') > 0 &&
      report.servers.every(({ passed, troubles: lines }) => passed > 0 && lines.length === 0)
