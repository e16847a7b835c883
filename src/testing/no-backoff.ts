import { systemClock, type Clock } from '../primitives/clock.ts'

/** `keepAlive` tells backoffs from timeouts: only a deliberate wait keeps the process alive. */
const impatientClock: Clock = {
  now: () => systemClock.now(),
  wallNow: () => systemClock.wallNow(),
  schedule: (callback, delayMs, options) =>
    systemClock.schedule(callback, options?.keepAlive === true ? 0 : delayMs, options),
}

/**
 * "No backoff in tests": spread it into the options of a client or a policy, and every wait between attempts ends at
 * once, a `Retry-After` included. Nothing else changes: the number of attempts, the delays that events and `outcomeOf`
 * tell, timeouts and the time a circuit stays open are those of the real configuration.
 *
 * @example
 * const fetch = createFetch({ ...noBackoff, retry: { maxRetries: 2 } })
 */
export const noBackoff: { readonly clock: Clock } = { clock: impatientClock }
