import { checkKeys, invalidOption } from '../../primitives/validate.ts'
import type { DerivedOptions, FetchOptions } from '../options.ts'

/** Options given later stand over those given before, part by part; `undefined` changes nothing, in a part neither. */
export function merge(base: FetchOptions, changes: DerivedOptions): FetchOptions
export function merge(base: object, changes: object): object
export function merge(base: object, changes: object): object {
  const merged: Record<string, unknown> = { ...base }
  for (const [name, change] of Object.entries(changes)) {
    if (change === undefined) continue
    const before = merged[name]
    // A cache is no list of options: another one takes its place.
    const isMerged = name !== 'cache' && isPlain(before) && isPlain(change)
    merged[name] = isMerged ? merge(before, change) : change
  }
  return merged
}

const isPlain = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Parts that hold state and can be switched off elsewhere, but not made anew: what they hold. */
const SHARED = { retryBudget: 'budgets', bulkhead: 'places', hedge: 'latencies' } as const

/** What is shared can only be set where it is made. */
export function checkDerived(name: string, options: DerivedOptions, known: readonly string[]): void {
  checkKeys(name, options, known)
  for (const [part, what] of Object.entries(SHARED)) {
    const given: unknown = Reflect.get(options, part)
    if (given) {
      throw invalidOption(
        `${name} ${part}`,
        `false, since ${what} are shared: set them in createFetch`,
        given,
      )
    }
  }
  const { circuitBreaker } = options
  // The others belong to the circuits, which are shared.
  if (circuitBreaker !== undefined && circuitBreaker !== false)
    checkKeys(`${name} circuitBreaker`, circuitBreaker, ['key', 'isFailure', 'whenOpen'])
}
