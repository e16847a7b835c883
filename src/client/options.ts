import type { Clock } from '../primitives/clock.ts'
import type { CallInfo, FallbackReason, HoldfastEvent } from '../core/events.ts'
import type { BodyLike, FetchInput } from '../http/fetch-types.ts'
import type { KeyFormat } from '../http/idempotency-key.ts'
import type { ResponseCache } from '../http/response-cache.ts'
import type { StatusPattern } from '../http/statuses.ts'
import type { BackoffOptions } from '../policies/backoff.ts'
import type { BulkheadSettings } from '../policies/bulkhead/settings.ts'
import type { Circuits } from '../policies/circuit-breaker/circuits.ts'
import type { CircuitBreakerSettings } from '../policies/circuit-breaker/settings.ts'
import type { HedgeSettings } from '../policies/hedge/settings.ts'
import type { RetryBudget, RetryBudgetSettings } from '../policies/retry-budget.ts'
import type { Policy } from '../core/policy.ts'
import type { Random } from '../primitives/random.ts'

/** The request as options see it. The URL is whole: mind its query string when logging. */
export interface RequestInfoOf {
  readonly method: string
  readonly url: string
}

/** How an attempt ended: one of the two is set. */
export interface AttemptResult {
  readonly response?: Response
  readonly error?: unknown
}

export interface RetryInput extends AttemptResult {
  readonly request: RequestInfoOf
  /** The attempt that has ended, 1 for the first. */
  readonly attempt: number
}

export interface FetchRetryOptions extends BackoffOptions {
  /** Further attempts after the first. Default 4. */
  maxRetries?: number | undefined
  /** A Retry-After beyond it ends the call at once. Default 60,000. */
  maxRetryAfterMs?: number | undefined
  /** How much of a `Request`'s body is kept to be sent again; a longer one is sent once. Default 1 MiB. */
  maxBufferBytes?: number | undefined
  /** The statuses that are tried again. Default `['5xx', 408, 425, 429]`. */
  statuses?: readonly StatusPattern[] | undefined
  /** The methods that may be tried again; POST and PATCH still need a key. Default: all. */
  methods?: readonly string[] | undefined
  /**
   * Whether the body of a GET that breaks goes on where it broke, by a request for the rest (`Range`, `If-Range`): where
   * the response has a strong `ETag`, a `Content-Length` and no `Content-Encoding`. Otherwise, and where the rest can't
   * be had, the body ends with the error that broke it. Default false.
   */
  resumeBody?: boolean | undefined
  /** Overrules whether to try again; `undefined` leaves it to the rules. A body that is gone is never sent again. */
  shouldRetry?: ((input: RetryInput) => boolean | undefined | Promise<boolean | undefined>) | undefined
}

export interface FetchCircuitBreakerOptions extends CircuitBreakerSettings {
  /** Requests with the same key share a circuit and a retry budget. Default: the origin. */
  key?: string | ((request: RequestInfoOf) => string) | undefined
  /** Overrules whether an attempt is a failure; `undefined` leaves it to the rules. */
  isFailure?:
    | ((result: AttemptResult & { readonly request: RequestInfoOf }) => boolean | undefined)
    | undefined
}

export interface FetchHedgeOptions extends HedgeSettings {
  /** Requests with the same key share latencies and a limit. Default: the key of the circuit. */
  key?: string | ((request: RequestInfoOf) => string) | undefined
}

export interface IdempotencyOptions {
  /** The header's name. Default `Idempotency-Key`. */
  header?: string | undefined
  /** Methods that carry a key. Default POST, PUT, PATCH, DELETE. */
  methods?: readonly string[] | undefined
  /**
   * The origins that recognize keys: only they get one. Default 'all'; in a browser that means the page's own origin,
   * since the header makes a foreign one need a preflight.
   */
  honoredBy?: 'all' | readonly string[] | undefined
  /** Default: a random UUID (RFC 9562). */
  generateKey?: (() => string) | undefined
  /** Default 'bare'; 'sf-string' puts it in quotes. */
  format?: KeyFormat | undefined
  /** For how long after the first attempt a key may be sent again. Default 23 h. */
  windowMs?: number | undefined
}

export interface FetchTimeoutOptions {
  /** Until the headers of one attempt. Default 30,000. */
  attemptMs?: number | false | undefined
  /** Until the headers of the response that is returned, retries and waits included. Default 120,000. */
  totalMs?: number | false | undefined
  /** The longest silence while the returned body is read. Default off. */
  bodyIdleMs?: number | false | undefined
}

export interface FallbackContext extends AttemptResult {
  readonly request: RequestInfoOf
  readonly reason: FallbackReason
  readonly idempotencyKey: string | undefined
  readonly uncertain: boolean
}

export type Fallback = (context: FallbackContext) => Response | undefined | Promise<Response | undefined>

export interface FallbackByMethod {
  readonly methods: readonly string[]
  readonly respond: Fallback
}

export interface BeforeAttemptInput {
  readonly attempt: number
  /** This attempt's own copy: change it to sign, to refresh a token, to trace. */
  readonly headers: Headers
  readonly signal: AbortSignal
  /** How the attempt before ended; its body has been discarded. */
  readonly previous: AttemptResult | undefined
}

/** What `fetch.with` can change: everything but what its circuits, budgets, bulkheads and hedges are made of. */
export interface DerivedOptions {
  retry?: FetchRetryOptions | false | undefined
  circuitBreaker?: Pick<FetchCircuitBreakerOptions, 'key' | 'isFailure' | 'whenOpen'> | false | undefined
  idempotency?: IdempotencyOptions | false | undefined
  timeout?: FetchTimeoutOptions | false | undefined
  retryBudget?: false | undefined
  bulkhead?: false | undefined
  hedge?: false | undefined
  /** Stored responses for when the service fails: `httpCache()` of `holdfast/cache`. Default off. */
  cache?: ResponseCache | false | undefined
  /** Whether GETs and HEADs that ask for exactly the same at the same time share one request. Default false. */
  coalesce?: boolean | undefined
  /** A substitute when a GET or HEAD has failed for good; other methods by `{ methods, respond }`. */
  fallback?: Fallback | FallbackByMethod | false | undefined
  beforeAttempt?: ((input: BeforeAttemptInput) => void | Promise<void>) | false | undefined
  /** Own policies, between retry and breaker. */
  policies?: readonly Policy<Response>[] | false | undefined
  onEvent?: ((event: HoldfastEvent) => void) | false | undefined
}

export interface FetchOptions extends Omit<
  DerivedOptions,
  'circuitBreaker' | 'retryBudget' | 'bulkhead' | 'hedge'
> {
  /** The transport. Default: `globalThis.fetch`, looked up at each call. */
  fetch?: Transport | undefined
  circuitBreaker?: FetchCircuitBreakerOptions | false | undefined
  retryBudget?: RetryBudgetSettings | false | undefined
  /** Limits how many attempts run at once for each circuit's key; further ones wait in line. Default off. */
  bulkhead?: BulkheadSettings | false | undefined
  /** Sends a second request beside a slow one: of what reads, and of what carries an idempotency key. Default off. */
  hedge?: FetchHedgeOptions | false | undefined
  clock?: Clock | undefined
  random?: Random | undefined
}

/** Anything that answers as fetch does. It is called with a URL string and an init. */
export type Transport = (url: string, init?: RequestInit) => Promise<Response>

/** What a single call can change. */
export interface CallOptions extends Omit<DerivedOptions, 'onEvent' | 'policies' | 'beforeAttempt'> {
  /** The key of this operation. Default: one is made. */
  idempotencyKey?: string | undefined
  /** Makes the body for each attempt: how a stream can be sent again. */
  body?: (() => BodyLike) | undefined
}

export interface HoldfastInit extends RequestInit {
  holdfast?: CallOptions | undefined
}

/** An attempt that is about to be sent. */
export interface ObservedAttempt {
  readonly call: CallInfo
  readonly attempt: number
  /** The second of two attempts that run side by side: both have the same number. */
  readonly hedge?: true
  /** This attempt's own copy: change it to pass on a trace's context. */
  readonly headers: Headers
}

/** Watches a fetch. What its functions throw is swallowed: watching a call never changes it. */
export interface Observer {
  /** Told of every event of the fetch's calls, and of the circuits that it shares with the fetches it was derived from. */
  readonly onEvent?: ((event: HoldfastEvent) => void) | undefined
  /** Called after `attempt-start` and `beforeAttempt`. A promise is not waited for. */
  readonly onAttempt?: ((attempt: ObservedAttempt) => void) | undefined
}

/** A fetch that survives failure. */
export interface HoldfastFetch {
  (input: FetchInput, init?: HoldfastInit): Promise<Response>
  /** The same fetch with other settings; circuits, budgets, bulkheads and hedges are shared. */
  with(options: DerivedOptions): HoldfastFetch
  /** The same fetch, watched beside the listener that it has: how telemetry is built. Circuits and budgets are shared. */
  observe(observer: Observer): HoldfastFetch
  readonly circuits: Circuits
  /** What is left for retries and hedges, by the key of the circuit. */
  readonly budgets: Iterable<RetryBudget>
  /** The pipeline as a tree of its policies and their settings, outermost first; `console.log` shows the same. */
  describe(): string
}
