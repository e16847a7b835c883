import type { KeptReport } from './kept.ts'
import { markdownTable } from '../../../bench/report/markdown.ts'
import { sum, type Report } from './report.ts'

/** The part of the documentation that tells what was run and what was found. */
export function renderPart(reports: readonly KeptReport[]): string {
  return [overview(reports), ...reports.map(details)].join('\n\n')
}

const count = (value: number): string => value.toLocaleString('en')

function overview(reports: readonly KeptReport[]): string {
  return table(
    ['', ...reports.map(({ product, mode }) => `${product}, ${mode}`)],
    ROWS.map(([name, cell]) => [name, ...reports.map(cell)]),
  )
}

const ROWS: readonly (readonly [string, (report: Report) => string])[] = [
  ['Operations', ({ operations }) => count(operations)],
  ['Requests', ({ traffic }) => count(traffic['requests'] ?? 0)],
  ['Replays told', ({ endings }) => count(replays(endings))],
  ['Ended as outcome unknown', ({ endings }) => count(endings['unknown'] ?? 0)],
  ['Faults on the way', ({ faults }) => count(sum(faults))],
  ['Partitions', ({ partitions }) => count(sum(partitions))],
  ['Kills (SIGKILL)', ({ kills }) => count(sum(kills))],
  ['Freezes past a lease (SIGSTOP)', ({ freezes }) => count(sum(freezes))],
  ['Orders in the database', ({ database }) => count(database.orders)],
  ['Time', ({ seconds }) => `${Math.round(seconds)} s`],
  ['**Violations**', ({ violations }) => `**${count(violations.total)}**`],
]

function replays(endings: Report['endings']): number {
  const replayed = Object.entries(endings).filter(([name]) => name.endsWith('replayed'))
  return replayed.reduce((total, [, times]) => total + times, 0)
}

function details(report: KeptReport): string {
  const { machine, date } = report
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`)
  return [
    `### ${report.product}`,
    `\`${commandOf(report)}\``,
    `${date.slice(0, 10)}, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, ` +
      `Node ${machine.node}, commit ${machine.commit}; ${versions.join(', ')}. ${report.servers} servers, ` +
      `${report.clients} clients.`,
    table(
      ['Kind', 'What', 'Times'],
      [
        ...lines('Told to clients', report.endings),
        ...lines('Traffic', report.traffic),
        ...lines('Fault', report.faults),
        ...lines('Partition', report.partitions),
        ...lines('Kill', report.kills),
        ...lines('Freeze', report.freezes),
        ...lines('Violation', report.violations.kinds),
      ],
    ),
  ].join('\n\n')
}

export const commandOf = ({ shop, operations, kills, seed }: Report): string =>
  `npm run torture -- --store ${shop} --operations ${operations} --kills ${sum(kills)} --seed ${seed} --keep`

const lines = (kind: string, counts: Report['faults']): string[][] =>
  Object.entries(counts).map(([name, times]) => [kind, name, count(times)])

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  markdownTable(head, rows, { numbers: true })
