/** Run in a process of its own: measures one subject of a benchmark of calls, once. */
import { subjectsIn, type Plan } from './benches/compare.ts'
import { sampleOf } from './harness/measure.ts'

const benches: Record<string, () => Promise<{ readonly plans: readonly Plan<void>[] }>> = {
  policies: () => import('./benches/policies.ts'),
  fetch: () => import('./benches/fetch.ts'),
}

const [bench = '', ...numbers] = process.argv.slice(2)
const [place, sampleMs, warmMs] = numbers.map(Number) as [number, number, number]
const subject = subjectsIn((await benches[bench]?.())?.plans ?? [])[place]
if (subject === undefined) throw new Error(`"${bench}" has no subject ${place}`)

process.on('message', () => process.exit())
const { run } = await subject.setup()
process.send?.(await sampleOf(run, { sampleMs, warmMs }))
