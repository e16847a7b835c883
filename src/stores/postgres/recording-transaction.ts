import type { StoreTransaction } from '../../idempotency/store.ts'
import { discreet } from './discreet.ts'
import { CommitError, isEndedElsewhere, sqlState, type Call, type DatabaseTransaction } from './database.ts'

const STALE = 'HF002'

/** A transaction that ends once, and knows how. */
export class RecordingTransaction implements StoreTransaction {
  readonly lost: Promise<unknown>
  readonly #transaction: DatabaseTransaction
  readonly #check: Call
  readonly #finish: (response: Uint8Array) => Promise<Call>
  /** The commit, while it is under way. */
  #committing: Promise<void> | undefined
  #state: 'open' | 'ended' | 'unknown' = 'open'

  /** `check` makes sure that the transaction is still the one that was begun; `finish` does, too, and records. */
  constructor(
    transaction: DatabaseTransaction,
    check: Call,
    finish: (response: Uint8Array) => Promise<Call>,
  ) {
    this.#transaction = transaction
    this.#check = check
    this.#finish = finish
    // Once it is being ended, its end tells how.
    this.lost = transaction.lost.then((reason) =>
      this.#state === 'open' ? discreet(reason) : new Promise(() => {}),
    )
  }

  get client(): unknown {
    return this.#transaction.client
  }

  async complete(response: Uint8Array): Promise<'completed' | 'stale'> {
    const finish = await this.#finish(response)
    try {
      await this.#commit(finish)
      return 'completed'
    } catch (error) {
      if (error instanceof Error && sqlState(error.cause) === STALE) return 'stale'
      throw error
    }
  }

  commit(): Promise<void> {
    return this.#commit(this.#check)
  }

  /** Harmless once the transaction has ended here. @throws when nobody knows how it ended. */
  async rollback(): Promise<void> {
    // One that is on its way can't be called back; how it ends is worth waiting for.
    await this.#committing?.catch(() => {})
    if (this.#state === 'unknown') throw new Error('postgresStore: nobody knows whether the commit succeeded')
    if (this.#state === 'ended') return
    this.#state = 'ended'
    try {
      await this.#transaction.rollback(this.#check)
    } catch (error) {
      // Any other failure leaves nothing behind: without a COMMIT the server undoes everything.
      if (isEndedElsewhere(error)) throw discreet(error)
    }
  }

  async #commit(last: Call): Promise<void> {
    if (this.#state !== 'open') throw new Error('postgresStore: the transaction has ended')
    this.#state = 'ended'
    this.#committing = this.#transaction.commit(last)
    try {
      await this.#committing
    } catch (error) {
      if (this.#leavesDoubt(error)) this.#state = 'unknown'
      throw error
    }
  }

  #leavesDoubt(error: unknown): boolean {
    if (!(error instanceof CommitError)) return true
    return error.outcome === 'unknown' || isEndedElsewhere(error.cause)
  }
}
