/**
 * What tests of resilient code need: a clock that moves when told, a server that fails on purpose.
 *
 * @module
 */
export * from './fault-server/index.ts'
export { noBackoff } from './no-backoff.ts'
export { seededRandom } from './seeded-random.ts'
export { virtualClock, type VirtualClock, type VirtualClockOptions } from './virtual-clock.ts'
