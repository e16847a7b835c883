import { median } from '../harness/arithmetic.ts'
import type { RunBench, Settings } from '../harness/bench.ts'
import { Child } from '../harness/child.ts'
import { shuffled } from '../harness/order.ts'
import { partOf, type Progress } from '../harness/progress.ts'
import { comparison, idOf, type Comparison, type Facts, type Section } from '../harness/result.ts'
import type { Load, Sample } from '../loopback/load.ts'
import { loopbackSubjects, type LoopbackSubject } from '../loopback/subjects.ts'

const CONCURRENCIES = [1, 64, 256]
/** Until code is compiled and connections are open. */
const WARM_REQUESTS = 3000
const QUICK_WARM_REQUESTS = 600

/** A client, with what it took, a sample for each round. */
interface Client {
  readonly subject: LoopbackSubject
  readonly child: Child<Sample>
  readonly samples: Sample[]
}

/** What clients cost over real HTTP: each in a process of its own, as applications have them. */
export const run: RunBench = async (settings, progress) => {
  const sections: Section[] = []
  for (const [place, concurrency] of CONCURRENCIES.entries()) {
    const part = partOf(progress, place, CONCURRENCIES.length)
    sections.push(...(await runAt(concurrency, settings, part)))
  }
  return sections
}

/** With processes of its own: connections that were opened for more at once would burden the others. */
async function runAt(concurrency: number, settings: Settings, progress: Progress): Promise<Section[]> {
  const server = new Child<{ readonly port: number }>('the server', 'loopback-probe.js', ['server'])
  const clients = loopbackSubjects.map((subject, place): Client => {
    const child = new Child<Sample>(idOf(subject), 'loopback-probe.js', [String(place)])
    return { subject, child, samples: [] }
  })
  try {
    const { port } = await server.told()
    await measure(clients, { url: `http://127.0.0.1:${port}/orders`, concurrency }, settings, progress)
  } finally {
    await Promise.all([server, ...clients.map(({ child }) => child)].map((one) => one[Symbol.asyncDispose]()))
  }
  return sectionsOf(concurrency, clients)
}

async function measure(
  clients: readonly Client[],
  load: Omit<Load, 'requests'>,
  { rounds, calls, quick, random }: Settings,
  progress: Progress,
): Promise<void> {
  const steps = clients.length * (1 + rounds)
  let done = 0
  for (const { subject, child } of clients) {
    progress.step(done++ / steps, `warming up: ${idOf(subject)}, ${load.concurrency} at once`)
    await child.ask({ ...load, requests: quick ? QUICK_WARM_REQUESTS : WARM_REQUESTS })
  }
  for (let round = 1; round <= rounds; round++)
    for (const { subject, child, samples } of shuffled(clients, random)) {
      progress.step(
        done++ / steps,
        `round ${round} of ${rounds}: ${idOf(subject)}, ${load.concurrency} at once`,
      )
      // A process that has waited for its turn has lost its caches, and maybe its memory: to come back is not measured.
      await child.ask({ ...load, requests: Math.ceil(calls / 4) })
      samples.push(await child.ask({ ...load, requests: calls }))
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
        return { library, name, has, samples: samples.map(pick) }
      }),
    })
  return [
    table('Time a request', 'All of the time, divided by all requests.', ({ us }) => us),
    table('CPU of the client a request', 'User and system time of its process.', ({ cpuUs }) => cpuUs),
    facts(`Requests and latencies, ${at}`, `${note} Medians of the rounds.`, clients),
  ]
}

function facts(title: string, note: string, clients: readonly Client[]): Facts {
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
      const of = (pick: (sample: Sample) => number): number => median(samples.map(pick))
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
