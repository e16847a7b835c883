import type { Random } from '../../primitives/random.ts'
import {
  checkFunction,
  checkKeys,
  checkNumber,
  checkOneOf,
  invalidOption,
} from '../../primitives/validate.ts'
import { seededRandom } from '../seeded-random.ts'
import type { Fault } from './faults.ts'
import type { FaultSource } from './request.ts'

export interface RandomFaultsOptions {
  /** Probability and fault, such as `[0.1, status(503)]`; what is missing to 1 is served. */
  mix: readonly (readonly [probability: number, fault: Fault])[]
  /** Makes it repeatable. Default 1. */
  seed?: number | string
  /**
   * What the chance hangs on. `'arrival'` (default): the n-th request draws the n-th number, so concurrent requests may
   * swap fates between two runs. `'identity'`: a pure function of the seed, the request's identity and its attempt.
   */
  by?: 'arrival' | 'identity'
  /** Another source of chance, instead of the seed. */
  random?: Random
}

function checkMix(mix: RandomFaultsOptions['mix']): void {
  if (!Array.isArray(mix)) throw invalidOption('mix', 'an array of [probability, fault]', mix)
  for (const [probability] of mix) checkNumber('probability', probability)
  const total = mix.reduce((sum, [probability]) => sum + probability, 0)
  // Ten times 0.1 is a little less or more than 1.
  if (total > 1 + 1e-9) throw invalidOption('the sum of the probabilities', 'at most 1', total)
}

/**
 * Faults by chance, repeatable by a seed.
 *
 * @example faultServer({ faults: randomFaults({ seed: 7, mix: [[0.1, status(503)], [0.05, resetAfter()]] }) })
 */
export function randomFaults(options: RandomFaultsOptions): FaultSource {
  checkKeys('randomFaults', options, ['mix', 'seed', 'by', 'random'])
  const { mix, seed = 1, by = 'arrival' } = options
  checkMix(mix)
  checkOneOf('by', by, ['arrival', 'identity'])
  if (options.random !== undefined) checkFunction('random', options.random)
  const random = options.random ?? seededRandom(seed)
  return (request) => {
    const drawn = by === 'identity' ? seededRandom(seed, request.identity, request.attempt)() : random()
    return pick(mix, drawn)
  }
}

/** The fault at `drawn` when all of them are laid end to end in [0, 1). */
export function pick(mix: RandomFaultsOptions['mix'], drawn: number): Fault | undefined {
  let below = 0
  return mix.find(([probability]) => drawn < (below += probability))?.[1]
}
