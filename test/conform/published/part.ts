import { markdownTable } from '../../../bench/report/markdown.ts'
import type { KeptRun, Verdict } from './kept.ts'

type Row = Verdict['rows'][number]

export const failures = ({ rows }: Verdict, level: Row['level']): string[] =>
  rows.filter((row) => row.level === level && row.result === 'fail').map(({ id }) => id)

/** Rows that were not shown: one they need failed, they are not offered, or all was too slow. */
export const untold = ({ rows }: Verdict): string[] =>
  rows.filter(({ result }) => result === 'skipped' || result === 'inconclusive').map(({ id }) => id)

export const passed = ({ summary, rows }: Verdict): string => `${summary.passed} of ${rows.length}`

export const nameWithVersions = ({ library }: Verdict, { machine }: KeptRun): string =>
  library
    .split(' + ')
    .map((name) => `${name} ${machine.versions[name]}`)
    .join(', ')

/** The part of the page that tells which published middleware does what. */
export function renderPart(run: KeptRun): string {
  const { date, machine, verdicts } = run
  const head = ['Middleware', 'Store', 'Passed', 'MUST failed', 'SHOULD failed', 'MAY not offered', 'Skipped']
  const lists = (verdict: Verdict): string[] => [
    ...(['MUST', 'SHOULD', 'MAY'] as const).map((level) => listed(failures(verdict, level))),
    listed(untold(verdict)),
  ]
  const overview = verdicts.map((verdict) => [
    nameWithVersions(verdict, run),
    storeOf(verdict),
    passed(verdict),
    ...lists(verdict),
  ])
  const origin = `${date.slice(0, 10)}, ${machine.platform}, Node ${machine.node}, commit ${machine.commit}.`
  return [markdownTable(head, overview), renderFailures(run), origin].join('\n\n')
}

const storeOf = ({ store }: Verdict): string => store.replace(' store', '')

const listed = (ids: readonly string[]): string => (ids.length === 0 ? '-' : ids.join(', '))

/** Each row that somebody failed, and who. */
function renderFailures({ verdicts }: KeptRun): string {
  const all = verdicts[0]?.rows ?? []
  const lines = all
    .map(({ id, level, title }) => [id, level, title, whoFails(id, verdicts)])
    .filter(([, , , who]) => who !== '')
  return markdownTable(['Row', 'Level', 'Not done', 'By'], lines)
}

/** The first package of each, and its stores where not all of them are concerned. */
function whoFails(id: string, verdicts: readonly Verdict[]): string {
  const packageOf = ({ library }: Verdict): string => library.split(' + ')[0] ?? ''
  const fails = ({ rows }: Verdict): boolean => rows.some((row) => row.id === id && row.result === 'fail')
  const who = [...new Set(verdicts.map(packageOf))].map((name) => {
    const all = verdicts.filter((verdict) => packageOf(verdict) === name)
    const failed = all.filter(fails)
    if (failed.length === 0) return ''
    return failed.length === all.length ? name : `${name} (${failed.map(storeOf).join(', ')})`
  })
  return who.filter((name) => name !== '').join(', ')
}
