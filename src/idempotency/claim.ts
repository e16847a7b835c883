import type { Timer } from '../primitives/clock.ts'
import { after } from '../primitives/settled.ts'
import { emit, type RequestInfo, type StoreOperation } from './events.ts'
import { BEAT } from './heartbeat.ts'
import type { Settings } from './options.ts'
import { bounded, persistently } from './patience.ts'
import { CorruptRecordError } from './record.ts'
import { isSealed } from './sealed.ts'
import { endInTime, workInTime } from './transaction-time.ts'
import { undoAcquire, undoAcquired } from './undo.ts'
import { warnOnce } from './warn.ts'
import type { AcquireRequest, AcquireResult, IdempotencyStore, Lease, StoreTransaction } from './store.ts'

/** One request's dealings with the store: every call is bounded in time, failures are told and, where safe, retried. */
export class Claim {
  readonly info: RequestInfo
  readonly #settings: Settings
  #request: AcquireRequest
  #asked = false
  /** Whether an attempt to acquire the key may still arrive, and take it for nobody. */
  #isUnderWay = (): boolean => false

  constructor(settings: Settings, info: RequestInfo, record: Pick<Lease, 'scope' | 'key' | 'fingerprint'>) {
    this.info = info
    this.#settings = settings
    // Field by field: a spread of so many costs 5 us.
    this.#request = {
      scope: record.scope,
      key: record.key,
      fingerprint: record.fingerprint,
      owner: settings.randomUUID(),
      leaseMs: settings.leaseMs,
      ttlMs: settings.ttlMs,
      abandoned: settings.abandoned,
      maxKeysPerScope: settings.maxKeysPerScope,
    }
  }

  get fingerprint(): string {
    return this.#request.fingerprint
  }

  /** Whether it is for this very record. */
  isFor(store: IdempotencyStore, scope: string, key: string): boolean {
    return store === this.#settings.store && scope === this.#request.scope && key === this.#request.key
  }

  /**
   * The owner token is the same on every try, so an acquire whose answer got lost is found again. Asking once more, as
   * a duplicate that waits does, is done with another one: what the earlier question still takes, and gives back, is
   * never the key that this request runs under.
   */
  acquire(): AcquireResult | Promise<AcquireResult> {
    if (this.#asked) this.#request = { ...this.#request, owner: this.#settings.randomUUID() }
    this.#asked = true
    const request = this.#request
    const attempts: Promise<AcquireResult>[] = []
    const acquiring = this.#try('acquire', (store) => {
      const attempt = store.acquire(request)
      attempts.push(attempt)
      return attempt
    })
    return acquiring instanceof Promise ? this.#acquired(request, acquiring, attempts) : acquiring
  }

  async #acquired(
    request: AcquireRequest,
    acquiring: Promise<AcquireResult>,
    attempts: readonly Promise<AcquireResult>[],
  ): Promise<AcquireResult> {
    const askedMs = this.#settings.clock.now()
    try {
      const result = await acquiring
      if (result.type === 'acquired') await this.#renewOld(askedMs)
      if (attempts.length > 1) this.#undoOthers(request, attempts, result)
      return result
    } catch (error) {
      this.#undoOthers(request, attempts)
      throw error
    }
  }

  /**
   * A lease runs from when the store has taken the key, and an answer that was late, or asked for again, says nothing of
   * when that was: with one that may have run out by now nobody begins.
   */
  async #renewOld(askedMs: number): Promise<void> {
    const { clock, leaseMs, storeTimeoutMs } = this.#settings
    const untilMs = clock.now() + storeTimeoutMs
    for (let sinceMs = askedMs; clock.now() - sinceMs >= leaseMs * BEAT;) {
      sinceMs = clock.now()
      if (sinceMs >= untilMs) throw new Error(`the store answers too late for a lease of ${leaseMs} ms`)
      if ((await this.#renew()) === 'lost') throw new Error('the key was lost before its answer came')
    }
  }

  async #renew(): Promise<'extended' | 'lost'> {
    try {
      return await this.heartbeat()
    } catch (error) {
      this.failed('heartbeat', error)
      throw error
    }
  }

  /** Gives the key back although the store does not answer now. Only for who has nothing to keep it for. */
  undo(): void {
    undoAcquire(this.#settings, this.#request, this.#isUnderWay)
  }

  /**
   * An attempt that arrives after another one was answered, or after everybody gave up, takes the key for nobody. It is
   * looked for at once, since its answer may never come; where it comes it counts, however late: a client may hold
   * commands back for as long as it has no connection.
   */
  #undoOthers(
    request: AcquireRequest,
    attempts: readonly Promise<AcquireResult>[],
    result?: AcquireResult,
  ): void {
    let underWay = attempts.length
    const isUnderWay = (): boolean => underWay > 0
    this.#isUnderWay = isUnderWay
    const fence = result?.type === 'acquired' ? result.fence : undefined
    // Somebody's store may answer with nothing.
    const undoLate = (late: AcquireResult | undefined): void => {
      underWay--
      if (late?.type === 'acquired' && late.fence !== fence) undoAcquired(this.#settings, request, isUnderWay)
    }
    // The key that is this request's stays; one that is done can not be taken.
    if (result?.type !== 'acquired' && result?.type !== 'done')
      undoAcquire(this.#settings, request, isUnderWay)
    for (const attempt of attempts) attempt.then(undoLate, () => underWay--)
  }

  /** A response as it is stored. */
  seal(plain: Uint8Array): Uint8Array | Promise<Uint8Array> {
    return this.#settings.sealer?.seal(this.#request, plain) ?? plain
  }

  /** @throws for what was not stored for this record, or not in the way that is asked for now */
  open(stored: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const { sealer } = this.#settings
    if (sealer !== undefined) return sealer.open(this.#request, stored)
    if (isSealed(stored)) throw new CorruptRecordError('it is encrypted, and there is no option `encrypt`')
    return stored
  }

  heartbeat(): Promise<'extended' | 'lost'> {
    return this.once(() => this.#settings.store.heartbeat(this.#request))
  }

  complete(response: Uint8Array): 'completed' | 'stale' | Promise<'completed' | 'stale'> {
    return this.#try('complete', (store) => store.complete(this.#request, response))
  }

  release(): 'released' | 'stale' | Promise<'released' | 'stale'> {
    return after(
      this.#try('release', (store) => store.release(this.#request)),
      (result) => {
        if (this.#isUnderWay()) this.undo()
        return result
      },
    )
  }

  read(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    return this.#try('read', (store) => store.read(this.#request))
  }

  begin(): Promise<StoreTransaction | 'stale'> {
    return beginTransaction(this.#settings, this.#request)
  }

  /** See `workInTime`. */
  workIn<T>(
    transaction: StoreTransaction,
    fn: (client: unknown) => Promise<T>,
    late: (cause: Error) => Error,
  ): Promise<T> {
    return workInTime(this.#settings, transaction, fn, late)
  }

  /** See `endInTime`. */
  endInTime(transaction: StoreTransaction, late: (cause: Error) => void): Timer {
    return endInTime(this.#settings, transaction, late)
  }

  /** Bounded in time, and never again: for what another attempt would not repeat. */
  once<T>(work: () => Promise<T>): Promise<T> {
    return bounded(this.#settings.clock, this.#settings.storeTimeoutMs, work)
  }

  failed(operation: StoreOperation, error: unknown): void {
    const { onEvent } = this.#settings
    if (onEvent === undefined) {
      const what = `the store of idempotency() failed (${operation}): ${String(error)}`
      warnOnce(this.#settings, 'HOLDFAST_STORE_ERROR', `${what}. onEvent hears each failure.`)
    }
    emit(onEvent, { type: 'store-error', ...this.info, operation, error })
  }

  #try<T>(operation: StoreOperation, call: (store: IdempotencyStore) => Promise<T>): T | Promise<T> {
    const { clock, storeTimeoutMs, store } = this.#settings
    return persistently(
      clock,
      storeTimeoutMs,
      () => call(store),
      (error) => this.failed(operation, error),
    )
  }
}

/**
 * Opens a transaction within the time a request waits for the store. One that opens later is rolled back at once,
 * since it keeps everybody else from the database.
 */
export async function beginTransaction(
  { store, clock, storeTimeoutMs }: Settings,
  lease: Lease | undefined,
): Promise<StoreTransaction | 'stale'> {
  if (store.begin === undefined) {
    throw new TypeError(`transaction(fn) needs a store with transactions, and ${store.name} has none`)
  }
  const opening = store.begin(lease)
  try {
    return await bounded(clock, storeTimeoutMs, () => opening)
  } catch (error) {
    opening.then((late) => (late === 'stale' ? undefined : late.rollback())).catch(() => {})
    throw error
  }
}
