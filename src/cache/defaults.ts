/**
 * Every default of the cache, in one place: code, docs and tests read it. Durations are milliseconds.
 */
export const CACHE_DEFAULTS = {
  maxEntries: 1000,
  /** 50 MiB. */
  maxBytes: 52_428_800,
  /** 5 MiB: a longer body is passed on and not kept. */
  maxEntryBytes: 5_242_880,
  /** 24 h past its freshness. */
  staleIfErrorMs: 86_400_000,
  identityHeaders: [],
  serveFresh: false,
  /** The longest a call waits for the store, each time it needs it. */
  storeTimeoutMs: 200,
} as const
