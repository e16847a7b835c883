import type { Bench } from './harness/bench.ts'
import { thisMachine } from './harness/machine.ts'
import { seeded } from './harness/order.ts'
import { showProgress } from './harness/progress.ts'
import type { Measured, Result, Section } from './harness/result.ts'

/** What was asked for on the command line; the rest is the benchmark's own. */
export interface Flags {
  readonly seed: number
  readonly quick?: boolean
  readonly rounds?: number
  readonly calls?: number
}

/** Runs one benchmark and says where its figures come from. */
export async function runBench(bench: Bench, flags: Flags): Promise<Result> {
  const { name, what } = bench
  const { seed, quick = false } = flags
  const length = quick ? 'quick' : 'full'
  const settings = {
    rounds: flags.rounds ?? bench.rounds?.[length] ?? 1,
    calls: flags.calls ?? bench.calls?.[length] ?? 1,
    quick,
    random: seeded(seed),
  }
  const progress = showProgress(name, process.stderr)
  const { run } = await bench.load()
  const sections = await run(settings, progress).finally(() => progress.end())
  const machine = thisMachine(librariesIn(sections))
  return { bench: name, what, date: new Date().toISOString(), quick, seed, machine, sections }
}

function librariesIn(sections: readonly Section[]): string[] {
  return sections
    .flatMap((section): readonly Pick<Measured, 'library'>[] =>
      section.kind === 'growth' ? [] : section.rows,
    )
    .map(({ library }) => library)
    .filter((library) => library !== 'none')
}

/** Whether everything that should stay flat has. */
export function isFlat({ sections }: Result): boolean {
  return sections.every((section) => section.kind !== 'growth' || section.grows.length === 0)
}
