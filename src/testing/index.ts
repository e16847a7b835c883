/**
 * What tests of resilient code need: a clock that moves when told, a server that fails on purpose, suites for
 * stores and APIs of your own.
 *
 * @module
 */
export * from './conformance/index.ts'
export * from './fault-server/index.ts'
export { noBackoff } from './no-backoff.ts'
export { seededRandom } from './seeded-random.ts'
export {
  storeSuite,
  type StoreEffects,
  type StoreTest,
  type StoreUnderTest,
  type TransactionalStoreUnderTest,
} from './store-suite/index.ts'
export { virtualClock, type VirtualClock, type VirtualClockOptions } from './virtual-clock.ts'
