/**
 * The one seam between the engine and whatever remembers keys. Every duration is milliseconds; no store knows HTTP: a
 * response is bytes to it, and the bytes come back exactly as they were given.
 */

/** What happens to a key whose owner went silent: its outcome stays unknown, or the next request runs the handler. */
export type AbandonedPolicy = 'block' | 'takeover'

/** One request's claim on one key. `owner` proves it: unique to the request, made before the first `acquire`. */
export interface Lease {
  /** The authenticated client; keys of two scopes never meet, whatever characters they contain. */
  readonly scope: string
  readonly key: string
  /** Digest of what was asked; the same key with another one is a mismatch. */
  readonly fingerprint: string
  readonly owner: string
  /** How long the claim holds without a heartbeat. Also the grace: a record outlives its completion by this much. */
  readonly leaseMs: number
}

export interface AcquireRequest extends Lease {
  /** How long a record is kept, from its acceptance on. */
  readonly ttlMs: number
  readonly abandoned: AbandonedPolicy
  /** How many records of one scope may be kept at a time. */
  readonly maxKeysPerScope: number
}

export type AcquireResult =
  /** The caller owns the key. `fence` grows with every owner of a record. */
  | { readonly type: 'acquired'; readonly fence: number }
  /** Completed earlier: what was recorded then. */
  | { readonly type: 'done'; readonly response: Uint8Array }
  /** The key was used for something else. */
  | { readonly type: 'mismatch' }
  /** Another owner is at it, for `retryAfterMs` at least unless it completes. */
  | { readonly type: 'busy'; readonly retryAfterMs: number }
  /** Its owner went silent, and the policy is `block`. */
  | { readonly type: 'abandoned' }
  /** No room for another key: in this scope, or in the whole store. */
  | { readonly type: 'full'; readonly limit: 'scope' | 'store'; readonly retryAfterMs: number }

/** A database transaction in which a record is completed. */
export interface StoreTransaction {
  /** What a handler works with inside the transaction; its type is the store's. */
  readonly client: unknown
  /**
   * Resolves, to the reason, when the database ends the transaction by itself while it is open: what the handler does
   * there no longer counts, so its signal is aborted. For a database that can tell.
   */
  readonly lost?: Promise<unknown>
  /** Records `response` and commits, provided the lease is still the caller's; otherwise rolls back: `'stale'`. */
  complete(response: Uint8Array): Promise<'completed' | 'stale'>
  /** Commits without recording anything; for a transaction that was begun without a lease. */
  commit(): Promise<void>
  /** Undoes everything. Harmless once the transaction has ended. */
  rollback(): Promise<void>
}

/**
 * Remembers keys. Every method is atomic on its own, may be called again after an unclear failure, and rejects when
 * the store can't be reached; the engine bounds the time and retries.
 *
 * The rules a store has to keep: a record is looked at in the order expired, fingerprint, done, same owner, live
 * lease, abandoned; nothing is deleted inside its window, `max(created + ttlMs, completed + leaseMs)`, and a record in
 * progress lives at least as long as its lease; a released record stays as a tombstone, so the fence goes on; only the
 * owner can extend, complete or release.
 */
export interface IdempotencyStore {
  /** For events and messages: `'memory'`, `'sqlite'`. */
  readonly name: string
  /** Claims a key, or says why not. For the same owner again: the same answer again. */
  acquire(request: AcquireRequest): Promise<AcquireResult>
  /** Extends the lease by `leaseMs` from now. */
  heartbeat(lease: Lease): Promise<'extended' | 'lost'>
  /** Records the response. Also when the lease has run out, as long as nobody took the key over. */
  complete(lease: Lease, response: Uint8Array): Promise<'completed' | 'stale'>
  /** Gives the key back unused. */
  release(lease: Lease): Promise<'released' | 'stale'>
  /** The recorded response, where there is one for the same fingerprint. Claims nothing. */
  read(lease: Lease): Promise<Uint8Array | undefined>
  /**
   * Opens a transaction; `'stale'` when the lease is no longer the caller's. Without a lease there is nothing to
   * record: a request without a key. Only stores that share a database with the application have this.
   */
  begin?(lease: Lease | undefined): Promise<StoreTransaction | 'stale'>
  close?(): Promise<void>
}
