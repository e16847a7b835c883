import { createFetch, type Clock, type FetchOptions, type Policy } from '../../src/index.ts'
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

/** Retries whatever a budget would say. */
export const unboundedClient: Subject<Exchange> = client(
  'createFetch, no retry budget',
  ['retry', 'breaker', 'timeout', 'keys'],
  (fetch) => createFetch({ fetch, retryBudget: false }),
)
