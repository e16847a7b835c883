/** Runs the conformance table against middleware that is published on npm, and ours, and keeps what came of it. */
import Table from 'cli-table3'
import pc from 'picocolors'
import { thisMachine } from '../../../bench/harness/machine.ts'
import { showProgress } from '../../../bench/harness/progress.ts'
import { judge } from './judge.ts'
import { keepRun, type KeptRun, type Verdict } from './kept.ts'
import { failures, nameWithVersions, passed, untold } from './part.ts'
import { subjects } from './subjects.ts'

function render(run: KeptRun): string {
  const table = new Table({
    head: ['Middleware', 'Store', 'Passed', 'MUST failed', 'SHOULD failed', 'Skipped'],
    style: { head: [], border: [] },
  })
  for (const verdict of run.verdicts) {
    table.push([
      nameWithVersions(verdict, run).replaceAll(', ', '\n'),
      verdict.store,
      passed(verdict),
      pc.red(failures(verdict, 'MUST').join(' ')),
      pc.yellow(failures(verdict, 'SHOULD').join(' ')),
      untold(verdict).join(' '),
    ])
  }
  return table.toString()
}

const progress = showProgress('conform:published', process.stderr)
const verdicts: Verdict[] = []
for (const [index, subject] of subjects.entries()) {
  const what = `${subject.library}, ${subject.store}`
  const verdict = await judge(subject, {
    onRow: ({ number, of }) => progress.step((index + (number - 1) / of) / subjects.length, what),
  })
  verdicts.push(verdict)
}
progress.end()
const machine = thisMachine(subjects.map(({ library }) => library))
const run: KeptRun = { date: new Date().toISOString(), machine, verdicts }
await keepRun(run)
process.stdout.write(`${render(run)}\n`)
const ours = verdicts.filter(({ library }) => library === 'holdfast')
process.exitCode = ours.every(({ summary }) => summary.conforms && summary.warnings === 0) ? 0 : 1
