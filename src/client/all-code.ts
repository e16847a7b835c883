import * as extras from './extras.ts'
import { EXTRAS } from './optional-policies.ts'

/** Has all code there at once: where time stands still, nothing can be waited for but time. */
export function haveAllCode(): void {
  EXTRAS.loaded = extras
}
