import type { Timer } from '../primitives/clock.ts'
import type { Claim } from './claim.ts'
import type { StoreTransaction } from './store.ts'

/**
 * The transaction could not be begun or committed, the database ended it, it took longer than `transactionTimeoutMs`, or
 * the key was taken over: what the handler did in it did not happen. The response is taken care of; a handler only has
 * to stop.
 */
export class TransactionLostError extends Error {
  override readonly name = 'TransactionLostError'

  constructor(options?: ErrorOptions) {
    super('the transaction did not take effect', options)
  }
}

/** One `transaction(fn)` of a request with a key, from its begin to its end. */
export class TransactionRun {
  /**
   * `running`: `fn` has not ended. `open`: it has resolved, and the response is awaited. `unknown`: undoing failed, or
   * something else ended the transaction.
   */
  state: 'running' | 'open' | 'committed' | 'rolled-back' | 'unknown' = 'running'
  /** What `fn` threw. */
  error: unknown
  /** Resolves when `fn` has ended, either way. */
  readonly ended: Promise<void>
  readonly #claim: Claim
  readonly #onLost: (reason: unknown) => void
  #transaction: StoreTransaction | undefined
  /** Rolls it back when the response takes too long; set while `state` is `open`. */
  #expiry: Timer | undefined
  #end: () => void = () => {}

  /** @param onLost - hears that the transaction is lost, while the handler relied on it */
  constructor(claim: Claim, onLost: (reason: unknown) => void) {
    this.#claim = claim
    this.#onLost = onLost
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  async perform<T>(fn: (client: unknown) => Promise<T>): Promise<T> {
    try {
      const transaction = await this.#begin()
      if (transaction === 'stale') throw new TransactionLostError()
      this.#transaction = transaction
      void transaction.lost?.then(this.#onLost)
      const value = await this.#claim.workIn(transaction, fn, (cause) => this.#expire(cause))
      this.state = 'open'
      this.#expiry = this.#claim.scheduleExpiry(transaction, this.#onLost)
      return value
    } catch (error) {
      this.error = error
      await this.rollback()
      throw error
    } finally {
      this.#end()
    }
  }

  /** `fn` took too long: whatever it still does, nothing of it will be committed. */
  #expire(cause: Error): Error {
    this.state = 'rolled-back'
    this.#onLost(cause)
    return new TransactionLostError({ cause })
  }

  async #begin(): Promise<StoreTransaction | 'stale'> {
    try {
      return await this.#claim.begin()
    } catch (cause) {
      // A store without transactions is a mistake of the program, not of the moment.
      if (cause instanceof TypeError) throw cause
      this.#claim.reportFailure('begin', cause)
      throw new TransactionLostError({ cause })
    }
  }

  /** @throws when the commit failed, which is reported; only the store can say whether it took effect all the same */
  async complete(record: Uint8Array): Promise<'completed' | 'stale'> {
    const transaction = this.#transaction
    if (transaction === undefined) throw new TransactionLostError()
    this.#expiry?.cancel()
    try {
      const result = await this.#claim.inTime(() => transaction.complete(record))
      this.state = result === 'completed' ? 'committed' : 'rolled-back'
      return result
    } catch (error) {
      this.#claim.reportFailure('complete', error)
      throw error
    }
  }

  async rollback(): Promise<void> {
    this.#expiry?.cancel()
    if (this.state !== 'running' && this.state !== 'open') return
    try {
      await this.#claim.inTime(async () => this.#transaction?.rollback())
      this.state = 'rolled-back'
    } catch {
      this.state = 'unknown'
    }
  }
}
