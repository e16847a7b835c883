import { performance } from 'node:perf_hooks'
import { inspect } from 'node:util'
import type { Run } from '../harness/subject.ts'

/** What a client is asked for. */
export interface Load {
  readonly url: string
  readonly concurrency: number
  readonly durationMs: number
}

/** What the service answers with: 1 KB of JSON. */
export const ANSWER: { readonly sku: string; readonly note: string } = {
  sku: 'anchor',
  note: 'x'.repeat(994),
}

/** What it took. */
export interface Sample {
  readonly requests: number
  /** Wall time of each request, as throughput has it: all of the time, divided by all requests. */
  readonly us: number
  readonly cpuUs: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of the whole process. */
  readonly rssBytes: number
}

/** A client whose answer is not read to its end, or is an error, would be measured for another. */
function expectAnswer(answer: unknown): void {
  const { sku, note } = Object(answer) as { readonly sku?: unknown; readonly note?: unknown }
  if (sku !== ANSWER.sku || String(note).length !== ANSWER.note.length)
    throw new Error(`a client was to give what the service answered, and gave ${inspect(answer)}`)
}

/** Makes requests for so long, always so many at once, each read to its end. */
export async function put(run: Run, { concurrency, durationMs }: Load): Promise<Sample> {
  const latencies: number[] = []
  const startMs = performance.now()
  const before = process.cpuUsage()
  const one = async (): Promise<void> => {
    for (let nowMs = startMs; nowMs < startMs + durationMs;) {
      const askedMs = nowMs
      expectAnswer(await run())
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
    requests,
    us: (tookMs * 1000) / requests,
    cpuUs: (user + system) / requests,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    rssBytes: process.memoryUsage.rss(),
  }
}
