import { HoldfastError } from '../primitives/errors.ts'
import { orderCheck, type Policy } from './policy.ts'
import { invalidOption } from '../primitives/validate.ts'

/**
 * Which orders of policies are wrong. A pipeline in the wrong order works on fair days and fails in the storm it was
 * made for, so it is refused where it is built, with the reason. Policies of the user's own may stand anywhere.
 */

/** What there can be one of, and why. */
const ONCE: Readonly<Record<string, string>> = {
  retry: 'retries at two layers multiply the attempts: 5 at each make 25',
  'retry-budget': 'only the inner one would pay',
  hedge: 'each attempt would be doubled twice',
  'total-timeout': 'only the shorter one would ever end a call',
  'attempt-timeout': 'only the shorter one would ever end an attempt',
}

const ATTEMPTS = 'it would see whole calls, not attempts, and could not end the retries'
const WAITING = 'the wait for a free place would count as time that the service took'
const SUBSTITUTE = 'its substitute would count as an answer of the service'
const SHARED = 'one answer would count once for each call that shares it'

/** What must not stand outside of what, and why. */
const NEVER_OUTSIDE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  retry: {
    'retry-budget': 'the budget pays for the retries inside it, so it would pay for nothing',
    'total-timeout': 'it would end one attempt: that is attemptMs',
    fallback: `${SUBSTITUTE}, and nothing would be tried again`,
    coalesce: 'each call would retry by itself',
  },
  hedge: {
    retry: 'both requests would be retried',
    'retry-budget': 'the budget pays for the hedges inside it, so it would pay for nothing',
    'total-timeout': 'it would end one attempt: that is attemptMs',
    fallback: SUBSTITUTE,
    coalesce: 'the second request would be joined with the first',
  },
  'circuit-breaker': {
    retry: ATTEMPTS,
    hedge: 'a test request would be doubled, and two requests counted as one',
    fallback: SUBSTITUTE,
    coalesce: SHARED,
    bulkhead: WAITING,
    'concurrency-limit': WAITING,
    'rate-limit': WAITING,
  },
  throttle: { retry: ATTEMPTS, hedge: ATTEMPTS, fallback: SUBSTITUTE, coalesce: SHARED },
  'concurrency-limit': {
    retry: 'a call that sleeps between attempts would hold its place, and its sleep count as latency',
    hedge: 'two requests would count as one',
    fallback: SUBSTITUTE,
    coalesce: SHARED,
    bulkhead: WAITING,
    'rate-limit': WAITING,
  },
  'rate-limit': { retry: ATTEMPTS, hedge: ATTEMPTS, fallback: SUBSTITUTE, coalesce: SHARED },
  'attempt-timeout': {
    retry: 'it would cut the retries off: that is totalMs',
    'circuit-breaker': 'attempts that it ends would not count as failures',
    bulkhead: WAITING,
    'concurrency-limit': WAITING,
    'rate-limit': WAITING,
  },
}

/**
 * @param where what the user calls the list: for the message
 * @throws {HoldfastError} ERR_INVALID_OPTION, saying which two are in the wrong order, and why; or which is no policy
 */
export function checkComposition(where: string, policies: readonly Policy<never>[]): void {
  policies.forEach((inner, place) => {
    if (typeof Object(inner).wrap !== 'function')
      throw invalidOption(`argument ${place + 1} of ${where}`, 'a policy, such as retry()', inner)
    for (const outer of policies.slice(0, place)) checkPair(where, outer, inner)
  })
}

function checkPair(where: string, outer: Policy<never>, inner: Policy<never>): void {
  if (outer === inner) {
    refuse(
      where,
      `the same ${inner.name} stands in it twice`,
      'a policy object holds state: make another one',
    )
  }
  const doubled = outer.name === inner.name ? ONCE[inner.name] : undefined
  if (doubled !== undefined) refuse(where, `it has two of ${inner.name}`, doubled)
  const reason = NEVER_OUTSIDE[outer.name]?.[inner.name]
  if (reason !== undefined) refuse(where, `${outer.name} stands outside ${inner.name}`, reason)
}

function refuse(where: string, what: string, why: string): never {
  throw new HoldfastError('ERR_INVALID_OPTION', `${where}: ${what}; ${why}`)
}

/**
 * Brings the rules along with a policy that they speak of, for who must not know them: `createFetch` needs none where
 * nothing is given to it.
 */
export function ordered<P extends Policy<never>>(policy: P): P {
  orderCheck.set(policy, checkComposition)
  return policy
}
