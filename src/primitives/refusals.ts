import { RefusedError } from './errors.ts'

/** Refused without an attempt, since as many as allowed are under way and as many as allowed wait. */
export class BulkheadFullError extends RefusedError {
  constructor(key: string, message: string, options?: ErrorOptions) {
    super('BulkheadFullError', 'ERR_BULKHEAD_FULL', key, message, options)
  }
}

/** Refused without an attempt, since the service has been rejecting more than it accepts. */
export class ThrottledError extends RefusedError {
  constructor(key: string, message: string, options?: ErrorOptions) {
    super('ThrottledError', 'ERR_THROTTLED', key, message, options)
  }
}

/** Refused without an attempt, since the quota that the service announced is used up for longer than may be waited. */
export class RateLimitedError extends RefusedError {
  /** When there will be quota again. */
  readonly retryAfterMs: number

  constructor(key: string, retryAfterMs: number, options?: ErrorOptions) {
    super(
      'RateLimitedError',
      'ERR_RATE_LIMITED',
      key,
      `the quota of "${key}" is used up for another ${Math.ceil(retryAfterMs)} ms`,
      options,
    )
    this.retryAfterMs = retryAfterMs
  }
}
