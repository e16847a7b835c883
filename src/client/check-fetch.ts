import { invalidOption } from '../primitives/validate.ts'
import type { HoldfastFetch } from './options.ts'

/**
 * Refuses any fetch but one that `createFetch` has made, of whichever copy of the package.
 *
 * @throws {HoldfastError} ERR_INVALID_OPTION
 */
export function checkFetch(name: string, fetch: unknown): asserts fetch is HoldfastFetch {
  const isOurs = typeof fetch === 'function' && typeof Reflect.get(fetch, 'observe') === 'function'
  if (!isOurs) throw invalidOption(`what ${name}() is given`, 'a fetch that createFetch has made', fetch)
}
