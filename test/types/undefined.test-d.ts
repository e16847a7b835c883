/**
 * `undefined` is an option that is not given, with `exactOptionalPropertyTypes` too: what an application has read from its
 * own configuration is passed on as it is. See fetch.test-d.ts.
 */
import type { HttpCacheOptions } from '../../src/cache/index.ts'
import {
  circuitBreaker,
  createFetch,
  type BulkheadOptions,
  type CallOptions,
  type CircuitBreakerOptions,
  type CoalesceOptions,
  type ConcurrencyLimitOptions,
  type DerivedOptions,
  type ExecuteOptions,
  type FallbackOptions,
  type FetchCircuitBreakerOptions,
  type FetchHedgeOptions,
  type FetchOptions,
  type FetchRetryOptions,
  type FetchTimeoutOptions,
  type HedgeOptions,
  type HoldfastFetch,
  type HoldfastInit,
  type IdempotencyOptions,
  type RetryBudgetOptions,
  type RetryOptions,
  type ThrottleOptions,
  type TimeoutOptions,
} from '../../src/index.ts'
import type { IdempotencyOptions as ServerOptions } from '../../src/idempotency/index.ts'
import type { RateLimitOptions } from '../../src/rate-limit/index.ts'
import type { MemoryStoreOptions } from '../../src/stores/memory.ts'
import type { NearCacheOptions } from '../../src/stores/near-cache.ts'
import type { PostgresStoreOptions } from '../../src/stores/postgres/index.ts'
import type { RedisStoreOptions } from '../../src/stores/redis/index.ts'
import type { SqliteFileOptions } from '../../src/stores/sqlite/index.ts'

declare const config: { readonly timeoutMs?: number; readonly retries?: number; readonly key?: string }
declare const resilient: HoldfastFetch
declare function use(...values: unknown[]): void

const { timeoutMs, retries, key } = config
createFetch({ timeout: { totalMs: timeoutMs }, retry: { maxRetries: retries }, bulkhead: undefined })
circuitBreaker({ openMs: timeoutMs })
use(resilient.with({ timeout: { totalMs: timeoutMs } }))
use(resilient('https://api.example.com', { holdfast: { idempotencyKey: key } }))

/** The options of `T` that may be left out, and yet refuse `undefined`. */
type Refusing<T> = {
  [K in keyof T]-?: Partial<Pick<T, K>> extends Pick<T, K>
    ? Record<K, undefined> extends Pick<T, K>
      ? never
      : K
    : never
}[keyof T]
declare function refusing<T>(): Refusing<T>

use(refusing<FetchOptions>() satisfies never)
use(refusing<DerivedOptions>() satisfies never)
use(refusing<CallOptions>() satisfies never)
use(refusing<Pick<HoldfastInit, 'holdfast'>>() satisfies never)
use(refusing<FetchRetryOptions>() satisfies never)
use(refusing<FetchCircuitBreakerOptions>() satisfies never)
use(refusing<FetchHedgeOptions>() satisfies never)
use(refusing<FetchTimeoutOptions>() satisfies never)
use(refusing<IdempotencyOptions>() satisfies never)
use(refusing<BulkheadOptions>() satisfies never)
use(refusing<CircuitBreakerOptions>() satisfies never)
use(refusing<CoalesceOptions>() satisfies never)
use(refusing<ConcurrencyLimitOptions>() satisfies never)
use(refusing<ExecuteOptions>() satisfies never)
use(refusing<FallbackOptions<string>>() satisfies never)
use(refusing<HedgeOptions>() satisfies never)
use(refusing<RetryBudgetOptions>() satisfies never)
use(refusing<RetryOptions>() satisfies never)
use(refusing<ThrottleOptions>() satisfies never)
use(refusing<TimeoutOptions>() satisfies never)
use(refusing<HttpCacheOptions>() satisfies never)
use(refusing<RateLimitOptions>() satisfies never)
use(refusing<ServerOptions>() satisfies never)
use(refusing<MemoryStoreOptions>() satisfies never)
use(refusing<NearCacheOptions>() satisfies never)
use(refusing<RedisStoreOptions>() satisfies never)
use(refusing<PostgresStoreOptions>() satisfies never)
use(refusing<SqliteFileOptions>() satisfies never)
