/** What a store keeps: plain data that any of them can hold. */
export interface CacheEntry {
  /** JSON. */
  readonly meta: string
  readonly body: Uint8Array
}

/** An answer now, or a promise of it. */
export type MaybePromise<T> = T | Promise<T>

/**
 * Where responses are kept. Keys are short and of plain ASCII. Nothing here has to be atomic, and a store may forget
 * whatever it likes: what it fails at is not cached, and never fails a call.
 */
export interface CacheStore {
  /** `undefined` or `null` for what is not there. */
  get(key: string): MaybePromise<CacheEntry | undefined | null>
  /** After `ttlMs` the entry is of no use, so it may be forgotten then. */
  set(key: string, entry: CacheEntry, ttlMs: number): MaybePromise<unknown>
  delete(key: string): MaybePromise<unknown>
  /** Forgets every entry. */
  clear(): MaybePromise<unknown>
}

export type StoreOperation = 'get' | 'set' | 'delete' | 'clear'

/** Told of everything that goes wrong with a store; the `key` of a `clear` is `'*'`. */
export type OnStoreError = (
  error: unknown,
  details: { readonly operation: StoreOperation; readonly key: string },
) => void
