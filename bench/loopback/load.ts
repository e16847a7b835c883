import { performance } from 'node:perf_hooks'
import type { Run } from '../harness/subject.ts'

/** What a client is asked for. */
export interface Load {
  readonly url: string
  readonly concurrency: number
  readonly durationMs: number
}

/** What it took. */
export interface Sample {
  /** Wall time of each request, as throughput has it: all of the time, divided by all requests. */
  readonly us: number
  readonly cpuUs: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of the whole process. */
  readonly rssBytes: number
}

/** Makes requests for so long, always so many at once, each read to its end. */
export async function put(run: Run, { concurrency, durationMs }: Load): Promise<Sample> {
  const latencies: number[] = []
  const startMs = performance.now()
  const before = process.cpuUsage()
  const one = async (): Promise<void> => {
    for (let nowMs = startMs; nowMs < startMs + durationMs;) {
      const askedMs = nowMs
      await run()
      nowMs = performance.now()
      latencies.push(nowMs - askedMs)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, one))
  const { user, system } = process.cpuUsage(before)
  const tookMs = performance.now() - startMs
  const requests = latencies.length
  latencies.sort((a, b) => a - b)
  const at = (fraction: number): number => latencies[Math.floor((requests - 1) * fraction)] ?? 0
  return {
    us: (tookMs * 1000) / requests,
    cpuUs: (user + system) / requests,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    rssBytes: process.memoryUsage.rss(),
  }
}
