import type { FetchOptions } from '../client/options.ts'

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

/** Part by part: what comes later overrules single fields, and `false` a whole part. */
export function merged(...configs: readonly RegisterConfig[]): RegisterConfig {
  const result: Record<string, unknown> = {}
  for (const config of configs) {
    for (const [name, value] of Object.entries(config)) {
      const before = result[name]
      result[name] = isPart(before) && isPart(value) ? { ...before, ...value } : value
    }
  }
  return result
}

const isPart = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
