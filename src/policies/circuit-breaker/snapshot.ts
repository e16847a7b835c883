import { BUCKETS } from '../../structures/sliding-counts.ts'
import {
  checkInteger,
  checkNumber,
  checkObject,
  checkPositive,
  oneOf,
  rule,
  type Rule,
  type Rules,
} from '../../primitives/validate.ts'

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
  checkRules('snapshot', snapshot, SNAPSHOT)
  for (const [index, bucket] of snapshot.buckets.entries())
    checkRules(`snapshot.buckets[${index}]`, bucket, BUCKET)
}

const SNAPSHOT: Rules<CircuitSnapshot> = {
  version: rule('1', (value) => value === 1),
  state: oneOf(...STATES),
  openForMs: checkNumber,
  openings: checkInteger,
  failuresInARow: checkInteger,
  windowMs: checkPositive,
  buckets: rule(`an array of at most ${BUCKETS}`, (value) => Array.isArray(value) && value.length <= BUCKETS),
}

/** All of it must be there; what a later version adds may be, too. */
function checkRules(name: string, value: object, rules: Rules): void {
  checkObject(name, value)
  for (const [key, check] of Object.entries<Rule>(rules)) check(`${name}.${key}`, Reflect.get(value, key))
}

const BUCKET: Rules<CircuitBucket> = { successes: checkInteger, failures: checkInteger, slow: checkInteger }
