import type { RunBench, Settings } from '../harness/bench.ts'
import { seeded } from '../harness/order.ts'
import type { Progress } from '../harness/progress.ts'
import type { Course, Facts } from '../harness/result.ts'
import type { Exchange, Run, Subject, Transport } from '../harness/subject.ts'
import { defaultClient, unboundedClient } from '../ours/clients.ts'
import { drained, drive, type Call, type Pace } from '../outages/drive.ts'
import { startService } from '../outages/service.ts'
import { bareTransport } from '../peers/bare.ts'
import { peers } from '../peers/peers.ts'

const PER_SECOND = 100
/** The last of four retries comes after 15 s and a quarter, and a breaker may make it wait. */
const PATIENCE_MS = 30_000
const FAILING_SHARE = 0.3
/** So that connections, compiled code and windows are those of a client that has run for a while. */
const WARM_CALLS = 50
/** How finely a course is drawn. */
const STEP_MS = 500

const doesMost = (clients: readonly Subject<Exchange>[]): readonly Subject<Exchange>[] =>
  clients.toSorted((a, b) => b.has.length - a.has.length).slice(0, 1)

/** One of each library. */
const subjects: readonly Subject<Exchange>[] = [
  bareTransport,
  defaultClient,
  unboundedClient,
  ...peers.flatMap(({ clients = [], inOutages }) =>
    inOutages === undefined ? doesMost(clients) : [inOutages],
  ),
]

/** How each client went through it. */
interface Story {
  readonly subject: Subject<Exchange>
  readonly calls: readonly Call[]
  readonly arrivals: readonly number[]
}

export const run: RunBench = async (settings, progress) => [
  await failingNowAndThen(settings, part(progress, 0)),
  await downForAWhile(settings, part(progress, 0.5)),
]

async function failingNowAndThen({ quick, random }: Settings, progress: Progress): Promise<Facts> {
  const forMs = quick ? 2000 : 10_000
  const chance = seeded(Math.floor(random() * 2 ** 32))
  const stories = await tell({ forMs, isDown: () => chance() < FAILING_SHARE }, progress)
  return {
    kind: 'facts',
    title: `${FAILING_SHARE * 100} % of the answers are 503`,
    note: `${PER_SECOND} calls a second for ${forMs / 1000} s, after ${WARM_CALLS} that succeeded. Five attempts of every call would succeed in 99.8 % with 1.42 requests a call, however long the service is in such a state; the retry budget of Holdfast bounds the retries unless it is switched off.`,
    columns: [
      { head: 'succeeded', unit: '%', best: 'most' },
      { head: 'requests a call', unit: 'x' },
    ],
    rows: stories.map(({ subject: { library, name }, calls, arrivals }) => ({
      library,
      name,
      values: [successPercent(calls), arrivals.length / calls.length],
    })),
  }
}

async function downForAWhile({ quick }: Settings, progress: Progress): Promise<Facts> {
  const [downMs, upMs, endMs] = quick ? [500, 2000, 3500] : [2000, 8000, 14_000]
  const isIn = (fromMs: number, toMs: number) => (atMs: number) => atMs >= fromMs && atMs < toMs
  const isDown = isIn(downMs, upMs)
  const stories = await tell({ forMs: endMs, isDown }, progress)
  return {
    kind: 'facts',
    title: 'A service that is down for a while',
    note: `${PER_SECOND} calls a second: ${downMs / 1000} s of 200, ${(upMs - downMs) / 1000} s of 503, ${(endMs - upMs) / 1000} s of 200. "Load" is how many requests reached it in the outage for each call that began in it.`,
    columns: [
      { head: 'load', unit: 'x', best: 'least' },
      { head: 'first success after it', unit: 'ms', best: 'least' },
      { head: 'succeeded of those begun in it', unit: '%', best: 'most' },
      { head: 'after it', unit: '%', best: 'most' },
    ],
    rows: stories.map(({ subject: { library, name }, calls, arrivals }) => {
      const during = calls.filter(({ startedMs }) => isDown(startedMs))
      const after = calls.filter(({ startedMs }) => startedMs >= upMs)
      const successes = calls.filter((call) => call.succeeded && call.endedMs >= upMs)
      const firstMs =
        successes.length === 0 ? null : Math.min(...successes.map(({ endedMs }) => endedMs)) - upMs
      const load = arrivals.filter(isDown).length / during.length
      return { library, name, values: [load, firstMs, successPercent(during), successPercent(after)] }
    }),
    course: courseOf(stories),
  }
}

/** All clients at once, each as if it were alone with the service: none asks so much that it would slow another. */
async function tell(
  { forMs, isDown }: Pick<Pace, 'forMs'> & { readonly isDown: (atMs: number) => boolean },
  progress: Progress,
): Promise<Story[]> {
  const service = await startService(isDown)
  const runs = await Promise.all(subjects.map((subject, client) => prepared(subject, service.urlOf(client))))
  for (let i = 0; i < WARM_CALLS; i++)
    await Promise.all(runs.map(({ run: call }) => call().then(drained, () => {})))
  const stop = countDown(forMs + PATIENCE_MS, progress)
  service.begin()
  try {
    const pace = { perSecond: PER_SECOND, forMs, patienceMs: PATIENCE_MS }
    return await Promise.all(
      subjects.map(async (subject, client) => ({
        subject,
        calls: await drive(runs[client]?.run as Run, pace),
        arrivals: service.arrivalsOf(client),
      })),
    )
  } finally {
    stop()
    for (const { close } of runs) close?.()
    await service[Symbol.asyncDispose]()
  }
}

const transport: Transport = (input, init) => fetch(input, init)

const prepared = (subject: Subject<Exchange>, url: string) =>
  subject.setup({ transport, url, init: undefined })

/** Nothing here comes sooner for being watched. @returns what ends it */
function countDown(atMostMs: number, progress: Progress): () => void {
  const beganMs = performance.now()
  const timer = setInterval(() => {
    const done = (performance.now() - beganMs) / atMostMs
    progress.step(Math.min(1, done), `${subjects.length} clients, ${PER_SECOND} calls a second each`)
  }, 250)
  return () => clearInterval(timer)
}

const successPercent = (calls: readonly Call[]): number =>
  (calls.filter(({ succeeded }) => succeeded).length / calls.length) * 100

function courseOf(stories: readonly Story[]): Course {
  return {
    x: 'seconds',
    y: 'requests a second that reach it',
    lines: stories.map(({ subject: { library, name }, arrivals }) => {
      const lastMs = Math.max(...stories.map((story) => story.arrivals.at(-1) ?? 0))
      const steps = Array.from({ length: Math.ceil(lastMs / STEP_MS) }, (_, step) => step)
      const at = (step: number): number =>
        arrivals.filter((arrivedMs) => Math.floor(arrivedMs / STEP_MS) === step).length
      return {
        library,
        name,
        points: steps.map((step) => [(step * STEP_MS) / 1000, (at(step) * 1000) / STEP_MS] as const),
      }
    }),
  }
}

/** One half of a progress. */
const part = (progress: Progress, from: number): Progress => ({
  ...progress,
  step: (done, what) => progress.step(from + done / 2, what),
})
