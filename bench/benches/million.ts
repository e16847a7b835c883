import { getEventListeners } from 'node:events'
import { getActiveResourcesInfo, memoryUsage } from 'node:process'
import { setImmediate } from 'node:timers/promises'
import {
  circuitBreaker,
  createFetch,
  DEFAULTS,
  pipeline,
  retry,
  retryBudget,
  timeout,
} from '../../src/index.ts'
import type { RunBench } from '../harness/bench.ts'
import { growth } from '../harness/growth.ts'
import { settleFully } from '../harness/measure.ts'
import type { Checkpoint, Growth } from '../harness/result.ts'
import type { Run } from '../harness/subject.ts'

interface Subject {
  readonly title: string
  readonly note: string
  readonly signal: AbortSignal
  readonly circuits: () => number
  readonly run: Run
}

const CHECKPOINTS = 10
/** The event loop gets its turn this often, as it does between real requests: weak references need it. */
const CALLS_PER_TURN = 500
/** Compiled code and the first circuits are no growth. */
const WARM_CALLS = 20_000

/** Whether a process that has made a million calls is as it was. */
export const run: RunBench = async ({ calls }, progress) => {
  const subjects = [client(), wholePipeline()]
  const sections: Growth[] = []
  for (const [index, subject] of subjects.entries()) {
    const checkpoints = await watch(subject, calls, (done) =>
      progress.step((index + done) / subjects.length, subject.title),
    )
    sections.push(growth({ title: subject.title, note: subject.note, checkpoints }))
  }
  return sections
}

function client(): Subject {
  const { signal } = new AbortController()
  const fetch = createFetch({ fetch: async () => new Response('ok') })
  return {
    title: 'createFetch()',
    note: 'All defaults, over a transport that answers at once; each body is read.',
    signal,
    circuits: () => fetch.circuits.size,
    async run() {
      const response = await fetch('https://api.example.com/orders', { signal })
      return response.text()
    },
  }
}

function wholePipeline(): Subject {
  const { signal } = new AbortController()
  const { attemptMs, totalMs } = DEFAULTS.timeout
  const breaker = circuitBreaker()
  const policies = pipeline(timeout({ totalMs }), retryBudget(), retry(), breaker, timeout({ attemptMs }))
  const ready = async (): Promise<string> => 'ready'
  return {
    title: 'Whole default pipeline',
    note: 'Around an async function whose result is ready.',
    signal,
    circuits: () => breaker.circuits.size,
    run: () => policies.execute(ready, { signal }),
  }
}

async function watch(subject: Subject, calls: number, tell: (done: number) => void): Promise<Checkpoint[]> {
  await make(subject, WARM_CALLS)
  const checkpoints = [await look(subject, 0)]
  for (let part = 1; part <= CHECKPOINTS; part++) {
    tell((part - 1) / CHECKPOINTS)
    await make(subject, Math.round(calls / CHECKPOINTS))
    checkpoints.push(await look(subject, Math.round((calls * part) / CHECKPOINTS)))
  }
  return checkpoints
}

async function make({ run }: Subject, calls: number): Promise<void> {
  for (let made = 1; made <= calls; made++) {
    await run()
    if (made % CALLS_PER_TURN === 0) await setImmediate()
  }
}

async function look({ signal, circuits }: Subject, calls: number): Promise<Checkpoint> {
  // What a finalizer lets go of is collected the next time.
  for (let i = 0; i < 3; i++) await settleFully()
  return {
    calls,
    heapBytes: memoryUsage().heapUsed,
    resources: getActiveResourcesInfo().length,
    listeners: getEventListeners(signal, 'abort').length,
    circuits: circuits(),
  }
}
