import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import module from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { RunBench } from '../harness/bench.ts'
import { comparison, idOf, type Measured } from '../harness/result.ts'
import { root } from '../harness/machine.ts'
import { shuffled } from '../harness/order.ts'
import type { Progress } from '../harness/progress.ts'
import { entries, importedPeers } from './packages.ts'

interface Imported extends Omit<Measured, 'samples'> {
  readonly samples: number[]
  readonly from: readonly string[]
  /** Where Node keeps compiled code from one process to the next; by default it does not. */
  readonly cache?: string
}

/** Node 22.1 and later. */
const CAN_CACHE = 'enableCompileCache' in module

const execute = promisify(execFile)
const probe = join(root, '.cache/bench/import-probe.js')

/** What a process pays before its first line. */
export const run: RunBench = async ({ rounds, random }, progress) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  const nothing = join(folder, 'empty.mjs')
  writeFileSync(nothing, '')
  const empty = subject('none', 'empty module', [nothing])
  const ours = entries.map((entry) => subject('holdfast', entry, [entry], abilitiesOf(entry)))
  if (CAN_CACHE)
    ours.unshift({ ...subject('holdfast', 'holdfast, NODE_COMPILE_CACHE', ['holdfast']), cache: folder })
  const peers = importedPeers.map(({ library, name, has, from }) => subject(library, name, from, has))
  const all = [empty, ...ours, ...peers]
  try {
    await measure(all, rounds, random, progress)
  } finally {
    rmSync(folder, { recursive: true })
  }
  const note =
    'One new process for each measurement, from `dist` and from the installed peers. Ratios are to a module that is empty.'
  const measured = all.map(({ from: _from, cache: _cache, ...rest }) => rest)
  return [comparison({ title: 'Import time', note, unit: 'ms', baseline: empty, measured })]
}

async function measure(
  all: readonly Imported[],
  rounds: number,
  random: () => number,
  progress: Progress,
): Promise<void> {
  // What is kept of compiled code is written by a first process.
  for (const one of all) if (one.cache !== undefined) await importMs(one)
  for (let round = 0; round < rounds; round++) {
    for (const [index, one] of shuffled(all, random).entries()) {
      progress.step((round + index / all.length) / rounds, `round ${round + 1} of ${rounds}: ${idOf(one)}`)
      one.samples.push(await importMs(one))
    }
  }
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

async function importMs({ from, cache }: Imported): Promise<number> {
  const env = cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: cache }
  const { stdout } = await execute(process.execPath, [probe, ...from], { cwd: root, env })
  return Number(stdout)
}
