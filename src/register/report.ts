import type { HoldfastEvent } from '../core/events.ts'

interface Counts {
  calls: number
  requests: number
  retries: number
  failed: number
  substitutes: number
  openings: number
}

const none = (): Counts => ({ calls: 0, requests: 0, retries: 0, failed: 0, substitutes: 0, openings: 0 })

type CallEnd = Extract<HoldfastEvent, { type: 'call-end' }>

/** How many origins have a line of their own, and how many are told apart at all. */
const MOST_LINES = 20
const MOST_ORIGINS = 1000

/** Counts what a process's calls took, by origin. */
export class Report {
  readonly #origins = new Map<string, Counts>()

  readonly listener = (event: HoldfastEvent): void => {
    const counts = this.#of(originOf(event))
    if (event.type === 'call-start') counts.calls++
    else if (event.type === 'attempt-start') counts.requests++
    else if (event.type === 'retry') counts.retries++
    else if (event.type === 'circuit-open') counts.openings++
    else if (event.type === 'call-end') count(event, counts)
  }

  /** What was done, for people to read. */
  toString(): string {
    const all = [...this.#origins]
    const total = all.reduce((sum, [, counts]) => added(sum, counts), none())
    const busiest = all.toSorted(([, a], [, b]) => b.requests - a.requests)
    const lines = busiest.slice(0, MOST_LINES).map(([origin, counts]) => `  ${origin}: ${told(counts)}`)
    const left = all.length - lines.length
    return [
      `holdfast: ${told(total)}`,
      ...lines,
      ...(left > 0 ? [`  and ${left} more origins`] : []),
      '',
    ].join('\n')
  }

  #of(origin: string): Counts {
    const name = this.#origins.has(origin) || this.#origins.size < MOST_ORIGINS ? origin : 'further origins'
    const counts = this.#origins.get(name) ?? none()
    this.#origins.set(name, counts)
    return counts
  }
}

function count({ status, error, source }: CallEnd, counts: Counts): void {
  if (source !== 'network') counts.substitutes++
  else if (error !== undefined || (status ?? 0) >= 500) counts.failed++
}

function originOf(event: HoldfastEvent): string {
  if (event.call !== undefined) return new URL(event.call.url).origin
  return 'key' in event ? event.key : 'unknown'
}

function added(a: Counts, b: Counts): Counts {
  return {
    calls: a.calls + b.calls,
    requests: a.requests + b.requests,
    retries: a.retries + b.retries,
    failed: a.failed + b.failed,
    substitutes: a.substitutes + b.substitutes,
    openings: a.openings + b.openings,
  }
}

function told({ calls, requests, retries, failed, substitutes, openings }: Counts): string {
  return [
    amount(calls, 'call'),
    amount(requests, 'request'),
    amount(retries, 'retry', 'retries'),
    `${failed} failed`,
    ...(substitutes > 0 ? [`${substitutes} from cache or fallback`] : []),
    ...(openings > 0 ? [amount(openings, 'circuit opening')] : []),
  ].join(', ')
}

const amount = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`
