import { memoryUsage } from 'node:process'
import { setImmediate } from 'node:timers/promises'
import { GCProfiler } from 'node:v8'
import { median } from './arithmetic.ts'
import type { Run } from './subject.ts'

/**
 * Why not a library: those for Node (mitata, tinybench, benchmark) measure one case to its end before the next, so a
 * machine that gets busy half-way shifts some cases and not others. All cases here run in the same loop.
 */
async function repeat(run: Run, times: number): Promise<number> {
  const startMs = performance.now()
  for (let i = 0; i < times; i++) await run()
  return performance.now() - startMs
}

/** How long a sample takes, and how long it runs before. */
export interface Lengths {
  readonly sampleMs: number
  readonly warmMs: number
}

/** What one call takes. */
export interface Sample {
  readonly ns: number
  readonly bytes: number
}

/** Runs it until it is compiled, then measures it. */
export async function sampleOf(run: Run, { sampleMs, warmMs }: Lengths): Promise<Sample> {
  const times = await timesFor(run, warmMs, sampleMs)
  const ns = await timeOf(run, times)
  const bytes = Math.max(1, await bytesOf(run, PROBED))
  // As many as fill a quarter of the young generation.
  const weighed = Math.min(MOST_WEIGHED, Math.max(PROBED, Math.floor(YOUNG_BYTES / bytes)))
  return { ns, bytes: await bytesOf(run, weighed) }
}

/**
 * V8 compiles by how often code runs, not by how long: a call that takes 60 us in the end takes 500 at first, and is
 * not compiled before some six thousand of them.
 */
export const WARM_CALLS = 10_000

async function timesFor(run: Run, warmMs: number, sampleMs: number): Promise<number> {
  let times = 1
  let spentMs = 0
  let made = 0
  for (;;) {
    const tookMs = await repeat(run, times)
    spentMs += tookMs
    made += times
    if (spentMs >= warmMs && made >= WARM_CALLS && tookMs >= sampleMs / 4)
      return Math.max(1, Math.round((times * sampleMs) / tookMs))
    if (tookMs < sampleMs) times *= 2
    await settle()
  }
}

/**
 * Nanoseconds a call. Garbage of before is gone when it begins, its own is part of its price. The median of
 * some slices, since other processes take the processor away for milliseconds at a time.
 */
async function timeOf(run: Run, times: number): Promise<number> {
  await settle()
  const calls = Math.max(1, Math.round(times / SLICES))
  const slices: number[] = []
  for (let slice = 0; slice < SLICES; slice++) slices.push((await repeat(run, calls)) / calls)
  return median(slices) * 1e6
}

const SLICES = 5

/** A quarter of what V8's young generation holds at its smallest: far from a collection. */
const YOUNG_BYTES = 256 * 1024
const PROBED = 8
const MOST_WEIGHED = 1000
/** Tries with fewer and fewer calls, until nothing is collected meanwhile. */
const ATTEMPTS = 5

/**
 * Bytes a call allocates on the heap, garbage included: the growth of the heap over so few calls that nothing is
 * collected meanwhile, which is checked. The young generation is almost empty after `settle()`.
 */
async function bytesOf(run: Run, times: number): Promise<number> {
  let largest = 0
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const calls = Math.ceil(times / 2 ** attempt)
    const { bytes, collected } = await growthOf(run, calls)
    if (!collected) return bytes / calls
    largest = Math.max(largest, bytes / calls)
  }
  // Collections only make it smaller.
  return largest
}

async function growthOf(run: Run, times: number): Promise<{ bytes: number; collected: boolean }> {
  const asking = await askingBytes()
  await settle()
  const profiler = new GCProfiler()
  profiler.start()
  const before = heapUsed()
  for (let i = 0; i < times; i++) await run()
  const bytes = heapUsed() - before - asking
  return { bytes, collected: profiler.stop().statistics.length > 0 }
}

const heapUsed = (): number => memoryUsage().heapUsed

/** What asking for the size of the heap adds to it. */
let asking: number | undefined
async function askingBytes(): Promise<number> {
  if (asking === undefined) {
    await settle()
    const before = heapUsed()
    asking = heapUsed() - before
  }
  return asking
}

/**
 * Lets timers, immediates and finalizers have their turn, and empties the young generation. Not the old one: V8 keeps
 * compiled code that no living function holds, as that of closures made anew for each call, only until the next full
 * collection, and one before each sample would measure the interpreter.
 */
export async function settle(): Promise<void> {
  await setImmediate()
  collector()({ type: 'minor' })
}

/** The same, with everything that can be collected. */
export async function settleFully(): Promise<void> {
  await setImmediate()
  collector()()
}

function collector(): NodeJS.GCFunction {
  if (globalThis.gc === undefined) throw new Error('run node with --expose-gc, as `npm run bench` does')
  return globalThis.gc
}
