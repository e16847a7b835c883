import { CLIENT_DEFAULTS } from './client-defaults.ts'

const OTHER_DEFAULTS = {
  throttle: {
    ratio: 2,
    windowMs: 120_000,
    minimumRequests: 10,
  },
  concurrencyLimit: {
    initialLimit: 20,
    minLimit: 1,
    maxLimit: 200,
    maxQueued: 0,
    tolerance: 1.5,
  },
} as const

/**
 * Every default of the client half, in one place: code, docs and tests read it. Durations are milliseconds.
 */
export const DEFAULTS: typeof CLIENT_DEFAULTS & typeof OTHER_DEFAULTS = {
  ...CLIENT_DEFAULTS,
  ...OTHER_DEFAULTS,
}
