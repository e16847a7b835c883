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

async function heapBytes(): Promise<number> {
  // What a finalizer lets go of is collected the next time.
  for (let i = 0; i < 3; i++) await settleFully()
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
const firstNs = await timed(map, keys)
const bytes = ((await heapBytes()) - emptyBytes) / count
const laterNs = await timed(map, keys)
const idle = await idlePercent()
const churnNs = subject.library === 'holdfast' ? await timed(map, keysOf('new', count / 10)) : null
map.close?.()
map = undefined
const leftBytes = Math.max(0, (await heapBytes()) - emptyBytes) / count

const costs: CircuitCosts = { bytes, firstNs, laterNs, churnNs, idlePercent: idle, leftBytes }
process.stdout.write(JSON.stringify(costs), () => process.exit())
