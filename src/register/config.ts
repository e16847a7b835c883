import type { FetchOptions } from '../client/options.ts'
import { merge } from '../client/settings/merge.ts'

/** What `holdfast.config.{js,ts,json}` has: the options of `createFetch`, and whether to report at the end. */
export interface RegisterConfig extends Omit<FetchOptions, 'fetch'> {
  /** Says on standard error, when the process ends, what was done. Default false. */
  report?: boolean
}

/**
 * No keys, since most APIs ignore them and they protect nobody there; no limit for an attempt, since a process may well
 * wait longer for somebody's answer than an SDK that was made for it.
 */
export const REGISTER_DEFAULTS: RegisterConfig = {
  idempotency: { honoredBy: [] },
  timeout: { attemptMs: false },
  report: false,
}

const ALL_OFF = { attemptMs: false, totalMs: false } as const

/**
 * Part by part: what comes later overrules single fields, and `false` a whole part; `undefined` overrules nothing. Who turns
 * one timeout on where all were off has asked for no other.
 */
export function merged(...configs: readonly RegisterConfig[]): RegisterConfig {
  return configs.reduce((all, each) => {
    const isTurnedOn = all.timeout === false && typeof each.timeout === 'object'
    return merge(isTurnedOn ? { ...all, timeout: ALL_OFF } : all, each)
  }, {})
}
