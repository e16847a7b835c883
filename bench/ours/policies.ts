import {
  bulkhead,
  circuitBreaker,
  coalesce,
  concurrencyLimit,
  fallback,
  hedge,
  pipeline,
  retry,
  retryBudget,
  throttle,
  timeout,
  DEFAULTS,
  type Policy,
} from '../../src/index.ts'
import { refused, subjectsOf, trip, type Ability, type Ready, type Subject } from '../harness/subject.ts'
import { FOREVER_MS } from '../peers/settings.ts'

const subject = subjectsOf<Ready>('holdfast')

const through = (name: string, has: readonly Ability[], make: () => readonly Policy[]): Subject<Ready> =>
  subject(name, has, (ready) => {
    const policies = pipeline(...make())
    return () => policies.execute(ready)
  })

const { attemptMs, totalMs } = DEFAULTS.timeout

/** Each policy by itself, with its defaults. */
export const alone: readonly Subject<Ready>[] = [
  through('retry', ['retry'], () => [retry()]),
  through('circuitBreaker', ['breaker'], () => [circuitBreaker()]),
  through('timeout({ attemptMs })', ['timeout'], () => [timeout({ attemptMs })]),
  through('timeout({ totalMs })', ['timeout'], () => [timeout({ totalMs })]),
  through('retryBudget', ['budget'], () => [retryBudget()]),
  through('fallback', ['fallback'], () => [fallback(() => undefined)]),
  through('bulkhead', ['bulkhead'], () => [bulkhead()]),
  through('coalesce', ['coalesce'], () => [coalesce({ key: () => 'key' })]),
  through('concurrencyLimit', ['concurrency limit'], () => [concurrencyLimit()]),
  through('hedge', ['hedge'], () => [hedge()]),
  through('throttle', ['throttle'], () => [throttle()]),
]

/** What `createFetch` has by default, around any function. */
const defaults = (breaker: Policy = circuitBreaker()): Policy[] => [
  timeout({ totalMs }),
  retryBudget(),
  retry(),
  breaker,
  timeout({ attemptMs }),
]

export const wholePipeline: Subject<Ready> = through(
  'whole default pipeline',
  ['retry', 'breaker', 'timeout', 'budget'],
  () => defaults(),
)

export const smallerPipelines: readonly Subject<Ready>[] = [
  through('breaker + timeout', ['breaker', 'timeout'], () => [circuitBreaker(), timeout({ attemptMs })]),
  through('retry + breaker', ['retry', 'breaker'], () => [retry(), circuitBreaker()]),
  through('retry + timeout', ['retry', 'timeout'], () => [retry(), timeout({ attemptMs })]),
  through('retry + breaker + timeout', ['retry', 'breaker', 'timeout'], () => [
    retry(),
    circuitBreaker(),
    timeout({ attemptMs }),
  ]),
]

function refusing(name: string, around: (breaker: Policy) => Policy[]): Subject<Ready> {
  return subject(name, ['refuses'], async (ready) => {
    const breaker = circuitBreaker({ minimumCalls: 1, openMs: FOREVER_MS })
    await trip((operation) => pipeline(breaker).execute(operation))
    const policies = pipeline(...around(breaker))
    return refused(() => policies.execute(ready))
  })
}

export const openBreaker: Subject<Ready> = refusing('open breaker', (breaker) => [breaker])
export const openPipeline: Subject<Ready> = refusing('whole default pipeline, open', defaults)
