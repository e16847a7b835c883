import { acquiring } from './acquiring.ts'
import { keeping } from './keeping.ts'
import { lifetime } from './lifetime.ts'
import { order } from './order.ts'
import { owning } from './owning.ts'
import { releasing } from './releasing.ts'
import type { StoreCase, StoreUnderTest } from './support.ts'

export type { StoreUnderTest } from './support.ts'

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
 * @example
 * for (const { name, run } of storeSuite(makeStore)) test(name, run)
 */
export function storeSuite(make: () => StoreUnderTest | Promise<StoreUnderTest>): readonly StoreTest[] {
  return cases.map(({ name, run }) => ({
    name,
    async run() {
      const subject = await make()
      try {
        await run(subject)
      } finally {
        await subject.dispose?.()
      }
    },
  }))
}
