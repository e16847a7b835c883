import type { Clock } from '../primitives/clock.ts'
import { settledValue } from '../primitives/settled.ts'
import { within } from '../primitives/within.ts'

const FIRST_WAIT_MS = 20
const LONGEST_WAIT_MS = 250

/** Settles as `work()` does, but within `timeoutMs`: see `within`. */
export function withTimeout<T>(
  clock: Clock,
  timeoutMs: number,
  work: () => Promise<T>,
  late?: () => Error,
): Promise<T> {
  return within(clock, timeoutMs, attempted(work), late)
}

/** A store of the application's own may throw synchronously, or return another kind of promise. */
function attempted<T>(work: () => Promise<T>): Promise<T> {
  try {
    const working = work()
    return working instanceof Promise ? working : Promise.resolve(working)
  } catch (error) {
    // oxlint-disable-next-line promise/prefer-promise-reject-errors -- passed on as it came
    return Promise.reject(error)
  }
}

/**
 * Tries `work` until it succeeds or `totalMs` have passed, then rejects with the last error. One attempt gets half of
 * the time at most, so that there is a second one when an answer gets lost. A store in this process answers
 * synchronously (`settled`), and then neither a timer nor a promise is made (saves 1.3 us a call).
 */
export function withRetries<T>(
  clock: Clock,
  totalMs: number,
  work: () => Promise<T>,
  onFailure: (error: unknown) => void,
): T | Promise<T> {
  const first = attempted(work)
  const known = settledValue(first)
  return known === undefined ? retried(clock, totalMs, first, work, onFailure) : known.value
}

async function retried<T>(
  clock: Clock,
  totalMs: number,
  first: Promise<T>,
  work: () => Promise<T>,
  onFailure: (error: unknown) => void,
): Promise<T> {
  const deadlineMs = clock.now() + totalMs
  let working = first
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    const attemptMs = Math.min(totalMs / 2, deadlineMs - clock.now())
    try {
      return await within(clock, attemptMs, working)
    } catch (error) {
      onFailure(error)
      if (clock.now() + waitMs >= deadlineMs) throw error
    }
    await new Promise<void>((resolve) => {
      clock.schedule(resolve, waitMs, { keepAlive: true })
    })
    working = attempted(work)
  }
}
