import type { ResponseHead } from './answer.ts'
import { SERVER_DEFAULTS } from './defaults.ts'

/** How a handler ended. */
export interface Ending {
  /** It threw; the response is then the 500 that would be saved. */
  readonly threw: boolean
  /** It called `began()`. */
  readonly began: boolean
}

/** Whether the key is given back, so that a retry runs the handler again; otherwise the response is saved. */
export type ReleaseRule = (response: Omit<ResponseHead, 'statusText'>, ending: Ending) => boolean

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
    // JavaScript may return a promise, which comes too late: only its rejection is silenced.
    if (released instanceof Promise) released.catch(() => {})
  } catch {
    // Falls back to the default, too.
  }
  // The operation is over and must be settled in any case: a rule that fails counts as none.
  return byDefault
}
