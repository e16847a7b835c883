import { DEFAULTS } from '../../defaults.ts'
import type { ResponseCache } from '../../http/response-cache.ts'
import { statusMatcher } from '../../http/statuses.ts'
import { checkBulkhead, type BulkheadSettings } from '../../policies/bulkhead.ts'
import { checkCircuitBreaker } from '../../policies/circuit-breaker/circuit-breaker.ts'
import { checkHedge } from '../../policies/hedge/stats.ts'
import { checkRetryBudget, type RetryBudgetSettings } from '../../policies/retry-budget.ts'
import type { Policy } from '../../policy.ts'
import { checkFunction, checkKeys, checkOneOf, invalidOption } from '../../validate.ts'
import type {
  DerivedOptions,
  FallbackByMethod,
  FetchCircuitBreakerOptions,
  FetchHedgeOptions,
  FetchOptions,
  Transport,
} from '../options.ts'
import { idempotencySettings, type IdempotencySettings } from './idempotency.ts'
import { DERIVED_KEYS } from './merge.ts'
import { checkMethods, upperCase } from './methods.ts'
import { retrySettings, type RetrySettings } from './retry.ts'
import { NO_TIMEOUTS, timeoutSettings, type TimeoutSettings } from './timeout.ts'

/** Options, checked and complete: what a call runs by. A part that is switched off is `undefined`. */
export interface Settings extends TimeoutSettings {
  readonly transport: Transport | undefined
  readonly retry: RetrySettings | undefined
  /** Which statuses count as transient, also for breaker and fallback where retries are off. */
  readonly isTransient: (status: number) => boolean
  readonly circuitBreaker: FetchCircuitBreakerOptions | undefined
  readonly retryBudget: RetryBudgetSettings | undefined
  readonly bulkhead: BulkheadSettings | undefined
  readonly hedge: FetchHedgeOptions | undefined
  readonly idempotency: IdempotencySettings | undefined
  readonly cache: ResponseCache | undefined
  readonly coalesce: boolean
  readonly fallback: FallbackSettings | undefined
  readonly beforeAttempt: Exclude<DerivedOptions['beforeAttempt'], false>
  readonly policies: readonly Policy<Response>[]
  readonly onEvent: Exclude<DerivedOptions['onEvent'], false>
}

export interface FallbackSettings {
  readonly methods: ReadonlySet<string>
  readonly respond: FallbackByMethod['respond']
}

const KEYS = ['fetch', ...DERIVED_KEYS, 'clock', 'random']

/**
 * @throws {HoldfastError} ERR_INVALID_OPTION, with the name and the value of what is wrong
 */
export function settingsOf(options: FetchOptions): Settings {
  checkKeys('createFetch', options, KEYS)
  checkClock(options.clock)
  checkedFunction('random', options.random)
  const { bulkhead = false, hedge = false } = options
  const statuses = (options.retry !== false && options.retry?.statuses) || DEFAULTS.retry.statuses
  return {
    transport: checkedFunction('fetch', options.fetch),
    retry: part(options.retry, retrySettings),
    isTransient: statusMatcher(statuses),
    circuitBreaker: part(options.circuitBreaker, checkedBreaker),
    retryBudget: part(options.retryBudget, checkedBudget),
    bulkhead: part(bulkhead, checkedBulkhead),
    hedge: part(hedge, checkedHedge),
    idempotency: part(options.idempotency, idempotencySettings),
    ...(part(options.timeout, timeoutSettings) ?? NO_TIMEOUTS),
    cache: checkedCache(options.cache),
    coalesce: checkedCoalesce(options.coalesce),
    fallback: fallbackSettings(options.fallback),
    beforeAttempt: checkedFunction('beforeAttempt', options.beforeAttempt),
    policies: checkedPolicies(options.policies),
    onEvent: checkedFunction('onEvent', options.onEvent),
  }
}

/** The settings of a part that is on unless it is `false`. */
function part<O extends object, S>(
  options: O | false | undefined,
  settings: (options: O) => S,
): S | undefined {
  return options === false ? undefined : settings(options === undefined ? ({} as O) : options)
}

function checkedFunction<T>(name: string, value: T | false | undefined): T | undefined {
  if (value === undefined || value === false) return undefined
  checkFunction(name, value)
  return value
}

function checkClock(clock: unknown): void {
  if (clock === undefined) return
  const isClock =
    typeof clock === 'object' &&
    clock !== null &&
    ['now', 'wallNow', 'schedule'].every((name) => typeof Reflect.get(clock, name) === 'function')
  if (!isClock) throw invalidOption('clock', 'a clock with now, wallNow and schedule', clock)
}

const BREAKER_KEYS = [...Object.keys(DEFAULTS.circuitBreaker), 'key', 'isFailure']

function checkedBreaker(options: FetchCircuitBreakerOptions): FetchCircuitBreakerOptions {
  checkKeys('circuitBreaker', options, BREAKER_KEYS)
  checkCircuitBreaker('circuitBreaker', options)
  const { key, isFailure } = options
  checkKeyOption('circuitBreaker.key', key)
  if (isFailure !== undefined) checkFunction('circuitBreaker.isFailure', isFailure)
  return options
}

/** A key can be given as it is, or made of the request. */
function checkKeyOption(name: string, key: unknown): void {
  if (key !== undefined && typeof key !== 'string') checkFunction(name, key)
}

function checkedHedge(options: FetchHedgeOptions): FetchHedgeOptions {
  checkKeys('hedge', options, [...Object.keys(DEFAULTS.hedge), 'key'])
  checkHedge('hedge', options)
  checkKeyOption('hedge.key', options.key)
  return options
}

function checkedBudget(options: RetryBudgetSettings): RetryBudgetSettings {
  checkKeys('retryBudget', options, Object.keys(DEFAULTS.retryBudget))
  checkRetryBudget('retryBudget', options)
  return options
}

function checkedBulkhead(options: BulkheadSettings): BulkheadSettings {
  checkKeys('bulkhead', options, Object.keys(DEFAULTS.bulkhead))
  checkBulkhead('bulkhead', options)
  return options
}

function checkedCache(cache: ResponseCache | false | undefined): ResponseCache | undefined {
  if (cache === undefined || cache === false) return undefined
  if (typeof Object(cache).policy !== 'function') {
    throw invalidOption('cache', 'httpCache() of holdfast/cache', cache)
  }
  return cache
}

export function checkedCoalesce(coalesce: boolean | undefined): boolean {
  checkOneOf('coalesce', coalesce, [true, false, undefined])
  return coalesce === true
}

function fallbackSettings(fallback: DerivedOptions['fallback']): FallbackSettings | undefined {
  if (fallback === undefined || fallback === false) return undefined
  if (typeof fallback === 'function') return { methods: new Set(['GET', 'HEAD']), respond: fallback }
  if (typeof fallback !== 'object' || fallback === null)
    throw invalidOption('fallback', 'a function, or { methods, respond }', fallback)
  checkKeys('fallback', fallback, ['methods', 'respond'])
  checkMethods('fallback.methods', fallback.methods)
  checkFunction('fallback.respond', fallback.respond)
  return { methods: upperCase(fallback.methods), respond: fallback.respond }
}

function checkedPolicies(policies: DerivedOptions['policies']): readonly Policy<Response>[] {
  if (policies === undefined || policies === false) return []
  if (!Array.isArray(policies)) throw invalidOption('policies', 'an array of policies', policies)
  for (const policy of policies as readonly Partial<Policy<Response>>[]) {
    if (typeof policy?.wrap !== 'function') {
      throw invalidOption('each of policies', 'a policy with name and wrap', policy)
    }
  }
  return policies
}

/** Whether nothing at all is switched on, so that the transport can be left to itself. */
export function isOff(settings: Settings): boolean {
  const { retry, hedge, bulkhead, circuitBreaker, idempotency, cache, fallback } = settings
  const { beforeAttempt, policies, onEvent } = settings
  if (settings.coalesce) return false
  const parts = [retry, hedge, bulkhead, circuitBreaker, idempotency, cache, fallback, beforeAttempt, onEvent]
  const times = [settings.attemptMs, settings.totalMs, settings.bodyIdleMs]
  return policies.length === 0 && [...parts, ...times].every((value) => value === undefined)
}
