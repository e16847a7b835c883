import type { FetchOptions } from '../client/options.ts'
import { merge } from '../client/settings/merge.ts'

/** What `holdfast.config.{js,ts,json}` has: the options of `createFetch`, and whether to report at the end. */
export interface RegisterConfig extends Omit<FetchOptions, 'fetch'> {
  /** Says on standard error, when the process ends, what was done. Default false. */
  report?: boolean
}

/**
 * No keys, since most APIs ignore them, where they protect nobody. No attempt timeout, since an SDK that knows its API may
 * allow an answer more time than a default for all.
 */
export const REGISTER_DEFAULTS: RegisterConfig = {
  idempotency: { honoredBy: [] },
  timeout: { attemptMs: false },
  report: false,
}

const ALL_OFF = { attemptMs: false, totalMs: false } as const

/**
 * Merges configurations field by field. A later one overrides an earlier one; `false` overrides a whole part, `undefined`
 * nothing. Where all timeouts were off, turning one on leaves the other off.
 */
export function merged(...configs: readonly RegisterConfig[]): RegisterConfig {
  return configs.reduce((all, each) => {
    const isTurnedOn = all.timeout === false && typeof each.timeout === 'object'
    return merge(isTurnedOn ? { ...all, timeout: ALL_OFF } : all, each)
  }, {})
}
