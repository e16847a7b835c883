import { acquiring } from './acquiring.ts'
import { keeping } from './keeping.ts'
import { lifetime } from './lifetime.ts'
import { order } from './order.ts'
import { owning } from './owning.ts'
import { releasing } from './releasing.ts'
import type { StoreCase, StoreUnderTest, TransactionalStoreUnderTest } from './support.ts'
import { asTransactional, transactions, withoutTransactions } from './transactions.ts'

export type { StoreEffects, StoreUnderTest, TransactionalStoreUnderTest } from './support.ts'

/** One test of a store, for any test runner. */
export interface StoreTest {
  /** What a store has to do. */
  readonly name: string
  /** Rejects when the store does not. */
  readonly run: () => Promise<void>
}

const cases: readonly StoreCase[] = [...acquiring, ...order, ...lifetime, ...owning, ...releasing, ...keeping]

/**
 * What every `IdempotencyStore` has to do, as tests for any test runner; those of this package pass the same ones.
 *
 * @param make Makes a fresh, empty store for each test, on a clock that `advance` moves.
 * @param options `transactions: true` for a store with `begin`, whose `make` has to give `effects`, too.
 * @example
 * for (const { name, run } of storeSuite(makeStore)) test(name, run)
 */
export function storeSuite(
  make: () => TransactionalStoreUnderTest | Promise<TransactionalStoreUnderTest>,
  options: { transactions: true },
): readonly StoreTest[]
export function storeSuite(
  make: () => StoreUnderTest | Promise<StoreUnderTest>,
  options?: { transactions?: false },
): readonly StoreTest[]
export function storeSuite(
  make: () => StoreUnderTest | Promise<StoreUnderTest>,
  options: { transactions?: boolean } = {},
): readonly StoreTest[] {
  const all = cases.map(({ name, run }) => testOf(name, make, run))
  return options.transactions === true
    ? [
        ...all,
        ...transactions.map(({ name, run }) => testOf(name, make, (each) => run(asTransactional(each)))),
      ]
    : [...all, testOf(withoutTransactions.name, make, withoutTransactions.run)]
}

function testOf(
  name: string,
  make: () => StoreUnderTest | Promise<StoreUnderTest>,
  run: StoreCase['run'],
): StoreTest {
  return {
    name,
    async run() {
      const subject = await make()
      try {
        await run(subject)
      } finally {
        await subject.dispose?.()
      }
    },
  }
}
