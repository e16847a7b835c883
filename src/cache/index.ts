/**
 * Stored responses for when a service fails, as `createFetch({ cache: httpCache() })`.
 *
 * @module
 */
export { CACHE_DEFAULTS } from './defaults.ts'
export { httpCache, type HttpCache } from './http-cache.ts'
export type { HttpCacheOptions, IdentityInput } from './options.ts'
export type { CacheEntry, CacheStore, MaybePromise, OnStoreError, StoreOperation } from './store.ts'
