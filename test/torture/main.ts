import { Command, InvalidArgumentError, Option } from 'commander'
import { thisMachine } from '../../bench/harness/machine.ts'
import { showProgress } from '../../bench/harness/progress.ts'
import { endSoon } from './ending.ts'
import { keepReport, renewPage } from './report/kept.ts'
import type { Report } from './report/report.ts'
import { renderReport } from './report/terminal.ts'
import { SHOPS, type ShopName, type TortureSettings } from './settings.ts'
import { torture, type TorturePulse } from './torture.ts'

interface Flags extends Omit<TortureSettings, 'shop'> {
  readonly store: ShopName | 'all'
  readonly json: boolean
  readonly keep: boolean
}

const EXPLANATION = `
Several server processes share one store of idempotency keys; a crowd of Holdfast
clients places orders. A proxy between them, and another one between each server
and the store, drops requests, drops answers, delays, resets and partitions;
servers are killed with SIGKILL and frozen with SIGSTOP past their lease, at
random and at every point of a request's life. In the end the database is held
against what the clients were told.

Exit code: 0 without a violation, 1 with one, 2 when used wrongly, 3 when it is
done but something keeps it from its end, 130 when interrupted; nothing is left
behind then.

Examples:
  npm run torture                                       each store, about a minute in all
  npm run torture -- --store redis --operations 20000 --kills 200
  npm run torture -- --store sqlite --broken            is caught: exit code 1`

const interruption = new AbortController()
// The second one is not waited for.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interruption.abort(name))

function wholeNumber(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new InvalidArgumentError('It should be a whole number above 0.')
}

async function run(flags: Flags): Promise<void> {
  const shops = flags.store === 'all' ? SHOPS : [flags.store]
  const reports: Report[] = []
  for (const shop of shops) {
    const report = await tortureOf(shop, flags)
    reports.push(report)
    if (!flags.json) process.stdout.write(renderReport(report))
    if (flags.keep) {
      const machine = thisMachine([{ postgres: 'pg', sqlite: 'libsql', redis: 'ioredis' }[shop]])
      await keepReport({ ...report, date: new Date().toISOString(), machine })
      await renewPage()
    }
  }
  if (flags.json) process.stdout.write(`${JSON.stringify(reports, undefined, 2)}\n`)
  if (reports.some(({ violations }) => violations.total > 0)) process.exitCode = 1
}

async function tortureOf(shop: ShopName, flags: Flags): Promise<Report> {
  const progress = showProgress(shop, process.stderr)
  let nextMs = 0
  try {
    const onPulse = ({ ended, kills, faults }: TorturePulse): void => {
      if (performance.now() < nextMs) return
      nextMs = performance.now() + 100
      progress.step(
        ended / flags.operations,
        `${ended} of ${flags.operations} operations, ${kills} kills, ${faults} faults`,
      )
    }
    return await torture({ ...flags, shop }, { onPulse, signal: interruption.signal })
  } finally {
    progress.end()
  }
}

const program = new Command('npm run torture --')
  .description(
    'Kills, freezes and cuts off servers that share a store of idempotency keys; counts what went wrong.',
  )
  .addOption(
    new Option('--store <name>', 'Which store, and with it which mode.')
      .choices([...SHOPS, 'all'])
      .default('all'),
  )
  .option('--operations <n>', 'How many orders the crowd places.', wholeNumber, 1000)
  .option(
    '--kills <n>',
    'How many times a server is killed; a quarter as many freezes, and partitions, but at least two of each.',
    wholeNumber,
    20,
  )
  .option('--servers <n>', 'How many server processes there are.', wholeNumber, 4)
  .option('--clients <n>', 'How many clients send at once.', wholeNumber, 48)
  .option('--seed <n>', 'What happens when; the same seed, the same plan.', wholeNumber, 1)
  .addOption(
    new Option('--broken', 'A store without fencing: has to be caught.').default(false).conflicts('keep'),
  )
  .option('--json', 'Print the reports as JSON and nothing else.', false)
  .option('--keep', 'Keep the reports in test/torture/results and renew docs/torture.md.', false)
  .addHelpText('after', EXPLANATION)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .action(run)

try {
  await program.parseAsync()
  endSoon()
} catch (error) {
  if (!interruption.signal.aborted) throw error
  process.stderr.write('torture: interrupted, nothing is left behind\n')
  // Clients of the crowd may still be at it.
  process.exit(130)
}
