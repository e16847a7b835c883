import { httpCache } from '../../src/cache/index.ts'
import { createFetch, outcomeOf, type Clock, type FetchOptions, type Policy } from '../../src/index.ts'
import { clientsOf, type Exchange, type Subject } from '../harness/subject.ts'

const client = clientsOf('holdfast')

const EVERYTHING = ['retry', 'breaker', 'timeout', 'budget', 'keys'] as const

export const defaultClient: Subject<Exchange> = client('createFetch()', EVERYTHING, (fetch) =>
  createFetch({ fetch }),
)

const OFF = {
  retry: false,
  circuitBreaker: false,
  idempotency: false,
  timeout: false,
  retryBudget: false,
} as const satisfies FetchOptions

export const offClient: Subject<Exchange> = client('createFetch, all off', [], (fetch) =>
  createFetch({ ...OFF, fetch }),
)

const asItIs: Policy<Response> = { name: 'as it is', wrap: (next) => next }

/** Time costs 40 ns each time it is read. */
const standing: Clock = { now: () => 0, wallNow: () => 0, schedule: () => ({ cancel() {} }) }

const PARTS: readonly (readonly [string, FetchOptions])[] = [
  ['its frame: a policy that does nothing', { ...OFF, policies: [asItIs] }],
  ['retry alone', { ...OFF, retry: {} }],
  ['retry and budget alone', { ...OFF, retry: {}, retryBudget: {} }],
  ['circuit breaker alone', { ...OFF, circuitBreaker: {} }],
  ['timeouts alone', { ...OFF, timeout: {} }],
  ['everything, a clock that stands still', { clock: standing }],
]

/** What makes up the cost of a call. */
export const parts: readonly Subject<Exchange>[] = PARTS.map(([name, options]) =>
  client(`createFetch, ${name}`, [], (fetch) => createFetch({ ...options, fetch })),
)

const EXTRAS: readonly (readonly [string, () => FetchOptions])[] = [
  ['with a listener', () => ({ onEvent() {} })],
  ['with a cache', () => ({ cache: httpCache() })],
  ['coalescing', () => ({ coalesce: true })],
  ['with hedges', () => ({ hedge: {} })],
  ['with a bulkhead', () => ({ bulkhead: {} })],
]

/** With what is off by default. */
export const extras: readonly Subject<Exchange>[] = [
  ...EXTRAS.map(([name, options]) =>
    client(`createFetch, ${name}`, EVERYTHING, (fetch) => createFetch({ ...options(), fetch })),
  ),
  client('createFetch, each call with a signal', EVERYTHING, (transport) => {
    const fetch = createFetch({ fetch: transport })
    return (url, init) => fetch(url, { ...init, signal: new AbortController().signal })
  }),
  client('createFetch, with a cache, answered by it', EVERYTHING, (transport) => {
    const fetch = createFetch({ fetch: transport, cache: httpCache({ serveFresh: true }) })
    let isStored = false
    return async (url, init) => {
      const response = await fetch(url, init)
      const isHit = outcomeOf(response)?.source === 'cache'
      if (isStored && !isHit) throw new Error('the cache was to answer this call, and asked the transport')
      isStored = true
      return response
    }
  }),
]

/** Retries whatever a budget would say. */
export const unboundedClient: Subject<Exchange> = client(
  'createFetch, no retry budget',
  ['retry', 'breaker', 'timeout', 'keys'],
  (fetch) => createFetch({ fetch, retryBudget: false }),
)
