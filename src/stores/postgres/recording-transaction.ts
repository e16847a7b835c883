import type { StoreTransaction } from '../../idempotency/store.ts'
import { redacted } from './redact.ts'
import { CommitError, isEndedElsewhere, sqlState, type Call, type DatabaseTransaction } from './database.ts'

const STALE = 'HF002'

export interface Recording {
  /** Makes sure that the transaction is still the one that was begun. */
  readonly check: Call
  /** Does that, too, and records. */
  finish(response: Uint8Array): Promise<Call>
  /** Whether the transaction is known to have ended without a commit. Asked where the answer to its commit got lost. */
  isUndone(): Promise<boolean>
}

/** A transaction that ends once, and knows how. */
export class RecordingTransaction implements StoreTransaction {
  readonly lost: Promise<unknown>
  readonly #transaction: DatabaseTransaction
  readonly #recording: Recording
  /** The commit, while it is under way. */
  #committing: Promise<void> | undefined
  /** `doubtful`: nobody knows yet. `unknown`: nobody is going to. */
  #state: 'open' | 'ended' | 'doubtful' | 'unknown' = 'open'

  constructor(transaction: DatabaseTransaction, recording: Recording) {
    this.#transaction = transaction
    this.#recording = recording
    // Once it is being ended, its end tells how.
    this.lost = transaction.lost.then((reason) =>
      this.#state === 'open' ? redacted(reason) : new Promise(() => {}),
    )
  }

  get client(): unknown {
    return this.#transaction.client
  }

  async complete(response: Uint8Array): Promise<'completed' | 'stale'> {
    const finish = await this.#recording.finish(response)
    try {
      await this.#commit(finish)
      return 'completed'
    } catch (error) {
      if (error instanceof Error && sqlState(error.cause) === STALE) return 'stale'
      throw error
    }
  }

  commit(): Promise<void> {
    return this.#commit(this.#recording.check)
  }

  /** Harmless once the transaction has ended here. @throws when nobody knows how it ended. */
  async rollback(): Promise<void> {
    // One that is on its way can't be called back; how it ends is worth waiting for.
    await this.#committing?.catch(() => {})
    if (this.#state === 'doubtful') this.#state = (await this.#recording.isUndone()) ? 'ended' : 'unknown'
    if (this.#state === 'unknown') throw new Error('postgresStore: nobody knows whether the commit succeeded')
    if (this.#state === 'ended') return
    this.#state = 'ended'
    try {
      await this.#transaction.rollback(this.#recording.check)
    } catch (error) {
      // Any other failure leaves nothing behind: without a COMMIT the server undoes everything.
      if (isEndedElsewhere(error)) throw redacted(error)
    }
  }

  async #commit(last: Call): Promise<void> {
    if (this.#state !== 'open') throw new Error('postgresStore: the transaction has ended')
    this.#state = 'ended'
    this.#committing = this.#transaction.commit(last)
    try {
      await this.#committing
    } catch (error) {
      this.#state = stateAfter(error)
      throw error
    }
  }
}

/** Of what somebody else has ended the record tells nothing. */
function stateAfter(error: unknown): 'ended' | 'doubtful' | 'unknown' {
  if (!(error instanceof CommitError)) return 'doubtful'
  if (isEndedElsewhere(error.cause)) return 'unknown'
  return error.outcome === 'unknown' ? 'doubtful' : 'ended'
}
