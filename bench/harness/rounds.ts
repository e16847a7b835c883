import { Child } from './child.ts'
import type { Lengths, Sample } from './measure.ts'
import { shuffled } from './order.ts'
import type { Progress } from './progress.ts'
import { idOf } from './result.ts'
import type { Subject } from './subject.ts'

/** How often and how long, and in which order. */
export interface RoundSettings extends Lengths {
  readonly rounds: number
  readonly random: () => number
}

/**
 * Measures the subjects of a benchmark, each once a round, in an order that is drawn anew for every round. Every sample
 * has a process of its own, as JMH's forks have: what V8 learns of one subject makes code that it shares with others
 * slower for all of them. In one process with all others the whole default pipeline took 680 ns, by itself 445.
 *
 * @param bench the one that `call-probe.ts` finds them by
 * @returns what came out for each subject, a sample for each round
 */
export async function measureInterleaved(
  bench: string,
  subjects: readonly Subject<void>[],
  { rounds, random, sampleMs, warmMs }: RoundSettings,
  progress: Progress,
): Promise<Map<Subject<void>, Sample[]>> {
  const samples = new Map<Subject<void>, Sample[]>(subjects.map((subject) => [subject, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [index, subject] of shuffled(subjects, random).entries()) {
      const name = idOf(subject)
      progress.step((round + index / subjects.length) / rounds, `round ${round + 1} of ${rounds}: ${name}`)
      const place = subjects.indexOf(subject)
      const child = new Child<Sample>(name, 'call-probe.js', [bench, place, sampleMs, warmMs].map(String))
      samples.get(subject)?.push(await child.told())
      await child[Symbol.asyncDispose]()
    }
  }
  return samples
}
