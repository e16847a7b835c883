import { CLIENT_DEFAULTS } from '../../primitives/client-defaults.ts'
import type { ResponseCache } from '../../http/response-cache.ts'
import { statusMatcher } from '../../http/statuses.ts'
import { withDefaults, type Complete } from '../../primitives/options.ts'
import type { BulkheadSettings } from '../../policies/bulkhead/settings.ts'
import type { RetryBudgetSettings } from '../../policies/retry-budget.ts'
import type { Policy } from '../../core/policy.ts'
import { checkOptions } from '../../primitives/validate.ts'
import type {
  DerivedOptions,
  FallbackByMethod,
  FetchCircuitBreakerOptions,
  FetchHedgeOptions,
  FetchOptions,
  FetchRetryOptions,
  FetchTimeoutOptions,
  Transport,
} from '../options.ts'
import { idempotencySettings, type IdempotencySettings } from './idempotency.ts'
import { RULES } from './rules.ts'
import { upperCase } from './upper-case.ts'

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

/** In ms; `undefined` where there is no limit. */
interface TimeoutSettings {
  readonly attemptMs: number | undefined
  readonly totalMs: number | undefined
  readonly bodyIdleMs: number | undefined
}

type DefaultRetry = Complete<Omit<FetchRetryOptions, 'shouldRetry'>>

export interface RetrySettings extends Omit<DefaultRetry, 'methods'> {
  readonly methods: ReadonlySet<string>
  readonly shouldRetry: FetchRetryOptions['shouldRetry']
}

export interface FallbackSettings {
  readonly methods: ReadonlySet<string>
  readonly respond: FallbackByMethod['respond']
}

/**
 * @throws {HoldfastError} ERR_INVALID_OPTION, with the name and the value of what is wrong
 */
export function settingsOf(options: FetchOptions): Settings {
  checkOptions('createFetch', options, RULES, '')
  const retryOptions = part(options.retry)
  const retry = retryOptions && retrySettings(retryOptions)
  const keys = part(options.idempotency)
  return {
    transport: options.fetch || undefined,
    retry,
    isTransient: statusMatcher(retry?.statuses ?? CLIENT_DEFAULTS.retry.statuses),
    circuitBreaker: part(options.circuitBreaker),
    retryBudget: part(options.retryBudget),
    bulkhead: options.bulkhead || undefined,
    hedge: options.hedge || undefined,
    idempotency: keys && idempotencySettings(keys),
    ...timeoutSettings(options.timeout),
    cache: options.cache || undefined,
    coalesce: options.coalesce === true,
    fallback: fallbackSettings(options.fallback || undefined),
    beforeAttempt: options.beforeAttempt || undefined,
    policies: options.policies || [],
    onEvent: options.onEvent || undefined,
  }
}

/** The options of a part that is on unless it is `false`. */
const part = <O extends object>(options: O | false | undefined): Partial<O> | undefined =>
  options === false ? undefined : (options ?? {})

function retrySettings(options: FetchRetryOptions): RetrySettings {
  const all = withDefaults<DefaultRetry>(CLIENT_DEFAULTS.retry, options)
  return { ...all, methods: upperCase(all.methods), shouldRetry: options.shouldRetry }
}

function timeoutSettings(options: FetchTimeoutOptions | false = {}): TimeoutSettings {
  const { attemptMs, totalMs, bodyIdleMs }: FetchTimeoutOptions =
    options === false ? {} : withDefaults<Complete<FetchTimeoutOptions>>(CLIENT_DEFAULTS.timeout, options)
  return {
    attemptMs: attemptMs || undefined,
    totalMs: totalMs || undefined,
    bodyIdleMs: bodyIdleMs || undefined,
  }
}

function fallbackSettings(fallback: DerivedOptions['fallback']): FallbackSettings | undefined {
  if (!fallback) return undefined
  const { methods, respond } =
    typeof fallback === 'function' ? { methods: ['GET', 'HEAD'], respond: fallback } : fallback
  return { methods: upperCase(methods), respond }
}

/** Whether nothing at all is switched on, so that the transport can be left to itself. */
export function isOff(settings: Settings): boolean {
  const { transport: _, isTransient: _rule, retryBudget: _pays, policies, coalesce, ...parts } = settings
  return !coalesce && policies.length === 0 && Object.values(parts).every((value) => value === undefined)
}
