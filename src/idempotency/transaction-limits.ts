import type { Timer } from '../primitives/clock.ts'
import type { Settings } from './options.ts'
import { withTimeout } from './store-calls.ts'
import type { Lease, StoreTransaction } from './store.ts'

type Timing = Pick<Settings, 'clock' | 'transactionTimeoutMs'>

/** A transaction was open for longer than it may be. */
class TransactionTimeoutError extends Error {
  override readonly name = 'TransactionTimeoutError'

  constructor(timeoutMs: number) {
    super(`the transaction was open for more than ${timeoutMs} ms`)
  }
}

/**
 * Runs `fn` in a transaction for at most `transactionTimeoutMs`, then rejects with what `late` makes. The rollback waits
 * until `fn` has ended: a statement of `fn` that came after it would run outside of any transaction.
 */
export function workInTime<T>(
  { clock, transactionTimeoutMs }: Timing,
  transaction: StoreTransaction,
  fn: (client: unknown) => T | Promise<T>,
  late: (cause: Error) => Error,
): Promise<T> {
  const work = (async () => fn(transaction.client))()
  const rollBackAfterWork = (): void => void work.catch(() => {}).then(() => rollBack(transaction))
  return withTimeout(
    clock,
    transactionTimeoutMs,
    () => work,
    () => {
      rollBackAfterWork()
      return late(new TransactionTimeoutError(transactionTimeoutMs))
    },
  )
}

/** For a transaction whose `fn` has ended: rolls it back after `transactionTimeoutMs`, unless the timer is cancelled. */
export function scheduleExpiry(
  { clock, transactionTimeoutMs }: Timing,
  transaction: StoreTransaction,
  late: (cause: Error) => void,
): Timer {
  return clock.schedule(() => {
    void rollBack(transaction)
    late(new TransactionTimeoutError(transactionTimeoutMs))
  }, transactionTimeoutMs)
}

/** A failure is ignored: nobody waits for it, and without a commit the database keeps nothing. */
const rollBack = (transaction: StoreTransaction): Promise<void> => transaction.rollback().catch(() => {})

/**
 * Opens a transaction within `storeTimeoutMs`. One that opens later is rolled back at once, since it would lock others
 * out of the database.
 *
 * @throws {TypeError} for a store without transactions
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
    return await withTimeout(clock, storeTimeoutMs, () => opening)
  } catch (error) {
    opening.then((late) => (late === 'stale' ? undefined : late.rollback())).catch(() => {})
    throw error
  }
}
