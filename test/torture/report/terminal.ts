import pc from 'picocolors'
import { sum, type Report } from './report.ts'

/** A report for people. */
export function renderReport(report: Report): string {
  const { bold, dim, green, red } = pc
  const { violations, traffic } = report
  const parts = (counts: Report['faults']): string =>
    Object.entries(counts)
      .map(([name, times]) => `${name} ${times}`)
      .join(dim(' · '))
  const line = (name: string, total: number, counts: Report['faults']): string =>
    `  ${name.padEnd(12)}${String(total).padStart(8)}  ${dim(parts(counts))}`
  const verdict =
    violations.total === 0
      ? green('  0 violations')
      : red(`  ${violations.total} violations: ${parts(violations.kinds)}`)
  return [
    bold(`${report.product}, ${report.mode}${report.broken ? ', without fencing' : ''}`) +
      dim(`  seed ${report.seed}, ${report.seconds} s`),
    line('operations', report.operations, report.endings),
    line('requests', traffic['requests'] ?? 0, traffic),
    line('faults', sum(report.faults), report.faults),
    line('partitions', sum(report.partitions), report.partitions),
    line('kills', sum(report.kills), report.kills),
    line('freezes', sum(report.freezes), report.freezes),
    line('in the end', report.database.orders, {
      orders: report.database.orders,
      keys: report.database.keys,
    }),
    verdict,
    ...violations.first.map((what) => red(`    ${what}`)),
    '',
  ].join('\n')
}
