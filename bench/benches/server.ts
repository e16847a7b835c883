import type { RunBench, Settings } from '../harness/bench.ts'
import { shuffled } from '../harness/order.ts'
import type { Progress } from '../harness/progress.ts'
import { comparison, idOf, type Comparison } from '../harness/result.ts'
import { expressServers, nodeServers, serverSubjects } from '../servers/all.ts'
import type { Keys } from '../servers/load.ts'
import { ServerProcess, type Sample } from '../servers/process.ts'
import { isSteady } from '../servers/warm-up.ts'

const CONNECTIONS = 64
/** Round trips are counted with one request at a time. */
const COUNTED = 50
const WARM_BATCH = 1000
/** A server that never gets steady, as one that takes longer for each key that it has, is measured all the same. */
const MOST_WARM_MS = 5000
const QUICK_WARM_MS = 1500

/** One server with one kind of keys: what a request took, a sample for each round. */
interface Case {
  readonly server: ServerProcess
  readonly keys: Keys
  readonly samples: Sample[]
  roundTrips: number
}

/** What idempotency costs a server, and how often it asks its store. */
export const run: RunBench = async (settings, progress) => {
  const processes: ServerProcess[] = []
  try {
    for (const subject of serverSubjects) processes.push(await ServerProcess.start(subject))
    const cases = processes.flatMap((server) =>
      (['new', 'known'] as const).map((keys): Case => ({ server, keys, samples: [], roundTrips: 0 })),
    )
    await measure(cases, settings, progress)
    return [nodeServers, expressServers].flatMap((group) =>
      (['new', 'known'] as const).flatMap((keys) => tables(group, keys, cases)),
    )
  } finally {
    await Promise.all(processes.map((one) => one[Symbol.asyncDispose]()))
  }
}

async function measure(
  cases: readonly Case[],
  { rounds, calls, quick, random }: Settings,
  progress: Progress,
): Promise<void> {
  const steps = cases.length * (rounds + 1)
  let done = 0
  const tell = ({ server, keys }: Case, what: string): void =>
    progress.step(done++ / steps, `${what}: ${idOf(server.subject)}, ${keys} keys`)
  for (const one of cases) {
    tell(one, 'warming up')
    await one.server.connect(1)
    one.roundTrips = await one.server.roundTrips(one.keys, COUNTED)
    await one.server.connect(CONNECTIONS)
    await warmUp(one, quick ? QUICK_WARM_MS : MOST_WARM_MS)
  }
  for (let round = 1; round <= rounds; round++) {
    for (const one of shuffled(cases, random)) {
      tell(one, `round ${round} of ${rounds}`)
      one.samples.push(await one.server.sample(one.keys, calls))
    }
  }
}

/** By its CPU, which says more of the server and less of its neighbours than time does. */
async function warmUp({ server, keys }: Case, mostMs: number): Promise<void> {
  const untilMs = performance.now() + mostMs
  const costs: number[] = []
  while (performance.now() < untilMs && !isSteady(costs))
    costs.push((await server.sample(keys, WARM_BATCH)).cpuUs)
}

const TITLES: Readonly<Record<Keys, string>> = {
  new: 'every key is new',
  known: 'every key is known: a replay',
}

function tables(group: typeof nodeServers, keys: Keys, cases: readonly Case[]): Comparison[] {
  const [baseline] = group
  const title = `${baseline.name.replace('bare ', '')}, ${TITLES[keys]}`
  const limit =
    group === nodeServers ? ' `By hand` is the limit: a body, two digests, a `Map` or two commands.' : ''
  const note = `POST with a JSON body over ${CONNECTIONS} connections to a server in a process of its own.${limit}`
  const table = (suffix: string, what: string, pick: (sample: Sample) => number): Comparison =>
    comparison({
      title: `${title}${suffix}`,
      note: `${note} ${what} Ratios are to the bare handler.`,
      unit: 'us',
      baseline,
      measured: cases
        .filter((one) => one.keys === keys && group.includes(one.server.subject))
        .map(({ server: { subject }, samples, roundTrips }) => ({
          library: subject.library,
          name: subject.name,
          has: subject.has,
          samples: samples.map(pick),
          ...(subject.storePort === undefined ? {} : { remark: `${roundTrips.toFixed(1)} round trips` }),
        })),
    })
  return [
    table('', 'All of the time, divided by all requests.', ({ us }) => us),
    table(
      ': CPU of the server',
      'User and system time of its process, without that of a database, a request.',
      ({ cpuUs }) => cpuUs,
    ),
  ]
}
