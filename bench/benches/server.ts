import { median } from '../harness/arithmetic.ts'
import type { RunBench, Settings } from '../harness/bench.ts'
import { shuffled } from '../harness/order.ts'
import type { Progress } from '../harness/progress.ts'
import { comparison, idOf, type Comparison, type Measured } from '../harness/result.ts'
import { expressServers, nodeServers, serverSubjects } from '../servers/all.ts'
import { record, send, type Keys } from '../servers/load.ts'
import { ServerProcess } from '../servers/process.ts'
import type { ServerSubject } from '../servers/subject.ts'

const CONNECTIONS = 64
/** Round trips are counted with one request at a time. */
const COUNTED = 50

/** What one server took for one kind of keys, a value for each round. */
interface Samples {
  readonly us: number[]
  readonly cpuUs: number[]
  roundTrips: number
}

type Measurements = ReadonlyMap<ServerSubject, Readonly<Record<Keys, Samples>>>

/** What idempotency costs a server, and how often it asks its store. */
export const run: RunBench = async (settings, progress) => {
  const processes: ServerProcess[] = []
  try {
    for (const subject of serverSubjects) processes.push(await ServerProcess.start(subject))
    const measurements = await measure(processes, settings, progress)
    return [nodeServers, expressServers].flatMap((group) =>
      (['new', 'known'] as const).map((keys) => table(group, keys, measurements)),
    )
  } finally {
    await Promise.all(processes.map((one) => one[Symbol.asyncDispose]()))
  }
}

async function measure(
  processes: readonly ServerProcess[],
  { rounds, calls, random }: Settings,
  progress: Progress,
): Promise<Measurements> {
  const measurements = new Map(
    processes.map(({ subject }) => [subject, { new: samples(), known: samples() }]),
  )
  const all = processes.flatMap((server) => (['new', 'known'] as const).map((keys) => ({ server, keys })))
  const steps = all.length * (rounds + 1)
  let done = 0
  const tell = ({ server, keys }: (typeof all)[number], what: string): void =>
    progress.step(done++ / steps, `${what}: ${idOf(server.subject)}, ${keys} keys`)
  for (const one of all) {
    tell(one, 'warming up')
    const { server, keys } = one
    await record(server.port)
    await send({ port: server.port, keys, requests: calls, connections: CONNECTIONS })
    samplesOf(measurements, one).roundTrips = await roundTripsOf(server, keys)
  }
  for (let round = 1; round <= rounds; round++) {
    for (const one of shuffled(all, random)) {
      tell(one, `round ${round} of ${rounds}`)
      await sample(one.server, one.keys, calls, samplesOf(measurements, one))
    }
  }
  return measurements
}

const samples = (): Samples => ({ us: [], cpuUs: [], roundTrips: 0 })

function samplesOf(
  measurements: Measurements,
  { server: { subject }, keys }: { readonly server: ServerProcess; readonly keys: Keys },
): Samples {
  const found = measurements.get(subject)
  if (found === undefined) throw new Error(`${subject.name} is not measured`)
  return found[keys]
}

async function sample(server: ServerProcess, keys: Keys, requests: number, into: Samples): Promise<void> {
  const before = await server.costs()
  const tookMs = await send({ port: server.port, keys, requests, connections: CONNECTIONS })
  const after = await server.costs()
  into.us.push((tookMs * 1000) / requests)
  into.cpuUs.push((after.cpuUs - before.cpuUs) / requests)
}

async function roundTripsOf(server: ServerProcess, keys: Keys): Promise<number> {
  const before = await server.costs()
  await send({ port: server.port, keys, requests: COUNTED, connections: 1 })
  const after = await server.costs()
  return (after.roundTrips - before.roundTrips) / COUNTED
}

const TITLES: Readonly<Record<Keys, string>> = {
  new: 'every key is new',
  known: 'every key is known: a replay',
}

function table(
  [baseline, ...others]: typeof nodeServers,
  keys: Keys,
  measurements: Measurements,
): Comparison {
  const measured = [baseline, ...others].map((subject): Measured => {
    const found = measurements.get(subject)?.[keys]
    if (found === undefined) throw new Error(`${subject.name} was not measured`)
    return { ...rowOf(subject), samples: found.us, remark: remarkOf(subject, found) }
  })
  return comparison({
    title: `${baseline.name.replace('bare ', '')}, ${TITLES[keys]}`,
    note: `POST with a JSON body over ${CONNECTIONS} connections to a server in a process of its own, time a request. Ratios are to the bare handler.`,
    unit: 'us',
    baseline,
    measured,
  })
}

const rowOf = ({ library, name, has }: ServerSubject): Pick<Measured, 'library' | 'name' | 'has'> => ({
  library,
  name,
  has,
})

function remarkOf({ storePort }: ServerSubject, { cpuUs, roundTrips }: Samples): string {
  const cpu = `${median(cpuUs).toFixed(0)} us of CPU`
  return storePort === undefined ? cpu : `${cpu}, ${roundTrips.toFixed(1)} round trips`
}
