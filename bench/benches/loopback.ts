import { median, pairedRatios } from '../harness/arithmetic.ts'
import type { RunBench, Settings } from '../harness/bench.ts'
import { Child } from '../harness/child.ts'
import { shuffled } from '../harness/order.ts'
import { partOf, type Progress } from '../harness/progress.ts'
import { comparison, idOf, type Comparison, type Facts, type Section } from '../harness/result.ts'
import { expectRequests } from '../loopback/requests.ts'
import type { Load, Sample } from '../loopback/load.ts'
import { additions, baseline, groups, loopbackSubjects, type LoopbackSubject } from '../loopback/subjects.ts'

const CONCURRENCIES = [1, 64, 256]

/** How long a client is asked, in ms. */
interface Lengths {
  /** Until code is compiled and connections are open. */
  readonly warm: number
  /** A process that has waited for its turn has lost its caches: to come back is not measured. */
  readonly back: number
  readonly sample: number
}

/** At some thousand requests a second V8 takes seconds to compile what a client is made of. */
const FULL: Lengths = { warm: 2000, back: 100, sample: 300 }
const QUICK: Lengths = { warm: 150, back: 20, sample: 60 }

/** A client, with what it took, a sample for each round. */
interface Client {
  readonly subject: LoopbackSubject
  readonly samples: Sample[]
  /** The baseline's beside it, round by round. */
  readonly beside: readonly Sample[]
}

/** It says its port, and then, whenever it is asked, how many requests it has had. */
type Server = Child<{ readonly port: number; readonly requests: number }>

interface Running extends Client {
  readonly child: Child<Sample>
}

/** What clients cost over real HTTP: each in a process of its own, as applications have them. */
export const run: RunBench = async (settings, progress) => {
  const sections: Section[] = []
  for (const [place, concurrency] of CONCURRENCIES.entries()) {
    const part = partOf(progress, place, CONCURRENCIES.length)
    const clients: Client[] = []
    for (const [group, subjects] of groups.entries())
      clients.push(...(await runGroup(subjects, concurrency, settings, partOf(part, group, groups.length))))
    sections.push(...sectionsOf(concurrency, clients))
  }
  return sections
}

/**
 * For how many rounds a client keeps its process. Some stay at twice the time of others that run the same, until they
 * end: V8's heap and what it has compiled come out differently each time.
 */
const ROUNDS_OF_A_PROCESS = 2

/**
 * In few processes at a time: with two dozen of them, all but one idle, a client's time differs by half from turn to
 * turn.
 *
 * @returns the clients, a baseline first
 */
async function runGroup(
  subjects: readonly LoopbackSubject[],
  concurrency: number,
  settings: Settings,
  progress: Progress,
): Promise<Client[]> {
  const beside: Sample[] = []
  const clients = [baseline, ...subjects].map((subject): Client => {
    return { subject, samples: subject === baseline ? beside : [], beside }
  })
  const turns = Math.ceil(settings.rounds / ROUNDS_OF_A_PROCESS)
  for (let turn = 0; turn < turns; turn++) {
    const rounds = Math.min(ROUNDS_OF_A_PROCESS, settings.rounds - turn * ROUNDS_OF_A_PROCESS)
    await runProcesses(clients, concurrency, { ...settings, rounds }, partOf(progress, turn, turns))
  }
  return clients
}

/** Takes samples of clients in processes that are made for it. */
async function runProcesses(
  clients: readonly Client[],
  concurrency: number,
  settings: Settings,
  progress: Progress,
): Promise<void> {
  const server: Server = new Child('the server', 'loopback-probe.js', ['server'])
  const running = clients.map((client): Running => {
    const place = String(loopbackSubjects.indexOf(client.subject))
    return { ...client, child: new Child<Sample>(idOf(client.subject), 'loopback-probe.js', [place]) }
  })
  try {
    const { port } = await server.told()
    const load = { url: `http://127.0.0.1:${port}/orders`, concurrency }
    await measure(running, server, load, settings, progress)
  } finally {
    await Promise.all([server, ...running.map(({ child }) => child)].map((one) => one[Symbol.asyncDispose]()))
  }
}

async function measure(
  clients: readonly Running[],
  server: Server,
  load: Omit<Load, 'durationMs'>,
  { rounds, quick, random }: Settings,
  progress: Progress,
): Promise<void> {
  const { warm, back, sample } = quick ? QUICK : FULL
  const steps = clients.length * (1 + rounds)
  let done = 0
  for (const { subject, child } of clients) {
    progress.step(done++ / steps, `warming up: ${idOf(subject)}, ${load.concurrency} at once`)
    await child.ask({ ...load, durationMs: warm })
  }
  for (let round = 1; round <= rounds; round++)
    for (const { subject, child, samples } of shuffled(clients, random)) {
      progress.step(
        done++ / steps,
        `round ${round} of ${rounds}: ${idOf(subject)}, ${load.concurrency} at once`,
      )
      await child.ask({ ...load, durationMs: back })
      const before = await server.ask('how many')
      const took = await child.ask({ ...load, durationMs: sample })
      const after = await server.ask('how many')
      expectRequests(subject, took.requests, after.requests - before.requests)
      samples.push(took)
    }
}

function sectionsOf(concurrency: number, all: readonly Client[]): Section[] {
  const at = concurrency === 1 ? 'one at a time' : `${concurrency} at once`
  const note =
    'GET of 1 KB of JSON from a server in a process of its own; each client has one, too. They are measured in groups, ' +
    'each with a bare global fetch of its own.'
  // Of the baselines the first is shown.
  const clients = all.filter(
    ({ subject }, place) =>
      subject !== baseline || place === all.findIndex((one) => one.subject === baseline),
  )
  const table = (title: string, what: string, pick: (sample: Sample) => number): Comparison =>
    comparison({
      title: `${title}, ${at}`,
      note: `${note} ${what} Ratios are to that fetch, round by round.`,
      unit: 'us',
      baseline,
      measured: clients.map(({ subject: { library, name, has }, samples, beside }) => {
        return { library, name, has, samples: samples.map(pick), beside: beside.map(pick) }
      }),
    })
  return [
    table('Time a request', 'All of the time, divided by all requests.', ({ us }) => us),
    table('CPU of the client a request', 'User and system time of its process.', ({ cpuUs }) => cpuUs),
    added(`What is added, ${at}`, clients),
    facts(
      `Requests and latencies, ${at}`,
      `${note} Medians of the rounds. "RSS" is of the whole process, which has loaded every client.`,
      clients,
    ),
  ]
}

/** The price of what stands upon something else, beside that. */
function added(title: string, clients: readonly Client[]): Facts {
  const samplesOf = (subject: LoopbackSubject): readonly Sample[] =>
    clients.find((client) => client.subject === subject)?.samples ?? []
  return {
    kind: 'facts',
    title,
    note: 'Beside what it stands upon, round by round: medians of the ratios.',
    columns: [
      { head: 'time', unit: 'x' },
      { head: 'CPU', unit: 'x' },
    ],
    rows: additions.map(([subject, to]) => {
      const ratio = (pick: (sample: Sample) => number): number =>
        median(pairedRatios(samplesOf(subject).map(pick), samplesOf(to).map(pick)))
      return {
        library: subject.library,
        name: `${subject.name}, to ${to.name}`,
        values: [ratio(({ us }) => us), ratio(({ cpuUs }) => cpuUs)],
      }
    }),
  }
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
