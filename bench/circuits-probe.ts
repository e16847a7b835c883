/** Run in a process of its own: measures one subject of the circuits benchmark with so many circuits. */
import { memoryUsage } from 'node:process'
import { setTimeout } from 'node:timers/promises'
import { circuitSubjects } from './circuits/all.ts'
import type { CircuitCosts, CircuitMap } from './circuits/subject.ts'
import { settleFully } from './harness/measure.ts'

const [place, count, idleMs] = process.argv.slice(2).map(Number) as [number, number, number]
const subject = circuitSubjects[place]
if (subject === undefined) throw new Error(`there are no circuits ${place}`)

const keysOf = (kind: string, many: number): string[] =>
  Array.from({ length: many }, (_, index) => `https://${kind}-${index}.example.com`)

/** Nanoseconds a call. */
async function timed(map: CircuitMap, keys: readonly string[]): Promise<number> {
  const startMs = performance.now()
  for (const key of keys) await map.call(key)
  return ((performance.now() - startMs) / keys.length) * 1e6
}

/** A map that forgot some, or never let one go, would be measured for another. */
function expectSize(map: CircuitMap, many: number): void {
  if (map.size() !== many) throw new Error(`there were to be ${many} circuits, and there are ${map.size()}`)
}

async function filled(map: CircuitMap, many: readonly string[]): Promise<number> {
  const ns = await timed(map, many)
  expectSize(map, many.length)
  return ns
}

/** For each new circuit one has to go. */
async function churned(map: CircuitMap): Promise<number> {
  const ns = await timed(map, keysOf('new', count / 10))
  expectSize(map, count)
  return ns
}

async function heapBytes(): Promise<number> {
  // What a finalizer lets go of is collected the next time; some of it only after a while.
  for (let i = 0; i < 5; i++) {
    await settleFully()
    await setTimeout(20)
  }
  return memoryUsage().heapUsed
}

async function idlePercent(): Promise<number> {
  const before = process.cpuUsage()
  await setTimeout(idleMs)
  const { user, system } = process.cpuUsage(before)
  return ((user + system) / 1000 / idleMs) * 100
}

/** Compiled code is no circuit. */
await timed(subject.make(1000), keysOf('warm', 1000))

const keys = keysOf('api', count)
const emptyBytes = await heapBytes()
let map: CircuitMap | undefined = subject.make(count)
const firstNs = await filled(map, keys)
const bytes = ((await heapBytes()) - emptyBytes) / count
const laterNs = await timed(map, keys)
const idle = await idlePercent()
const churnNs = subject.library === 'holdfast' ? await churned(map) : null
map.close?.()
map = undefined
const leftBytes = Math.max(0, (await heapBytes()) - emptyBytes) / count

const costs: CircuitCosts = { bytes, firstNs, laterNs, churnNs, idlePercent: idle, leftBytes }
process.stdout.write(JSON.stringify(costs), () => process.exit())
