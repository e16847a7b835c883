/**
 * What tests of resilient code need: a clock that moves when told, a server that fails on purpose.
 *
 * @module
 */
export { virtualClock, type VirtualClock, type VirtualClockOptions } from './virtual-clock.ts'
