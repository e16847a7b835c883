import { checkStatuses } from '../../http/statuses.ts'
import { BACKOFF_RULES } from '../../policies/backoff.ts'
import { BULKHEAD_RULES } from '../../policies/bulkhead/settings.ts'
import { BREAKER_RULES } from '../../policies/circuit-breaker/settings.ts'
import { HEDGE_RULES } from '../../policies/hedge/settings.ts'
import { BUDGET_RULES } from '../../policies/retry-budget.ts'
import {
  checkFunction,
  checkInteger,
  checkKeys,
  checkNumber,
  checkOptions,
  checkPositive,
  invalidOption,
  oneOf,
  orFalse,
  rule,
  unchecked,
  type Rule,
  type Rules,
} from '../../primitives/validate.ts'
import type { FallbackByMethod, FetchOptions } from '../options.ts'

const isString = (value: unknown): value is string => typeof value === 'string'

const has = (value: unknown, method: string): boolean => typeof Object(value)[method] === 'function'

const checkMethods = rule(
  'an array of method names',
  (methods) => Array.isArray(methods) && methods.every(isString),
)

/** RFC 9110, 5.6.2: what a header name is made of. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/

const checkHeader = rule('a header name', (header) => isString(header) && TOKEN.test(header))

/** A key can be given as it is, or made of the request. */
const checkKeyOption: Rule = (name, key) => {
  if (!isString(key)) checkFunction(name, key)
}

const checkClock = rule('a clock with now, wallNow and schedule', (clock) =>
  ['now', 'wallNow', 'schedule'].every((method) => has(clock, method)),
)

const checkCache = rule('httpCache() of holdfast/cache', (cache) => has(cache, 'policy'))

const checkPolicy = rule('a policy with name and wrap', (policy) => has(policy, 'wrap'))

const checkFallback: Rule = (name, fallback) => {
  if (typeof fallback === 'function') return
  if (typeof fallback !== 'object' || fallback === null)
    throw invalidOption(name, 'a function, or { methods, respond }', fallback)
  const { methods, respond } = fallback as Partial<FallbackByMethod>
  checkKeys(name, fallback, ['methods', 'respond'])
  checkMethods(`${name}.methods`, methods)
  checkFunction(`${name}.respond`, respond)
}

const checkPolicies: Rule = (name, policies) => {
  if (!Array.isArray(policies)) throw invalidOption(name, 'an array of policies', policies)
  if (new Set(policies).size < policies.length)
    throw invalidOption(name, 'without one that stands in it twice, since it holds state', policies)
  for (const policy of policies) checkPolicy(`each of ${name}`, policy)
}

/** A part with options of its own, on or off. */
const part = (rules: Rules): Rule => orFalse((name, options) => checkOptions(name, options, rules))

const hook = orFalse(checkFunction)
const limit = orFalse(checkPositive)

/** Every option of `createFetch`, and what it must be. */
export const RULES: Rules<FetchOptions> = {
  fetch: hook,
  retry: part({
    maxRetries: checkInteger,
    ...BACKOFF_RULES,
    maxRetryAfterMs: checkNumber,
    maxBufferBytes: checkInteger,
    statuses: checkStatuses,
    methods: checkMethods,
    resumeBody: oneOf(true, false),
    shouldRetry: checkFunction,
  }),
  circuitBreaker: part({ ...BREAKER_RULES, key: checkKeyOption, isFailure: checkFunction }),
  idempotency: part({
    header: checkHeader,
    methods: checkMethods,
    // By who reads it.
    honoredBy: unchecked,
    format: oneOf('bare', 'sf-string'),
    windowMs: checkPositive,
    generateKey: checkFunction,
  }),
  timeout: part({ attemptMs: limit, totalMs: limit, bodyIdleMs: limit }),
  retryBudget: part(BUDGET_RULES),
  bulkhead: part(BULKHEAD_RULES),
  hedge: part({ ...HEDGE_RULES, key: checkKeyOption }),
  cache: orFalse(checkCache),
  coalesce: oneOf(true, false, undefined),
  fallback: orFalse(checkFallback),
  beforeAttempt: hook,
  policies: orFalse(checkPolicies),
  onEvent: hook,
  clock: checkClock,
  random: checkFunction,
}

/** What `fetch.with` can change. */
export const DERIVED_KEYS: readonly string[] = Object.keys(RULES).filter(
  (key) => !['fetch', 'clock', 'random'].includes(key),
)
