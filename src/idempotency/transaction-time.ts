import type { Timer } from '../primitives/clock.ts'
import type { Settings } from './options.ts'
import { bounded } from './patience.ts'
import type { StoreTransaction } from './store.ts'

type Timing = Pick<Settings, 'clock' | 'transactionTimeoutMs'>

/** A transaction was open for longer than it may be. */
class TransactionTimeoutError extends Error {
  override readonly name = 'TransactionTimeoutError'

  constructor(timeoutMs: number) {
    super(`the transaction was open for more than ${timeoutMs} ms`)
  }
}

/**
 * Lets `fn` work in a transaction for as long as it may, then rejects with what `late` makes of that. The transaction
 * is rolled back once `fn` has let go of it: what `fn` did after that would be done outside of any.
 */
export function workInTime<T>(
  { clock, transactionTimeoutMs }: Timing,
  transaction: StoreTransaction,
  fn: (client: unknown) => T | Promise<T>,
  late: (cause: Error) => Error,
): Promise<T> {
  const work = (async () => fn(transaction.client))()
  const undo = (): void => void work.catch(() => {}).then(() => rollBack(transaction))
  return bounded(
    clock,
    transactionTimeoutMs,
    () => work,
    () => {
      undo()
      return late(new TransactionTimeoutError(transactionTimeoutMs))
    },
  )
}

/** For a transaction whose function has ended: it is rolled back where nobody ends it for as long as it may be open. */
export function endInTime(
  { clock, transactionTimeoutMs }: Timing,
  transaction: StoreTransaction,
  late: (cause: Error) => void,
): Timer {
  return clock.schedule(() => {
    void rollBack(transaction)
    late(new TransactionTimeoutError(transactionTimeoutMs))
  }, transactionTimeoutMs)
}

/** Nobody is left to be told that it failed; without a commit nothing of it has happened. */
const rollBack = (transaction: StoreTransaction): Promise<void> => transaction.rollback().catch(() => {})
