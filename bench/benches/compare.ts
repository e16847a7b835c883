import type { RunBench } from '../harness/bench.ts'
import { spreadOf } from '../harness/arithmetic.ts'
import { comparison, type Comparison } from '../harness/result.ts'
import { measureInterleaved } from '../harness/rounds.ts'
import type { Subject } from '../harness/subject.ts'

/** A table to be: its first subject is the baseline. */
export interface Plan<Target> {
  readonly title: string
  readonly note: string
  readonly subjects: readonly [Subject<Target>, ...Subject<Target>[]]
}

/** The same plans for subjects that know their target; one of two tables stays one. */
export function bound<Target>(target: Target, plans: readonly Plan<Target>[]): Plan<void>[] {
  const known = new Map<Subject<Target>, Subject<void>>()
  const bind = (subject: Subject<Target>): Subject<void> => {
    const made = known.get(subject) ?? { ...subject, setup: () => subject.setup(target) }
    known.set(subject, made)
    return made
  }
  return plans.map(({ subjects: [baseline, ...others], ...plan }) => ({
    ...plan,
    subjects: [bind(baseline), ...others.map(bind)],
  }))
}

/** Each once, in an order that stays: a process finds its own by the place in it. */
export function subjectsIn(plans: readonly Plan<void>[]): Subject<void>[] {
  return [...new Set(plans.flatMap(({ subjects }) => subjects))]
}

/** Measures what several tables need, all of it in the same rounds; a subject of two tables is measured once. */
export function comparing(bench: string, plans: readonly Plan<void>[]): RunBench {
  return async ({ rounds, quick, random }, progress) => {
    const lengths = quick ? { sampleMs: 8, warmMs: 250 } : { sampleMs: 50, warmMs: 400 }
    const settings = { rounds, random, ...lengths }
    const samples = await measureInterleaved(bench, subjectsIn(plans), settings, progress)
    return plans.map((plan) => tableOf(plan, (subject) => samples.get(subject) ?? []))
  }
}

function tableOf(
  { title, note, subjects }: Plan<void>,
  samplesOf: (subject: Subject<void>) => readonly { readonly ns: number; readonly bytes: number }[],
): Comparison {
  const measured = subjects.map((subject) => {
    const samples = samplesOf(subject)
    const { library, name, has } = subject
    const bytes = spreadOf(samples.map((sample) => sample.bytes))
    return { library, name, has, samples: samples.map(({ ns }) => ns), bytes }
  })
  return comparison({ title, note, unit: 'ns', baseline: subjects[0], measured })
}
