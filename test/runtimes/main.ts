import { Command, InvalidArgumentError, Option } from 'commander'
import { showProgress } from '../../bench/harness/progress.ts'
import { startBackend } from './backend.ts'
import type { CaseResult } from './cases/case.ts'
import { renewPage } from './page.ts'
import { isGood, renderTable, type Report } from './report.ts'
import { chromium } from './runtimes/chromium.ts'
import { processes } from './runtimes/processes.ts'
import { MissingRuntime, type Installed, type Runtime, type SuiteRun } from './runtimes/runtime.ts'
import { workerd } from './runtimes/workerd.ts'
import { conformAll, type ServerResult } from './servers/conform.ts'

const RUNTIMES: readonly Runtime[] = [...processes, workerd, chromium]

interface Flags {
  readonly only?: readonly Runtime[]
  readonly json: boolean
  readonly keep: boolean
}

const EXPLANATION = `
Runtimes: ${RUNTIMES.map(({ name }) => name).join(', ')}.
Each runs the same cases of the client against a real server on this machine;
those that serve HTTP have the server half in each framework held against the
conformance table, from outside. Those that come from npm are installed into
.cache/runtimes when they are first needed.

Exit code: 0 when every case passed, 1 when one failed, 2 when used wrongly. A
runtime that is missing fails the run when it was named by --only; with CI=true
also one that CI requires.

Examples:
  npm run runtimes
  npm run runtimes -- --only bun,deno
  npm run --silent runtimes -- --json > runtimes.json`

const interruption = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interruption.abort())

/** The longest that a runtime may take: what hangs has failed. */
const LIMIT_MS = 240_000

function listOf(text: string): Runtime[] {
  return text.split(',').map((part) => {
    const found = RUNTIMES.find(({ name }) => name === part.trim())
    if (found !== undefined) return found
    throw new InvalidArgumentError(
      `There is no "${part}"; there are ${RUNTIMES.map(({ name }) => name).join(', ')}.`,
    )
  })
}

async function run({ only, json, keep }: Flags): Promise<void> {
  const [home, foreign] = [await startBackend(), await startBackend()]
  const reports: Report[] = []
  let good = true
  for (const runtime of only ?? RUNTIMES) {
    if (interruption.signal.aborted) break
    const report = await reportOf(runtime, { home: home.url, foreign: foreign.url })
    reports.push(report)
    const needed = only !== undefined || (process.env['CI'] === 'true' && runtime.required)
    good &&= isGood(report, needed)
  }
  await Promise.all([home.close(), foreign.close()])
  if (json) console.log(JSON.stringify(reports, undefined, 2))
  else console.log(renderTable(reports).trimEnd())
  if (keep) await renewPage(reports)
  if (interruption.signal.aborted) process.exitCode = 130
  else if (!good) process.exitCode = 1
}

async function reportOf(runtime: Runtime, origins: SuiteRun['origins']): Promise<Report> {
  const { name, title } = runtime
  const progress = showProgress(title, process.stderr)
  const results: CaseResult[] = []
  const servers: ServerResult[] = []
  let installed: Installed | undefined
  let problem: string | undefined
  let startedMs = performance.now()
  try {
    progress.step(0, 'is it here?')
    installed = await runtime.obtain()
    startedMs = performance.now()
    const signal = AbortSignal.any([interruption.signal, AbortSignal.timeout(LIMIT_MS)])
    const { total } = installed
    const onResult = (result: CaseResult): void => {
      results.push(result)
      progress.step(results.length / total, result.name)
    }
    await installed.run({ origins, signal, onResult })
    await installed.serve?.(signal, async (urls) => {
      servers.push(...(await conformAll(urls, (framework) => progress.step(1, `server half: ${framework}`))))
    })
  } catch (error) {
    problem = error instanceof MissingRuntime ? error.message : `it did not run to its end: ${String(error)}`
  } finally {
    progress.end()
  }
  const seconds = (performance.now() - startedMs) / 1000
  return { runtime: name, title, version: installed?.version, results, servers, seconds, problem }
}

await new Command('npm run runtimes --')
  .description('Runs both halves in every runtime, and tells what passed where.')
  .option('--only <names>', 'Some of them, with commas between.', listOf)
  .option('--json', 'Print the results as JSON and nothing else.', false)
  .addOption(new Option('--keep', 'Renew the table of docs/runtimes.md.').default(false).conflicts('only'))
  .addHelpText('after', EXPLANATION)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .action(run)
  .parseAsync()
