import { createFetch } from '../../src/index.ts'
import { clientsOf, type Exchange, type Subject } from '../harness/subject.ts'

const client = clientsOf('holdfast')

const EVERYTHING = ['retry', 'breaker', 'timeout', 'budget', 'keys'] as const

export const defaultClient: Subject<Exchange> = client('createFetch()', EVERYTHING, (fetch) =>
  createFetch({ fetch }),
)

export const offClient: Subject<Exchange> = client('createFetch, all off', [], (fetch) =>
  createFetch({
    fetch,
    retry: false,
    circuitBreaker: false,
    idempotency: false,
    timeout: false,
    retryBudget: false,
  }),
)

/** Retries whatever a budget would say. */
export const unboundedClient: Subject<Exchange> = client(
  'createFetch, no retry budget',
  ['retry', 'breaker', 'timeout', 'keys'],
  (fetch) => createFetch({ fetch, retryBudget: false }),
)
