import {
  bulkhead,
  circuitBreaker,
  ConsecutiveBreaker,
  ExponentialBackoff,
  fallback,
  handleAll,
  retry,
  SamplingBreaker,
  timeout,
  TimeoutStrategy,
  wrap,
  type CircuitBreakerPolicy,
  type IDefaultPolicyContext,
  type IPolicy,
  type Policy,
  type RetryPolicy,
  type TimeoutPolicy,
} from 'cockatiel'
import {
  clientsOf,
  refused,
  subjectsOf,
  trip,
  type Ability,
  type Peer,
  type Ready,
  type Subject,
} from '../harness/subject.ts'
import * as settings from './settings.ts'

const { RETRIES, BASE_DELAY_MS, MAX_DELAY_MS, WINDOW_MS, FAILURE_RATE, OPEN_MS, TIMEOUT_MS } = settings

const retrying = (failures: Policy): RetryPolicy =>
  retry(failures, {
    maxAttempts: RETRIES,
    backoff: new ExponentialBackoff({ initialDelay: BASE_DELAY_MS, maxDelay: MAX_DELAY_MS }),
  })

const sampling = (failures: Policy): CircuitBreakerPolicy =>
  circuitBreaker(failures, {
    halfOpenAfter: OPEN_MS,
    breaker: new SamplingBreaker({
      threshold: FAILURE_RATE,
      duration: WINDOW_MS,
      minimumRps: (settings.MINIMUM_CALLS * 1000) / WINDOW_MS,
    }),
  })

const consecutive = (failures: number, openMs: number): CircuitBreakerPolicy =>
  circuitBreaker(handleAll, { halfOpenAfter: openMs, breaker: new ConsecutiveBreaker(failures) })

const cooperative = (): TimeoutPolicy => timeout(TIMEOUT_MS, TimeoutStrategy.Cooperative)
const aggressive = (): TimeoutPolicy => timeout(TIMEOUT_MS, TimeoutStrategy.Aggressive)

const subject = subjectsOf<Ready>('cockatiel')
const policy = (
  name: string,
  has: readonly Ability[],
  make: () => Pick<IPolicy<IDefaultPolicyContext, unknown>, 'execute'>,
): Subject<Ready> =>
  subject(name, has, (ready) => {
    const made = make()
    return () => made.execute(ready)
  })

const client = clientsOf('cockatiel')

/** Its timeout aborts the signal when the function returns, so a body has to be read inside. */
export const cockatielReading: Subject<string> = subjectsOf<string>('cockatiel')(
  'retry + breaker + timeout',
  ['retry', 'breaker', 'timeout'],
  (url) => {
    const policies = wrap(retrying(handleAll), sampling(handleAll), cooperative())
    return () =>
      policies.execute(async ({ signal }) => (await settings.throwing(fetch(url, { signal }))).json())
  },
)

export const cockatiel: Peer = {
  policies: [
    policy('retry', ['retry'], () => retrying(handleAll)),
    policy('sampling breaker', ['breaker'], () => sampling(handleAll)),
    policy('consecutive breaker', ['breaker'], () => consecutive(5, OPEN_MS)),
    policy('timeout, cooperative', ['timeout'], cooperative),
    policy('timeout, aggressive', ['timeout'], aggressive),
    policy('bulkhead', ['bulkhead'], () => bulkhead(settings.MAX_CONCURRENT, settings.MAX_QUEUED)),
    policy('fallback', ['fallback'], () => fallback(handleAll, undefined)),
    policy('retry + breaker', ['retry', 'breaker'], () => wrap(retrying(handleAll), sampling(handleAll))),
    policy('retry + breaker + timeout', ['retry', 'breaker', 'timeout'], () =>
      wrap(retrying(handleAll), sampling(handleAll), cooperative()),
    ),
  ],
  refusals: [
    subject('open breaker', ['refuses'], async (ready) => {
      const breaker = consecutive(1, settings.FOREVER_MS)
      await trip((operation) => breaker.execute(operation))
      return refused(() => breaker.execute(ready))
    }),
  ],
  clients: [
    client('retry + breaker + timeout', ['retry', 'breaker', 'timeout'], (transport) => {
      const failures = handleAll.orWhenResult(settings.isServerError)
      const policies = wrap(retrying(failures), sampling(failures), cooperative())
      return (url, init) => policies.execute(({ signal }) => transport(url, { ...init, signal }))
    }),
  ],
}
