import type { ResponseHead } from './answer.ts'
import { SERVER_DEFAULTS } from './defaults.ts'
import type { Ending, ReleaseRule } from './options.ts'

const RELEASED: ReadonlySet<number> = new Set(SERVER_DEFAULTS.releasedStatuses)

/**
 * Whether an ending gives the key back. The engine can't see where effects begin, so a handler that says so with
 * `began()` has everything saved, and for the others the status decides.
 */
export function releasesKey(
  custom: ReleaseRule | undefined,
  response: ResponseHead,
  ending: Ending,
): boolean {
  const byDefault = !ending.began && (ending.threw || RELEASED.has(response.status))
  if (custom === undefined) return byDefault
  try {
    const released: unknown = custom({ status: response.status, headers: response.headers }, ending)
    if (typeof released === 'boolean') return released
    // Code without types may answer with a promise: it comes too late, whatever comes of it.
    if (released instanceof Promise) released.catch(() => {})
  } catch {
    // As below.
  }
  // The operation is over and has to be settled somehow: as if there were no rule.
  return byDefault
}
