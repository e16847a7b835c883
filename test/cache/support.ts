import { onTestFinished, vi } from 'vitest'
import {
  httpCache,
  type CacheEntry,
  type CacheStore,
  type HttpCache,
  type HttpCacheOptions,
} from '../../src/cache/index.ts'
import { createFetch, type FetchOptions, type HoldfastEvent, type HoldfastFetch } from '../../src/index.ts'
import {
  faultServer,
  ok,
  status,
  type Fault,
  type FaultServer,
  type ReceivedRequest,
} from '../../src/testing/index.ts'
import { testClock, type TestClock } from '../client/support/clock.ts'
import { tick, until } from '../client/support/wait.ts'

/** A store that answers at once and shows what it has. */
export class MapStore implements CacheStore {
  readonly entries: Map<string, CacheEntry> = new Map()
  readonly ttls: Map<string, number> = new Map()
  /** How many responses were ever stored. */
  stored = 0

  get(key: string): CacheEntry | undefined {
    return this.entries.get(key)
  }

  set(key: string, entry: CacheEntry, ttlMs: number): void {
    this.entries.set(key, entry)
    this.ttls.set(key, ttlMs)
    if (key.includes(':response:')) this.stored++
  }

  delete(key: string): void {
    this.entries.delete(key)
  }

  clear(): void {
    this.entries.clear()
  }

  get responses(): [string, CacheEntry][] {
    return [...this.entries].filter(([key]) => key.includes(':response:'))
  }
}

export interface BenchOptions {
  readonly cache?: HttpCacheOptions
  readonly client?: FetchOptions
}

export type Handler = (request: Request) => Response | Promise<Response>

type FaultOf = (request: Pick<ReceivedRequest, 'path'>) => Fault

export interface Bench {
  readonly clock: TestClock
  readonly events: readonly HoldfastEvent[]
  /** What the origin answers, and how it fails. */
  readonly origin: { answer: Handler; fault: Fault | FaultOf }
  readonly server: FaultServer
  readonly store: MapStore
  readonly cache: HttpCache
  readonly fetch: HoldfastFetch
  /** What `fetch` is made of. */
  readonly options: FetchOptions
  /** Waits until so many responses have been stored. */
  stored: (count: number) => Promise<void>
  /** Fetches a URL, reads it to its end and waits until it is stored. */
  warm: (path: string, init?: RequestInit) => Promise<string>
  /** Waits until whatever was on its way to the store must have arrived. */
  passed: () => Promise<void>
  down: () => void
  up: () => void
  url: (path: string) => string
  hits: () => readonly HoldfastEvent[]
}

/** An origin that can be told what to answer and what to fail with, and a client with a cache in front of it. */
export async function bench({ cache: cacheOptions = {}, client = {} }: BenchOptions = {}): Promise<Bench> {
  const clock = testClock()
  const events: HoldfastEvent[] = []
  const origin: Bench['origin'] = {
    answer: () => new Response('fresh', { headers: { 'cache-control': 'max-age=60' } }),
    fault: ok(),
  }
  const server = await faultServer({
    handler: (request) => origin.answer(request),
    faults: (request) => (typeof origin.fault === 'function' ? origin.fault(request) : origin.fault),
  })
  onTestFinished(() => server.close())
  const store = new MapStore()
  const cache = httpCache({ store, ...cacheOptions })
  const options: FetchOptions = {
    clock,
    random: () => 0.5,
    retry: false,
    circuitBreaker: { minimumCalls: 1000 },
    onEvent: (event) => events.push(event),
    cache,
    ...client,
  }
  const fetch = createFetch(options)
  const stored = (count: number): Promise<void> => until(() => store.stored >= count)
  const warm = async (path: string, init?: RequestInit): Promise<string> => {
    const before = store.stored
    const text = await (await fetch(`${server.url}${path}`, init)).text()
    await stored(before + 1)
    return text
  }
  let barriers = 0
  const hashed = watchDigests()
  // What came before another response that has arrived has arrived, too, unless its key is still being made.
  const passed = async (): Promise<void> => {
    const barrier = `http://barrier.test/${barriers++}`
    const isOfBarrier = ([, { meta }]: [string, CacheEntry]): boolean => meta.includes(barrier)
    const through = createFetch({ ...options, beforeAttempt: false, fetch: cacheableAnswer })
    await (await through(barrier)).text()
    await until(() => store.responses.some(isOfBarrier))
    await hashed()
    for (const [key] of [...store.entries].filter(isOfBarrier)) store.delete(key)
  }
  const down = (): void => void (origin.fault = status(503))
  const up = (): void => void (origin.fault = ok())
  const url = (path: string): string => `${server.url}${path}`
  const hits = () => events.filter((event) => event.type === 'cache-hit')
  return {
    clock,
    events,
    origin,
    server,
    store,
    cache,
    fetch,
    options,
    stored,
    warm,
    passed,
    down,
    up,
    url,
    hits,
  }
}

const digest = crypto.subtle.digest.bind(crypto.subtle)

const pending = new Set<Promise<unknown>>()

/** Keys are made in other threads, which may be slow. Resolves when none is being made. */
function watchDigests(): () => Promise<void> {
  // Where a test has taken WebCrypto away, no key is made at all.
  if (!('subtle' in crypto)) return async () => {}
  const spy = vi.spyOn(crypto.subtle, 'digest').mockImplementation(async (algorithm, data) => {
    const work = digest(algorithm, data)
    pending.add(work)
    return work.finally(() => pending.delete(work))
  })
  onTestFinished(() => spy.mockRestore())
  return async () => {
    do {
      await Promise.allSettled(pending)
      await tick()
    } while (pending.size > 0)
  }
}

const cacheableAnswer = async (url: string): Promise<Response> => {
  const response = new Response('b', { headers: { 'cache-control': 'max-age=60' } })
  return Object.defineProperty(response, 'url', { value: url })
}

/** An answer with these headers, under which nothing else stands. */
export const answer =
  (body: string | null, headers: Record<string, string> = {}, init: ResponseInit = {}): Handler =>
  () =>
    new Response(body, { ...init, headers })
