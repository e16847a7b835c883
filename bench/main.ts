import { relative, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import pc from 'picocolors'
import type { Bench } from './harness/bench.ts'
import { benches } from './benches.ts'
import { fileOf, keep, PAGE, writePage } from './kept.ts'
import { renderResult } from './report/terminal.ts'
import { isFlat, runBench, type Flags } from './run-bench.ts'

type CommandFlags = Flags & { readonly json?: string }

function positive(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new InvalidArgumentError('It should be a whole number above 0.')
}

async function perform(bench: Bench, flags: Flags, file: string | undefined): Promise<void> {
  const result = await runBench(bench, flags)
  const target = file === undefined ? fileOf(result) : resolve(file)
  await keep(target, result)
  process.stdout.write(`${renderResult(result)}\n${pc.dim(`Kept in ${relative(process.cwd(), target)}`)}\n`)
  if (!isFlat(result)) process.exitCode = 1
}

function benchCommand(bench: Bench): Command {
  const { name, what, takes, rounds, calls } = bench
  const command = new Command(name).description(`${what} Takes ${takes}.`)
  if (rounds !== undefined) command.option('--rounds <n>', roundsHelp(`default: ${rounds.full}`), positive)
  if (calls !== undefined) command.option('--calls <n>', `How many calls (default: ${calls.full}).`, positive)
  return withCommonOptions(command)
    .option(
      '--json <file>',
      'Where the figures go (default: bench/results; of quick runs .cache/bench-results).',
    )
    .action((flags: CommandFlags) => perform(bench, flags, flags.json))
}

function allCommand(): Command {
  return withCommonOptions(new Command('all').description('Runs all of them, one after the other.'))
    .option('--rounds <n>', roundsHelp("default: each benchmark's own"), positive)
    .option('--json <folder>', 'A folder for the figures, a file for each benchmark.')
    .action(async ({ json, ...flags }: CommandFlags) => {
      for (const bench of benches)
        await perform(bench, flags, json === undefined ? undefined : `${json}/${bench.name}.json`)
    })
}

function reportCommand(): Command {
  return new Command('report')
    .description('Makes docs/benchmarks.md from the figures in bench/results.')
    .action(async () => {
      await writePage(benches.map(({ name }) => name))
      process.stdout.write(`Wrote ${relative(process.cwd(), PAGE)}\n`)
    })
}

const roundsHelp = (preset: string): string => `How often everything is measured (${preset}).`

const withCommonOptions = (command: Command): Command =>
  command
    .option('--quick', 'A short run, to see that it works: its figures are noise.')
    .option('--seed <n>', 'Draws the order within each round.', positive, 1)

const program = new Command('npm run bench --')
  .description('What Holdfast costs, beside its peers, in interleaved rounds.')
  .helpCommand(false)
  .showHelpAfterError('(npm run bench -- --help tells more)')
  .action(() => program.outputHelp())
for (const command of [...benches.map(benchCommand), allCommand(), reportCommand()])
  program.addCommand(command)

await program.parseAsync()
