import type { Clock } from '../primitives/clock.ts'
import { StoreTimeoutError, within } from '../primitives/within.ts'
import { CorruptEntryError } from './record.ts'
import type { CacheEntry, CacheStore, MaybePromise, OnStoreError, StoreOperation } from './store.ts'

export interface GuardedStoreParts {
  readonly store: CacheStore
  readonly timeoutMs: number
  readonly onError: OnStoreError | undefined
}

/** A store that did not answer in time is not asked for this many times `timeoutMs`. */
const REST = 10

/**
 * A store that may fail, hang or return garbage. Failures are reported and rethrown. A store that hangs is not asked for
 * a while, so that it does not slow down every call.
 */
export class GuardedStore {
  readonly #parts: GuardedStoreParts
  /** Until when it rests: by the clock of each client that shares it. */
  readonly #restsUntilMs = new WeakMap<Clock, number>()

  constructor(parts: GuardedStoreParts) {
    this.#parts = parts
  }

  /** What is stored, once `decode` has accepted it; what it refuses is deleted. */
  async get<T>(
    clock: Clock,
    key: string,
    decode: (key: string, entry: unknown) => T,
  ): Promise<T | undefined> {
    const entry: unknown = await this.#run(clock, 'get', key, () => this.#parts.store.get(key))
    if (entry === undefined || entry === null) return undefined
    try {
      return decode(key, entry)
    } catch (error) {
      if (!(error instanceof CorruptEntryError)) throw error
      this.#tell(error, 'get', key)
      await this.delete(clock, key)
      return undefined
    }
  }

  async set(clock: Clock, key: string, entry: CacheEntry, ttlMs: number): Promise<void> {
    await this.#run(clock, 'set', key, () => this.#parts.store.set(key, entry, Math.ceil(ttlMs)))
  }

  async delete(clock: Clock, key: string): Promise<void> {
    await this.#run(clock, 'delete', key, () => this.#parts.store.delete(key))
  }

  /** Not skipped while the store rests: a sign-out has to know whether it took effect. */
  async clear(clock: Clock): Promise<void> {
    this.#restsUntilMs.delete(clock)
    await this.#run(clock, 'clear', '*', () => this.#parts.store.clear())
  }

  async #run<T>(
    clock: Clock,
    operation: StoreOperation,
    key: string,
    work: () => MaybePromise<T>,
  ): Promise<T> {
    const { timeoutMs } = this.#parts
    if (clock.now() < (this.#restsUntilMs.get(clock) ?? -Infinity)) throw new StoreTimeoutError(timeoutMs)
    try {
      const answer = work()
      // What answers at once needs no timer.
      return isPromise(answer) ? await within(clock, timeoutMs, Promise.resolve(answer)) : answer
    } catch (error) {
      if (error instanceof StoreTimeoutError) this.#restsUntilMs.set(clock, clock.now() + REST * timeoutMs)
      this.#tell(error, operation, key)
      throw error
    }
  }

  #tell(error: unknown, operation: StoreOperation, key: string): void {
    try {
      this.#parts.onError?.(error, { operation, key })
    } catch {
      // Deliberately nothing: a listener is an observer.
    }
  }
}

const isPromise = <T>(value: MaybePromise<T>): value is Promise<T> =>
  typeof value === 'object' && value !== null && 'then' in value
