import type { Settings } from '../harness/bench.ts'
import { spreadOf } from '../harness/arithmetic.ts'
import type { Progress } from '../harness/progress.ts'
import { comparison, type Comparison } from '../harness/result.ts'
import { measureInterleaved } from '../harness/rounds.ts'
import type { Subject } from '../harness/subject.ts'

/** A table to be: its first subject is the baseline. */
export interface Plan<Target> {
  readonly title: string
  readonly note: string
  readonly subjects: readonly [Subject<Target>, ...Subject<Target>[]]
}

/** Measures what several tables need, all of it in the same rounds; a subject of two tables is measured once. */
export async function compare<Target>(
  plans: readonly Plan<Target>[],
  target: Target,
  { rounds, quick, random }: Settings,
  progress: Progress,
): Promise<Comparison[]> {
  const subjects = [...new Set(plans.flatMap((plan) => plan.subjects))]
  const lengths = quick ? { sampleMs: 8, warmMs: 250 } : { sampleMs: 50, warmMs: 400 }
  const samples = await measureInterleaved(subjects, target, { rounds, random, ...lengths }, progress)
  return plans.map(({ title, note, subjects: [baseline, ...others] }) =>
    comparison({
      title,
      note,
      unit: 'ns',
      baseline,
      measured: [baseline, ...others].map((subject) => {
        const measured = samples.get(subject)
        if (measured === undefined) throw new Error(`${subject.name} was not measured`)
        const { library, name, has } = subject
        return { library, name, has, samples: measured.ns, bytes: spreadOf(measured.bytes) }
      }),
    }),
  )
}
