import Table from 'cli-table3'
import type { CaseResult } from './cases/case.ts'

/** What came of one runtime. */
export interface Report {
  readonly runtime: string
  readonly title: string
  /** `undefined` where it is missing. */
  readonly version: string | undefined
  readonly results: readonly CaseResult[]
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

export function renderTable(reports: readonly Report[]): string {
  const table = new Table({ head: [...HEAD], style: { head: [], border: [] } })
  table.push(...reports.map(rowOf))
  return [`${table.toString()}\n`, ...reports.flatMap(troubles)].join('')
}

function troubles({ title, problem, results }: Report): string[] {
  const failed = results.filter(({ result }) => result === 'failed')
  return [
    ...failed.map(({ name, error }) => `✘ ${title}: ${name}: ${error}\n`),
    ...(problem === undefined ? [] : [`✘ ${problem.startsWith(title) ? '' : `${title}: `}${problem}\n`]),
  ]
}

/** Whether all went well; a runtime that is missing matters where it was asked for. */
export const isGood = (report: Report, needed: boolean): boolean =>
  report.version === undefined
    ? !needed
    : report.problem === undefined && count(report, 'failed') === 0 && count(report, 'passed') > 0
