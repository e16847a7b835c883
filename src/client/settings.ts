import { DEFAULTS } from '../defaults.ts'
import { checkStatuses, statusMatcher } from '../http/statuses.ts'
import { withDefaults } from '../options.ts'
import { checkBackoff } from '../policies/backoff.ts'
import { checkCircuitBreaker } from '../policies/circuit-breaker/circuit-breaker.ts'
import { checkRetryBudget } from '../policies/retry-budget.ts'
import type { Policy } from '../policy.ts'
import {
  checkFunction,
  checkInteger,
  checkKeys,
  checkNumber,
  checkOneOf,
  checkPositive,
  invalidOption,
} from '../validate.ts'
import type {
  DerivedOptions,
  FallbackByMethod,
  FetchCircuitBreakerOptions,
  FetchOptions,
  FetchRetryOptions,
  FetchTimeoutOptions,
  IdempotencyOptions,
  Transport,
} from './options.ts'

/** Options, checked and complete: what a call runs by. */
export interface Settings {
  readonly transport: Transport | undefined
  readonly retry: RetrySettings | undefined
  /** Which statuses count as transient, also for breaker and fallback where retries are off. */
  readonly isTransient: (status: number) => boolean
  readonly circuitBreaker: FetchCircuitBreakerOptions | undefined
  readonly usesBudget: boolean
  readonly idempotency: IdempotencySettings | undefined
  readonly attemptMs: number | undefined
  readonly totalMs: number | undefined
  readonly bodyIdleMs: number | undefined
  readonly fallback: FallbackByMethod | undefined
  readonly beforeAttempt: Exclude<DerivedOptions['beforeAttempt'], false>
  readonly policies: readonly Policy<Response>[]
  readonly onEvent: Exclude<DerivedOptions['onEvent'], false>
}

export interface RetrySettings {
  readonly options: FetchRetryOptions
  readonly maxRetryAfterMs: number
  readonly maxBufferBytes: number
  readonly methods: ReadonlySet<string>
}

export interface IdempotencySettings {
  readonly header: string
  readonly methods: ReadonlySet<string>
  /** Origins, or `undefined` for all. */
  readonly honoredBy: ReadonlySet<string> | undefined
  readonly generateKey: () => string
  readonly format: 'bare' | 'sf-string'
  readonly windowMs: number
}

const PARTS = [
  'retry',
  'circuitBreaker',
  'idempotency',
  'timeout',
  'retryBudget',
  'fallback',
  'beforeAttempt',
  'policies',
  'onEvent',
]
const OPTIONS = ['fetch', ...PARTS, 'clock', 'random']

/** One part of the options: `undefined` where it is switched off. */
const part = <T extends object>(given: T | false | undefined): T | undefined =>
  given === false ? undefined : (given ?? ({} as T))

/**
 * @throws {HoldfastError} ERR_INVALID_OPTION, with the name and the value of what is wrong
 */
export function settingsOf(options: FetchOptions): Settings {
  checkKeys('createFetch', options, OPTIONS)
  const timeout = part<FetchTimeoutOptions>(options.timeout)
  if (timeout !== undefined) checkTimeout(timeout)
  const budget = part(options.retryBudget)
  if (budget !== undefined) {
    checkKeys('retryBudget', budget, Object.keys(DEFAULTS.retryBudget))
    checkRetryBudget('retryBudget', budget)
  }
  return {
    transport: checkedTransport(options.fetch),
    retry: retrySettings(part(options.retry)),
    isTransient: statusMatcher(
      (options.retry !== false && options.retry?.statuses) || DEFAULTS.retry.statuses,
    ),
    circuitBreaker: checkedBreaker(part(options.circuitBreaker)),
    usesBudget: budget !== undefined,
    idempotency: idempotencySettings(part(options.idempotency)),
    ...timeoutSettings(timeout),
    fallback: fallbackSettings(options.fallback),
    beforeAttempt: checkedFunction('beforeAttempt', options.beforeAttempt),
    policies: checkedPolicies(options.policies),
    onEvent: checkedFunction('onEvent', options.onEvent),
  }
}

function checkedFunction<T>(name: string, value: T | false | undefined): T | undefined {
  if (value === undefined || value === false) return undefined
  checkFunction(name, value)
  return value
}

function checkedTransport(transport: Transport | undefined): Transport | undefined {
  if (transport !== undefined) checkFunction('fetch', transport)
  return transport
}

function upperCase(methods: readonly string[]): ReadonlySet<string> {
  return new Set(methods.map((method) => method.toUpperCase()))
}

function checkMethods(name: string, methods: unknown): void {
  if (!Array.isArray(methods) || methods.some((method) => typeof method !== 'string')) {
    throw invalidOption(name, 'an array of method names', methods)
  }
}

const RETRY_KEYS = [...Object.keys(DEFAULTS.retry), 'shouldRetry']

function retrySettings(options: FetchRetryOptions | undefined): RetrySettings | undefined {
  if (options === undefined) return undefined
  checkKeys('retry', options, RETRY_KEYS)
  checkBackoff('retry', options)
  const { maxRetries, statuses, shouldRetry } = options
  const { maxRetryAfterMs, maxBufferBytes, methods } = withDefaults<Limits>(DEFAULTS.retry, options)
  if (maxRetries !== undefined) checkInteger('retry.maxRetries', maxRetries)
  checkNumber('retry.maxRetryAfterMs', maxRetryAfterMs)
  checkInteger('retry.maxBufferBytes', maxBufferBytes)
  checkMethods('retry.methods', methods)
  if (statuses !== undefined) checkStatuses('retry.statuses', statuses)
  if (shouldRetry !== undefined) checkFunction('retry.shouldRetry', shouldRetry)
  return { options, maxRetryAfterMs, maxBufferBytes, methods: upperCase(methods) }
}

type Limits = Required<Pick<FetchRetryOptions, 'maxRetryAfterMs' | 'maxBufferBytes' | 'methods'>>

const BREAKER_KEYS = [...Object.keys(DEFAULTS.circuitBreaker), 'key', 'isFailure']

function checkedBreaker(
  options: FetchCircuitBreakerOptions | undefined,
): FetchCircuitBreakerOptions | undefined {
  if (options === undefined) return undefined
  checkKeys('circuitBreaker', options, BREAKER_KEYS)
  checkCircuitBreaker('circuitBreaker', options)
  if (options.key !== undefined && typeof options.key !== 'string')
    checkFunction('circuitBreaker.key', options.key)
  if (options.isFailure !== undefined) checkFunction('circuitBreaker.isFailure', options.isFailure)
  return options
}

const IDEMPOTENCY_KEYS = [...Object.keys(DEFAULTS.idempotency), 'generateKey']

/** RFC 9110, 5.6.2: what a header name is made of. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/

function idempotencySettings(options: IdempotencyOptions | undefined): IdempotencySettings | undefined {
  if (options === undefined) return undefined
  checkKeys('idempotency', options, IDEMPOTENCY_KEYS)
  const { header, methods, honoredBy, format, windowMs } = withDefaults<KeySettings>(
    DEFAULTS.idempotency,
    options,
  )
  if (typeof header !== 'string' || !TOKEN.test(header))
    throw invalidOption('idempotency.header', 'a header name', header)
  checkMethods('idempotency.methods', methods)
  checkOneOf('idempotency.format', format, ['bare', 'sf-string'])
  checkPositive('idempotency.windowMs', windowMs)
  const { generateKey = () => crypto.randomUUID() } = options
  checkFunction('idempotency.generateKey', generateKey)
  return {
    header,
    methods: upperCase(methods),
    honoredBy: originsOf(honoredBy),
    generateKey,
    format,
    windowMs,
  }
}

type KeySettings = Required<Omit<IdempotencyOptions, 'generateKey'>>

function originsOf(honoredBy: 'all' | readonly string[]): ReadonlySet<string> | undefined {
  if (honoredBy === 'all') {
    const page = globalThis.location?.origin
    // Outside a browser there is no page; 'null' is the origin of a file.
    return page === undefined || page === 'null' ? undefined : new Set([page])
  }
  if (!Array.isArray(honoredBy))
    throw invalidOption('idempotency.honoredBy', '"all" or an array of origins', honoredBy)
  return new Set(honoredBy.map(originOf))
}

function originOf(value: unknown): string {
  if (typeof value === 'string' && URL.canParse(value)) return new URL(value).origin
  throw invalidOption('each of idempotency.honoredBy', 'an origin like "https://api.example.com"', value)
}

function checkTimeout(options: FetchTimeoutOptions): void {
  checkKeys('timeout', options, Object.keys(DEFAULTS.timeout))
  for (const key of ['attemptMs', 'totalMs', 'bodyIdleMs'] as const) {
    const value = options[key]
    if (value !== undefined && value !== false) checkPositive(`timeout.${key}`, value)
  }
}

function timeoutSettings(
  options: FetchTimeoutOptions | undefined,
): Pick<Settings, 'attemptMs' | 'totalMs' | 'bodyIdleMs'> {
  if (options === undefined) return { attemptMs: undefined, totalMs: undefined, bodyIdleMs: undefined }
  const { attemptMs, totalMs, bodyIdleMs } = withDefaults<Required<FetchTimeoutOptions>>(
    DEFAULTS.timeout,
    options,
  )
  return {
    attemptMs: attemptMs || undefined,
    totalMs: totalMs || undefined,
    bodyIdleMs: bodyIdleMs || undefined,
  }
}

function fallbackSettings(fallback: DerivedOptions['fallback']): FallbackByMethod | undefined {
  if (fallback === undefined || fallback === false) return undefined
  if (typeof fallback === 'function') return { methods: ['GET', 'HEAD'], respond: fallback }
  checkKeys('fallback', fallback, ['methods', 'respond'])
  checkMethods('fallback.methods', fallback.methods)
  checkFunction('fallback.respond', fallback.respond)
  return { ...fallback, methods: fallback.methods.map((method) => method.toUpperCase()) }
}

function checkedPolicies(policies: DerivedOptions['policies']): readonly Policy<Response>[] {
  if (policies === undefined || policies === false) return []
  if (!Array.isArray(policies)) throw invalidOption('policies', 'an array of policies', policies)
  for (const policy of policies as readonly Policy<Response>[]) {
    if (typeof policy?.wrap !== 'function')
      throw invalidOption('each of policies', 'a policy with name and wrap', policy)
  }
  return policies
}

/** Whether nothing at all is switched on, so that the transport can be left to itself. */
export function isOff(settings: Settings): boolean {
  const { retry, circuitBreaker, idempotency, fallback, beforeAttempt, policies, onEvent } = settings
  const parts = [retry, circuitBreaker, idempotency, fallback, beforeAttempt, onEvent]
  const times = [settings.attemptMs, settings.totalMs, settings.bodyIdleMs]
  return policies.length === 0 && [...parts, ...times].every((value) => value === undefined)
}

/** A part's options given later stand over those given before; `false` switches it off, `undefined` changes nothing. */
export function merge(base: FetchOptions, changes: DerivedOptions): FetchOptions {
  const merged: Record<string, unknown> = { ...base }
  for (const [name, change] of Object.entries(changes)) {
    if (change === undefined) continue
    const before = merged[name]
    merged[name] = isPlain(before) && isPlain(change) ? { ...before, ...change } : change
  }
  return merged
}

const isPlain = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Circuits and budgets are shared, so their own settings can only be given where they are made. */
export function checkDerived(name: string, options: DerivedOptions, known: readonly string[]): void {
  checkKeys(name, options, known)
  if (options.retryBudget) {
    throw invalidOption(
      `${name} retryBudget`,
      'false, since budgets are shared: set them in createFetch',
      options.retryBudget,
    )
  }
  const { circuitBreaker } = options
  if (circuitBreaker === undefined || circuitBreaker === false) return
  const fixed = Object.keys(circuitBreaker).find((key) => !['key', 'isFailure', 'whenOpen'].includes(key))
  if (fixed !== undefined) {
    throw invalidOption(
      `${name} circuitBreaker.${fixed}`,
      'set in createFetch, since circuits are shared',
      Reflect.get(circuitBreaker, fixed),
    )
  }
}

export const DERIVED_KEYS: readonly string[] = PARTS
