import { DEFAULTS } from '../../defaults.ts'
import { withDefaults } from '../../options.ts'
import { checkKeys, checkPositive } from '../../validate.ts'
import type { FetchTimeoutOptions } from '../options.ts'

/** In ms; `undefined` where there is no limit. */
export interface TimeoutSettings {
  readonly attemptMs: number | undefined
  readonly totalMs: number | undefined
  readonly bodyIdleMs: number | undefined
}

export const NO_TIMEOUTS: TimeoutSettings = {
  attemptMs: undefined,
  totalMs: undefined,
  bodyIdleMs: undefined,
}

export function timeoutSettings(options: FetchTimeoutOptions): TimeoutSettings {
  checkKeys('timeout', options, Object.keys(DEFAULTS.timeout))
  const all = withDefaults<Required<FetchTimeoutOptions>>(DEFAULTS.timeout, options)
  return {
    attemptMs: limit('timeout.attemptMs', all.attemptMs),
    totalMs: limit('timeout.totalMs', all.totalMs),
    bodyIdleMs: limit('timeout.bodyIdleMs', all.bodyIdleMs),
  }
}

function limit(name: string, value: number | false): number | undefined {
  if (value === false) return undefined
  checkPositive(name, value)
  return value
}
