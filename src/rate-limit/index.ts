/**
 * Pacing by a service's own `RateLimit` fields, as a policy for `createFetch({ policies: [rateLimit()] })`.
 *
 * @module
 */
export { rateLimit, RATE_LIMIT_DEFAULTS, type RateLimitOptions } from './rate-limit.ts'
