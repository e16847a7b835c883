import { median } from '../harness/arithmetic.ts'

/** How much faster it still gets is lost in what one batch differs from another. */
const STEADY = 0.95
const COMPARED = 5

/**
 * Whether a server has been warmed up, by what its batches took so far: the last few are no faster than as many before
 * them. V8 compiles, and the heap grows, for thousands of requests; a server that is measured before that seems to cost
 * twice as much.
 */
export function isSteady(costs: readonly number[]): boolean {
  if (costs.length < 2 * COMPARED) return false
  return median(costs.slice(-COMPARED)) >= STEADY * median(costs.slice(-2 * COMPARED, -COMPARED))
}
