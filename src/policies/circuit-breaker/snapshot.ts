import { BUCKETS } from '../../sliding-counts.ts'
import { checkInteger, checkNumber, checkOneOf, checkPositive, invalidOption } from '../../validate.ts'

export type CircuitState = 'closed' | 'open' | 'half-open' | 'isolated'

const STATES: readonly CircuitState[] = ['closed', 'open', 'half-open', 'isolated']

/** What a tenth of the window has counted. */
export interface CircuitBucket {
  readonly successes: number
  readonly failures: number
  readonly slow: number
}

/**
 * A circuit as plain JSON, to be kept where a process is not: between the invocations of a function, over a restart.
 * It holds durations that are left, never a wall time, so the clocks of two machines need not agree.
 */
export interface CircuitSnapshot {
  readonly version: 1
  readonly state: CircuitState
  /** How much longer an open circuit stays open; otherwise 0. */
  readonly openForMs: number
  /** How often in a row it has opened without closing: the exponent of its open time. */
  readonly openings: number
  /** The failures at the end of the window with no success among them. */
  readonly failuresInARow: number
  /** The window that `buckets` are the tenths of. */
  readonly windowMs: number
  /** The newest first, up to the oldest that has counted anything. */
  readonly buckets: readonly CircuitBucket[]
}

/**
 * Refuses what `snapshot()` has not made: it comes from a store, where it may be old or damaged.
 *
 * @throws {HoldfastError} ERR_INVALID_OPTION, with the name and the value of what is wrong
 */
export function checkSnapshot(snapshot: CircuitSnapshot): void {
  checkObject('snapshot', snapshot)
  if (snapshot.version !== 1) throw invalidOption('snapshot.version', '1', snapshot.version)
  checkOneOf('snapshot.state', snapshot.state, STATES)
  checkNumber('snapshot.openForMs', snapshot.openForMs)
  checkInteger('snapshot.openings', snapshot.openings)
  checkInteger('snapshot.failuresInARow', snapshot.failuresInARow)
  checkPositive('snapshot.windowMs', snapshot.windowMs)
  const { buckets } = snapshot
  if (!Array.isArray(buckets) || buckets.length > BUCKETS) {
    throw invalidOption('snapshot.buckets', `an array of at most ${BUCKETS}`, buckets)
  }
  for (const [index, bucket] of snapshot.buckets.entries()) checkBucket(`snapshot.buckets[${index}]`, bucket)
}

function checkBucket(name: string, bucket: CircuitBucket): void {
  checkObject(name, bucket)
  checkInteger(`${name}.successes`, bucket.successes)
  checkInteger(`${name}.failures`, bucket.failures)
  checkInteger(`${name}.slow`, bucket.slow)
}

function checkObject(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidOption(name, 'an object', value)
  }
}
