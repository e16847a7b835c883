/**
 * Records beside their store, in the memory of the process that made them: a duplicate that reaches it again is answered
 * without a round trip, and while the store is away.
 *
 * @module
 */
import type {
  AcquireRequest,
  AcquireResult,
  IdempotencyStore,
  Lease,
  StoreTransaction,
} from '../idempotency/store.ts'
import { systemClock, type Clock } from '../primitives/clock.ts'
import { settled } from '../primitives/settled.ts'
import { checkCount, checkKeys, checkMethods } from '../primitives/validate.ts'
import { LruMap } from '../structures/lru-map.ts'

/** What `nearCache()` keeps at most. */
export const NEAR_CACHE_DEFAULTS = {
  /** 16 MiB. */
  maxBytes: 16_777_216,
} as const

export interface NearCacheOptions {
  /** How many bytes are kept at most; those used longest ago go first. Default 16 MiB. */
  maxBytes?: number | undefined
  /** Default: the platform's time. */
  clock?: Clock | undefined
}

/** A store with a near cache before it. */
export interface NearCache extends IdempotencyStore {
  /** Forgets what is kept here, and nothing of the store's: for who has deleted records there. */
  clear(): void
}

/**
 * Keeps what this process has completed, and answers duplicates of it (and another request under the same key) as `store`
 * would. It never answers what the store would not: a completed record does not change before its window ends, and here
 * it is forgotten no later. All else goes to the store.
 *
 * @throws {HoldfastError} `ERR_INVALID_OPTION`
 * @example
 * const protect = idempotency({ store: nearCache(redisStore({ client })) })
 */
export function nearCache(store: IdempotencyStore, options: NearCacheOptions = {}): NearCache {
  checkMethods('nearCache: store', 'a store, such as redisStore()', store, METHODS)
  checkKeys('nearCache', options, ['maxBytes', 'clock'])
  const { maxBytes = NEAR_CACHE_DEFAULTS.maxBytes, clock = systemClock } = options
  checkCount('nearCache: maxBytes', maxBytes)
  return new CachedStore(store, maxBytes, clock)
}

const METHODS = ['acquire', 'heartbeat', 'complete', 'release', 'read'] as const

/** A key that was taken, and until when its record is sure to be kept. */
interface Taken {
  readonly fingerprint: string
  /** By both clocks: one stops while a machine sleeps, the other one jumps. */
  readonly endMs: number
  readonly endWallMs: number
}

interface Kept extends Taken {
  readonly response: Uint8Array
}

/** What a record takes besides its response, scope and key: the objects that hold them. */
const OVERHEAD_BYTES = 500

/** More than any process has under way. What is forgotten of them is not kept when it completes. */
const MOST_UNDER_WAY = 10_000

class CachedStore implements NearCache {
  readonly begin?: NonNullable<IdempotencyStore['begin']>
  readonly #store: IdempotencyStore
  readonly #clock: Clock
  readonly #kept: LruMap<Kept>
  /** What is under way. */
  readonly #taken = new LruMap<Taken>({ maxEntries: MOST_UNDER_WAY, maxBytes: Infinity })
  #clears = 0

  constructor(store: IdempotencyStore, maxBytes: number, clock: Clock) {
    this.#store = store
    this.#clock = clock
    this.#kept = new LruMap({ maxEntries: Infinity, maxBytes })
    const begin = store.begin?.bind(store)
    if (begin !== undefined) this.begin = (lease) => this.#begin(begin, lease)
  }

  get name(): string {
    return this.#store.name
  }

  acquire(request: AcquireRequest): Promise<AcquireResult> {
    const kept = this.#find(request)
    if (kept === undefined) return this.#acquire(request)
    if (kept.fingerprint !== request.fingerprint) return settled({ type: 'mismatch' })
    return settled({ type: 'done', response: new Uint8Array(kept.response) })
  }

  heartbeat(lease: Lease): Promise<'extended' | 'lost'> {
    return this.#store.heartbeat(lease)
  }

  complete(lease: Lease, response: Uint8Array): Promise<'completed' | 'stale'> {
    const taken = this.#taken.delete(claimOf(lease))
    return this.#completing(lease, response, taken, () => this.#store.complete(lease, response))
  }

  release(lease: Lease): Promise<'released' | 'stale'> {
    this.#taken.delete(claimOf(lease))
    return this.#store.release(lease)
  }

  async read(lease: Lease): Promise<Uint8Array | undefined> {
    const kept = this.#find(lease)
    if (kept === undefined) return this.#store.read(lease)
    return kept.fingerprint === lease.fingerprint ? new Uint8Array(kept.response) : undefined
  }

  clear(): void {
    this.#clears++
    this.#kept.clear()
  }

  async close(): Promise<void> {
    this.clear()
    await this.#store.close?.()
  }

  async #acquire(request: AcquireRequest): Promise<AcquireResult> {
    const id = claimOf(request)
    this.#taken.set(id, this.#asked(request, this.#taken.get(id)), { bytes: 0 })
    const result = await this.#store.acquire(request)
    if (result.type !== 'acquired') this.#taken.delete(id)
    return result
  }

  /**
   * A window begins when the key is taken, so no earlier than now.
   *
   * @param before the same owner's earlier question: it may have been taken then
   */
  #asked({ fingerprint, ttlMs }: AcquireRequest, before?: Taken): Taken {
    return {
      fingerprint,
      endMs: Math.min(this.#clock.now() + ttlMs, before?.endMs ?? Infinity),
      endWallMs: Math.min(this.#clock.wallNow() + ttlMs, before?.endWallMs ?? Infinity),
    }
  }

  async #begin(
    begin: NonNullable<IdempotencyStore['begin']>,
    lease: Lease | undefined,
  ): Promise<StoreTransaction | 'stale'> {
    // Taken here: what its end is not known of may be on record, and then the store keeps that, whatever completes it.
    const taken = lease && this.#taken.delete(claimOf(lease))
    const transaction = await begin(lease)
    if (transaction === 'stale' || lease === undefined) return transaction
    const { client, lost } = transaction
    return {
      client,
      ...(lost !== undefined && { lost }),
      complete: (response) => this.#completing(lease, response, taken, () => transaction.complete(response)),
      commit: () => transaction.commit(),
      rollback: () => transaction.rollback(),
    }
  }

  /** Only what is known to be on record is kept: once, since whoever completes a key again changes nothing. */
  async #completing(
    lease: Lease,
    response: Uint8Array,
    taken: Taken | undefined,
    complete: () => Promise<'completed' | 'stale'>,
  ): Promise<'completed' | 'stale'> {
    const kept = taken && { ...taken, response: new Uint8Array(response) }
    const clears = this.#clears
    const result = await complete()
    // What was put on record before a clear may have been deleted with the others.
    const isOnRecord = result === 'completed' && clears === this.#clears
    if (isOnRecord && kept !== undefined && this.#isInTime(kept)) this.#keep(recordOf(lease), kept)
    return result
  }

  #keep(id: string, kept: Kept): void {
    this.#kept.set(id, kept, { bytes: id.length + kept.response.length + OVERHEAD_BYTES })
  }

  #find(lease: Lease): Kept | undefined {
    const id = recordOf(lease)
    const kept = this.#kept.get(id)
    if (kept === undefined || this.#isInTime(kept)) return kept
    this.#kept.delete(id)
    return undefined
  }

  #isInTime({ endMs, endWallMs }: Taken): boolean {
    return this.#clock.now() < endMs && this.#clock.wallNow() < endWallMs
  }
}

/** Of two scopes, and of two keys, never the same, wherever a delimiter stands. */
const recordOf = ({ scope, key }: Lease): string => `${scope.length}:${scope}${key}`

const claimOf = (lease: Lease): string => `${lease.owner.length}:${lease.owner}${recordOf(lease)}`
