import type { Timer } from '../primitives/clock.ts'
import { after } from '../primitives/settled.ts'
import { emit, type RequestInfo, type StoreOperation } from './events.ts'
import { BEAT } from './heartbeat.ts'
import type { Settings } from './options.ts'
import { withTimeout, withRetries } from './store-calls.ts'
import { CorruptRecordError } from './record.ts'
import { isSealed } from './sealed.ts'
import { beginTransaction, scheduleExpiry, workInTime } from './transaction-limits.ts'
import { queueRelease, releaseNow } from './background-release.ts'
import { warnOnce } from './warn.ts'
import type { AcquireRequest, AcquireResult, IdempotencyStore, Lease, StoreTransaction } from './store.ts'

/** One request's calls to the store: each is bounded in time, failures are reported and, where safe, retried. */
export class Claim {
  readonly info: RequestInfo
  readonly #settings: Settings
  #request: AcquireRequest
  #hasAsked = false
  /** Whether an attempt to acquire the key may still reach the store, and take the key for nobody. */
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

  /** Whether this claim is for that record. */
  isFor(store: IdempotencyStore, scope: string, key: string): boolean {
    return store === this.#settings.store && scope === this.#request.scope && key === this.#request.key
  }

  /**
   * The owner token is the same on every retry, so an acquire whose answer got lost is recognized. A second call, which
   * a waiting duplicate makes, uses a new token: a late attempt of the first call, and its release, then never concern
   * the key that this request runs under.
   */
  acquire(): AcquireResult | Promise<AcquireResult> {
    if (this.#hasAsked) this.#request = { ...this.#request, owner: this.#settings.randomUUID() }
    this.#hasAsked = true
    const request = this.#request
    const attempts: Promise<AcquireResult>[] = []
    const acquiring = this.#withRetries('acquire', (store) => {
      const attempt = store.acquire(request)
      attempts.push(attempt)
      return attempt
    })
    return acquiring instanceof Promise ? this.#afterAcquire(request, acquiring, attempts) : acquiring
  }

  async #afterAcquire(
    request: AcquireRequest,
    acquiring: Promise<AcquireResult>,
    attempts: readonly Promise<AcquireResult>[],
  ): Promise<AcquireResult> {
    const askedMs = this.#settings.clock.now()
    try {
      const result = await acquiring
      if (result.type === 'acquired') await this.#renewIfOld(askedMs)
      if (attempts.length > 1) this.#releaseOtherAttempts(request, attempts, result)
      return result
    } catch (error) {
      this.#releaseOtherAttempts(request, attempts)
      throw error
    }
  }

  /**
   * A lease starts when the store takes the key. A late or repeated answer does not say when that was, so a lease that
   * may be old is renewed before the handler starts under it.
   */
  async #renewIfOld(askedMs: number): Promise<void> {
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
      this.reportFailure('heartbeat', error)
      throw error
    }
  }

  /** Releases the key as soon as the store answers again. For a request that will not run, or whose key must be free. */
  releaseInBackground(): void {
    queueRelease(this.#settings, this.#request, this.#isUnderWay)
  }

  /**
   * An attempt that reaches the store after another one was answered, or after the caller gave up, takes the key for
   * nobody. So the key is released at once, since that attempt's answer may never come, and again when it does, however
   * late: a store's client may hold commands back for as long as it has no connection.
   */
  #releaseOtherAttempts(
    request: AcquireRequest,
    attempts: readonly Promise<AcquireResult>[],
    result?: AcquireResult,
  ): void {
    let underWay = attempts.length
    const isUnderWay = (): boolean => underWay > 0
    this.#isUnderWay = isUnderWay
    const fence = result?.type === 'acquired' ? result.fence : undefined
    // A store of the application's own may resolve to undefined.
    const releaseLate = (late: AcquireResult | undefined): void => {
      underWay--
      if (late?.type === 'acquired' && late.fence !== fence) releaseNow(this.#settings, request, isUnderWay)
    }
    // A key that this request holds must stay, and a completed one can't be taken.
    if (result?.type !== 'acquired' && result?.type !== 'done')
      queueRelease(this.#settings, request, isUnderWay)
    for (const attempt of attempts) attempt.then(releaseLate, () => underWay--)
  }

  /** The bytes to store for a response: encrypted where the option `encrypt` is set. */
  seal(plain: Uint8Array): Uint8Array | Promise<Uint8Array> {
    return this.#settings.sealer?.seal(this.#request, plain) ?? plain
  }

  /**
   * The reverse of `seal`.
   *
   * @throws {CorruptRecordError} for bytes stored for another record, or encrypted where `encrypt` is not set
   */
  open(stored: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const { sealer } = this.#settings
    if (sealer !== undefined) return sealer.open(this.#request, stored)
    if (isSealed(stored)) throw new CorruptRecordError('it is encrypted, and there is no option `encrypt`')
    return stored
  }

  heartbeat(): Promise<'extended' | 'lost'> {
    return this.inTime(() => this.#settings.store.heartbeat(this.#request))
  }

  complete(response: Uint8Array): 'completed' | 'stale' | Promise<'completed' | 'stale'> {
    return this.#withRetries('complete', (store) => store.complete(this.#request, response))
  }

  release(): 'released' | 'stale' | Promise<'released' | 'stale'> {
    return after(
      this.#withRetries('release', (store) => store.release(this.#request)),
      (result) => {
        if (this.#isUnderWay()) this.releaseInBackground()
        return result
      },
    )
  }

  read(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    return this.#withRetries('read', (store) => store.read(this.#request))
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

  /** See `scheduleExpiry`. */
  scheduleExpiry(transaction: StoreTransaction, late: (cause: Error) => void): Timer {
    return scheduleExpiry(this.#settings, transaction, late)
  }

  /** Bounded in time and not retried: for work that can't safely be repeated. */
  inTime<T>(work: () => Promise<T>): Promise<T> {
    return withTimeout(this.#settings.clock, this.#settings.storeTimeoutMs, work)
  }

  reportFailure(operation: StoreOperation, error: unknown): void {
    const { onEvent } = this.#settings
    if (onEvent === undefined) {
      const what = `the store of idempotency() failed (${operation}): ${String(error)}`
      warnOnce(this.#settings, 'HOLDFAST_STORE_ERROR', `${what}. onEvent hears each failure.`)
    }
    emit(onEvent, { type: 'store-error', ...this.info, operation, error })
  }

  #withRetries<T>(operation: StoreOperation, call: (store: IdempotencyStore) => Promise<T>): T | Promise<T> {
    const { clock, storeTimeoutMs, store } = this.#settings
    return withRetries(
      clock,
      storeTimeoutMs,
      () => call(store),
      (error) => this.reportFailure(operation, error),
    )
  }
}
