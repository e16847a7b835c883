import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { RunBench } from '../harness/bench.ts'
import { comparison, idOf, type Measured } from '../harness/result.ts'
import { root } from '../harness/machine.ts'
import { shuffled } from '../harness/order.ts'
import { entries, importedPeers } from './packages.ts'

interface Imported extends Omit<Measured, 'samples'> {
  readonly samples: number[]
  readonly from: readonly string[]
}

/** A module that is nothing: what the import itself takes. */
const EMPTY = 'data:text/javascript,'

const execute = promisify(execFile)
const probe = join(root, '.cache/bench/import-probe.js')

/** What a process pays before its first line. */
export const run: RunBench = async ({ rounds, random }, progress) => {
  const empty = subject('none', 'empty module', [EMPTY])
  const ours = entries.map((entry) => subject('holdfast', entry, [entry], abilitiesOf(entry)))
  const peers = importedPeers.map(({ library, name, has, from }) => subject(library, name, from, has))
  const all = [empty, ...ours, ...peers]
  for (let round = 0; round < rounds; round++) {
    for (const [index, one] of shuffled(all, random).entries()) {
      progress.step((round + index / all.length) / rounds, `round ${round + 1} of ${rounds}: ${idOf(one)}`)
      one.samples.push(await importMs(one.from))
    }
  }
  const note =
    'One new process for each measurement, from `dist` and from the installed peers. Ratios are to a module that is empty.'
  const measured = all.map(({ from: _from, ...rest }) => rest)
  return [comparison({ title: 'Import time', note, unit: 'ms', baseline: empty, measured })]
}

function subject(
  library: string,
  name: string,
  from: readonly string[],
  has: Measured['has'] = [],
): Imported {
  return { library, name, has, from, samples: [] }
}

const abilitiesOf = (entry: string): Measured['has'] =>
  entry === 'holdfast' ? ['retry', 'breaker', 'timeout', 'budget', 'keys'] : []

async function importMs(modules: readonly string[]): Promise<number> {
  const { stdout } = await execute(process.execPath, [probe, ...modules], { cwd: root })
  return Number(stdout)
}
