import { median } from '../harness/arithmetic.ts'
import type { RunBench, Settings } from '../harness/bench.ts'
import { Child } from '../harness/child.ts'
import { shuffled } from '../harness/order.ts'
import type { Progress } from '../harness/progress.ts'
import { comparison, idOf, type Comparison, type Facts, type Section } from '../harness/result.ts'
import type { Load, Sample } from '../loopback/load.ts'
import { loopbackSubjects, type LoopbackSubject } from '../loopback/subjects.ts'

const CONCURRENCIES = [1, 64, 256]
/** Until code is compiled and connections are open. */
const WARM_REQUESTS = 3000
const QUICK_WARM_REQUESTS = 600

/** A client, with what it took at each concurrency, a sample for each round. */
interface Client {
  readonly subject: LoopbackSubject
  readonly child: Child<Sample>
  readonly samples: ReadonlyMap<number, Sample[]>
}

/** What clients cost over real HTTP: each in a process of its own, as applications have them. */
export const run: RunBench = async (settings, progress) => {
  const server = new Child<{ readonly port: number }>('the server', 'loopback-probe.js', ['server'])
  const clients = loopbackSubjects.map((subject, place): Client => {
    const child = new Child<Sample>(idOf(subject), 'loopback-probe.js', [String(place)])
    return { subject, child, samples: new Map(CONCURRENCIES.map((each) => [each, []])) }
  })
  try {
    const { port } = await server.told()
    await measure(clients, `http://127.0.0.1:${port}/orders`, settings, progress)
  } finally {
    await Promise.all([server, ...clients.map(({ child }) => child)].map((one) => one[Symbol.asyncDispose]()))
  }
  return CONCURRENCIES.flatMap((concurrency) => sectionsOf(concurrency, clients))
}

async function measure(
  clients: readonly Client[],
  url: string,
  { rounds, calls, quick, random }: Settings,
  progress: Progress,
): Promise<void> {
  const all = clients.flatMap((client) => CONCURRENCIES.map((concurrency) => ({ client, concurrency })))
  const steps = clients.length + all.length * rounds
  let done = 0
  for (const { subject, child } of clients) {
    progress.step(done++ / steps, `warming up: ${idOf(subject)}`)
    const requests = quick ? QUICK_WARM_REQUESTS : WARM_REQUESTS
    await child.ask({ url, requests, concurrency: Math.max(...CONCURRENCIES) } satisfies Load)
  }
  for (let round = 1; round <= rounds; round++)
    for (const { client, concurrency } of shuffled(all, random)) {
      progress.step(
        done++ / steps,
        `round ${round} of ${rounds}: ${idOf(client.subject)}, ${concurrency} at once`,
      )
      // A process that has waited for its turn has lost its caches, and maybe its memory: to come back is not measured.
      await client.child.ask({ url, requests: Math.ceil(calls / 4), concurrency } satisfies Load)
      const sample = await client.child.ask({ url, requests: calls, concurrency } satisfies Load)
      client.samples.get(concurrency)?.push(sample)
    }
}

function sectionsOf(concurrency: number, clients: readonly Client[]): Section[] {
  const at = concurrency === 1 ? 'one at a time' : `${concurrency} at once`
  const note = 'GET of 1 KB of JSON from a server in a process of its own; each client has one, too.'
  const table = (title: string, what: string, pick: (sample: Sample) => number): Comparison =>
    comparison({
      title: `${title}, ${at}`,
      note: `${note} ${what} Ratios are to the bare global fetch.`,
      unit: 'us',
      baseline: loopbackSubjects[0],
      measured: clients.map(({ subject: { library, name, has }, samples }) => {
        return { library, name, has, samples: (samples.get(concurrency) ?? []).map(pick) }
      }),
    })
  return [
    table('Time a request', 'All of the time, divided by all requests.', ({ us }) => us),
    table('CPU of the client a request', 'User and system time of its process.', ({ cpuUs }) => cpuUs),
    facts(`Requests and latencies, ${at}`, `${note} Medians of the rounds.`, concurrency, clients),
  ]
}

function facts(title: string, note: string, concurrency: number, clients: readonly Client[]): Facts {
  return {
    kind: 'facts',
    title,
    note,
    columns: [
      { head: 'requests', unit: '/s' },
      { head: 'p50', unit: 'ms' },
      { head: 'p99', unit: 'ms' },
      { head: 'RSS', unit: 'MiB' },
    ],
    rows: clients.map(({ subject: { library, name }, samples }) => {
      const of = (pick: (sample: Sample) => number): number =>
        median((samples.get(concurrency) ?? []).map(pick))
      const values = [
        of(({ us }) => 1e6 / us),
        of(({ p50Ms }) => p50Ms),
        of(({ p99Ms }) => p99Ms),
        of(({ rssBytes }) => rssBytes / 2 ** 20),
      ]
      return { library, name, values }
    }),
  }
}
