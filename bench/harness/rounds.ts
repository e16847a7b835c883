import { bytesOf, calibrate, timeOf, type Times } from './measure.ts'
import { shuffled } from './order.ts'
import type { Progress } from './progress.ts'
import { idOf } from './result.ts'
import type { Prepared, Subject } from './subject.ts'

/** How long, and in which order. */
export interface RoundSettings {
  readonly rounds: number
  readonly sampleMs: number
  readonly warmMs: number
  readonly random: () => number
}

/** What came out for one subject, a value for each round. */
export interface Samples {
  readonly ns: number[]
  readonly bytes: number[]
}

interface Case extends Prepared, Samples {
  readonly title: string
  times: Times
}

/** Measures all subjects in this process, each once a round, in an order that is drawn anew for every round. */
export async function measureInterleaved<Target>(
  subjects: readonly Subject<Target>[],
  target: Target,
  { rounds, sampleMs, warmMs, random }: RoundSettings,
  progress: Progress,
): Promise<Map<Subject<Target>, Samples>> {
  const cases = new Map<Subject<Target>, Case>()
  for (const subject of subjects) cases.set(subject, await prepare(subject, target))
  const all = [...cases.values()]
  try {
    for (const [index, one] of all.entries()) {
      progress.step(index / all.length / (rounds + 1), `warming up ${one.title}`)
      one.times = await calibrate(one.run, warmMs, sampleMs)
    }
    for (let round = 1; round <= rounds; round++) {
      for (const [index, one] of shuffled(all, random).entries()) {
        const done = (round + index / all.length) / (rounds + 1)
        progress.step(done, `round ${round} of ${rounds}: ${one.title}`)
        one.ns.push(await timeOf(one.run, one.times.timed))
        one.bytes.push(await bytesOf(one.run, one.times.weighed))
      }
    }
  } finally {
    for (const one of all) one.close?.()
  }
  return cases
}

async function prepare<Target>(subject: Subject<Target>, target: Target): Promise<Case> {
  return {
    ...(await subject.setup(target)),
    title: idOf(subject),
    times: { timed: 1, weighed: 1 },
    ns: [],
    bytes: [],
  }
}
