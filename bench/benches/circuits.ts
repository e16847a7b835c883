import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { circuitSubjects } from '../circuits/all.ts'
import type { CircuitCosts, CircuitSubject } from '../circuits/subject.ts'
import { median } from '../harness/arithmetic.ts'
import type { RunBench, Settings } from '../harness/bench.ts'
import { root } from '../harness/machine.ts'
import { shuffled } from '../harness/order.ts'
import type { Progress } from '../harness/progress.ts'
import { idOf, type Facts } from '../harness/result.ts'

const COUNTS = [100_000, 1_000_000]
const QUICK_COUNTS = [10_000]
const columns: Facts['columns'] = [
  { head: 'each', unit: 'B', best: 'least' },
  { head: 'first call', unit: 'ns', best: 'least' },
  { head: 'later call', unit: 'ns', best: 'least' },
  { head: 'first call when full', unit: 'ns' },
  { head: 'idle CPU', unit: '%' },
  { head: 'left of each', unit: 'B' },
]

const execute = promisify(execFile)
const probe = join(root, '.cache/bench/circuits-probe.js')

/** What very many circuits cost. */
export const run: RunBench = async (settings, progress) => {
  const counts = settings.quick ? QUICK_COUNTS : COUNTS
  const sections: Facts[] = []
  for (const [index, count] of counts.entries()) {
    const step: Progress['step'] = (done, what) => progress.step((index + done) / counts.length, what)
    sections.push(await table(count, settings, { ...progress, step }))
  }
  return sections
}

async function table(count: number, { rounds, quick, random }: Settings, progress: Progress): Promise<Facts> {
  const subjects = circuitSubjects.filter(({ most = Infinity }) => most >= count)
  const costs = new Map<CircuitSubject, CircuitCosts[]>(subjects.map((subject) => [subject, []]))
  for (let round = 0; round < rounds; round++)
    for (const [index, subject] of shuffled(subjects, random).entries()) {
      progress.step((round + index / subjects.length) / rounds, `${count} circuits: ${idOf(subject)}`)
      costs.get(subject)?.push(await costsOf(subject, count, quick ? 200 : 1000))
    }
  return {
    kind: 'facts',
    title: `${count.toLocaleString('en')} circuits`,
    note:
      'Each with a key and a call of its own, in a new process for each measurement; the median of ' +
      `${rounds}. "When full" is a first call where the circuit that was used longest ago has to go; "left" is what the heap ` +
      'still holds for each once all references are gone.',
    columns,
    rows: subjects.map((subject) => rowOf(subject, costs.get(subject) ?? [])),
  }
}

async function costsOf(subject: CircuitSubject, count: number, idleMs: number): Promise<CircuitCosts> {
  const flags = ['--expose-gc', '--max-old-space-size=8192', probe]
  const args = [circuitSubjects.indexOf(subject), count, idleMs].map(String)
  const { stdout } = await execute(process.execPath, [...flags, ...args], { cwd: root })
  return JSON.parse(stdout) as CircuitCosts
}

function rowOf({ library, name }: CircuitSubject, costs: readonly CircuitCosts[]): Facts['rows'][number] {
  const of = (pick: (one: CircuitCosts) => number | null): number | null => {
    const values = costs.map(pick).filter((value) => value !== null)
    return values.length === 0 ? null : median(values)
  }
  const values = [
    of(({ bytes }) => bytes),
    of(({ firstNs }) => firstNs),
    of(({ laterNs }) => laterNs),
    of(({ churnNs }) => churnNs),
    of(({ idlePercent }) => idlePercent),
    of(({ leftBytes }) => leftBytes),
  ]
  return { library, name, values }
}
