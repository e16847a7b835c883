import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, type Clock } from '../../primitives/clock.ts'
import { Scope } from '../../primitives/signal.ts'
import { EXIT, wantsColour, type Terminal } from '../terminal.ts'
import { openColumn, type Column, type RunContext } from './column.ts'
import type { DemoOptions } from './options.ts'
import { makeOrders } from './order.ts'
import { showProgress } from './progress.ts'
import { sumFaults } from './report/faults.ts'
import { renderReport } from './report/table.ts'
import { failedClaims, type DemoReport } from './report/verdict.ts'
import { scaledClock } from './scaled-clock.ts'
import { bare } from './ways/bare.ts'
import { holdfast } from './ways/holdfast.ts'
import { naive } from './ways/naive.ts'

const FAST = 20

/** Runs the demo, from the temporary databases to the table. @returns The exit code. */
export async function demo(options: DemoOptions, terminal: Terminal): Promise<number> {
  const scope = new Scope()
  const interrupt = (): void => scope.abort(new Error('interrupted'), 'caller')
  for (const signal of SIGNALS) process.once(signal, interrupt)
  try {
    const report = await run(options, scope, terminal)
    tell(report, options, terminal)
    return failedClaims(report).length === 0 ? EXIT.ok : EXIT.failed
  } catch (error) {
    if (!scope.aborted) throw error
    terminal.stderr.write('holdfast: interrupted, nothing is left behind\n')
    return EXIT.interrupted
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt)
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

async function run(options: DemoOptions, scope: Scope, terminal: Terminal): Promise<DemoReport> {
  const clock = options.fast ? scaledClock(FAST) : systemClock
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-demo-'))
  const columns: Column[] = []
  try {
    columns.push(...(await openAll({ clock, scope, directory, seed: options.seed })))
    await sendAll(columns, options, clock, terminal)
    return await judge(columns, options.orders)
  } finally {
    await Promise.all(columns.map((column) => column.close()))
    await rm(directory, { recursive: true, force: true })
  }
}

async function openAll(context: RunContext): Promise<Column[]> {
  const opening = Object.entries({ bare, naive, holdfast }).map(([name, way]) =>
    openColumn(name, way, context),
  )
  try {
    return await Promise.all(opening)
  } catch (error) {
    // One that can't start must not leave the processes of the others behind.
    const opened = await Promise.allSettled(opening)
    await Promise.all(
      opened.map(async (each) => (each.status === 'fulfilled' ? each.value.close() : undefined)),
    )
    throw error
  }
}

async function sendAll(
  columns: readonly Column[],
  options: DemoOptions,
  clock: Clock,
  terminal: Terminal,
): Promise<void> {
  const orders = makeOrders(options.orders)
  const startMs = clock.now()
  const progress = showProgress({
    lines: columns.map(({ name, tally }) => ({ title: TITLES[name] ?? name, tally })),
    ordered: options.orders,
    elapsedMs: () => clock.now() - startMs,
    output: terminal.stderr,
    coloured: wantsColour(terminal.stderr, terminal.env),
  })
  try {
    await Promise.all(columns.map((column) => column.run(orders)))
  } finally {
    progress.stop()
  }
}

const TITLES: Readonly<Record<string, string>> = {
  bare: 'bare fetch',
  naive: 'naive loop',
  holdfast: 'Holdfast',
}

/** After all have ended, so that no order is on its way to a database any more. */
async function judge(columns: readonly Column[], ordered: number): Promise<DemoReport> {
  const [bareReport, naiveReport, holdfastReport] = await Promise.all(
    columns.map((column) => column.report(ordered)),
  )
  if (bareReport === undefined || naiveReport === undefined || holdfastReport === undefined) {
    throw new Error('a column is missing')
  }
  const faults = sumFaults(columns.flatMap(({ stats }) => (stats === undefined ? [] : [stats])))
  return { bare: bareReport, naive: naiveReport, holdfast: holdfastReport, faults }
}

function tell(report: DemoReport, options: DemoOptions, { stdout, stderr, env }: Terminal): void {
  if (!options.json) {
    stdout.write(renderReport(report, options, wantsColour(stdout, env)))
    return
  }
  stdout.write(`${JSON.stringify(report, undefined, 2)}\n`)
  for (const failure of failedClaims(report)) stderr.write(`holdfast: ${failure}\n`)
}
