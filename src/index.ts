/**
 * HTTP calls that survive failure: a drop-in fetch, and the policies it is made of for any async function.
 *
 * @module
 */
export { createFetch } from './client/create-fetch.ts'
export { outcomeOf, type FetchOutcome } from './client/outcome.ts'
export type {
  AttemptResult,
  BeforeAttemptInput,
  CallOptions,
  DerivedOptions,
  Fallback,
  FallbackByMethod,
  FallbackContext,
  FetchCircuitBreakerOptions,
  FetchHedgeOptions,
  FetchOptions,
  FetchRetryOptions,
  FetchTimeoutOptions,
  HoldfastFetch,
  HoldfastInit,
  IdempotencyOptions,
  ObservedAttempt,
  Observer,
  RetryInput,
  Transport,
} from './client/options.ts'
export type { Clock, ScheduleOptions, Timer } from './primitives/clock.ts'
export { DEFAULTS } from './primitives/defaults.ts'
export {
  CircuitOpenError,
  HoldfastError,
  isHoldfastError,
  TimeoutError,
  type ErrorCode,
} from './primitives/errors.ts'
export { BulkheadFullError, RateLimitedError, ThrottledError } from './primitives/refusals.ts'
export type {
  CallInfo,
  CircuitOpenCause,
  FallbackReason,
  GiveUpReason,
  HoldfastEvent,
} from './core/events.ts'
export { pipeline, type ExecuteOptions, type Pipeline } from './core/pipeline.ts'
export type { BackoffOptions, Jitter, JitterInput } from './policies/backoff.ts'
export { bulkhead, type Bulkhead, type BulkheadOptions } from './policies/bulkhead/bulkhead.ts'
export { circuitBreaker } from './policies/circuit-breaker/circuit-breaker.ts'
export type { CircuitControl, Circuits } from './policies/circuit-breaker/circuits.ts'
export type { CircuitBreaker, CircuitBreakerOptions } from './policies/circuit-breaker/guard.ts'
export type { SlowCall } from './policies/circuit-breaker/rules.ts'
export type { CircuitBucket, CircuitSnapshot, CircuitState } from './policies/circuit-breaker/snapshot.ts'
export {
  concurrencyLimit,
  type ConcurrencyLimit,
  type ConcurrencyLimitOptions,
} from './policies/concurrency-limit/concurrency-limit.ts'
export { coalesce, type CoalesceOptions } from './policies/coalesce.ts'
export { fallback, type FallbackOptions } from './policies/fallback.ts'
export { hedge, type HedgeOptions } from './policies/hedge/hedge.ts'
export { retry, type RetryDecision, type RetryOptions } from './policies/retry.ts'
export { retryBudget, type RetryBudget, type RetryBudgetOptions } from './policies/retry-budget.ts'
export { throttle, type ThrottleOptions } from './policies/throttle.ts'
export { timeout, type TimeoutOptions } from './policies/timeout.ts'
export type { Context, OnEvent, Outcome, Policy } from './core/policy.ts'
export type { Random } from './primitives/random.ts'
