import type { Clock } from '../clock.ts'

/** The store did not answer in time. */
export class StoreTimeoutError extends Error {
  override readonly name = 'StoreTimeoutError'

  constructor(timeoutMs: number) {
    super(`the store did not answer within ${timeoutMs} ms`)
  }
}

const FIRST_WAIT_MS = 20
const LONGEST_WAIT_MS = 250

/** Settles as `work()` does, but within `timeoutMs`; what comes later is dropped. */
export function bounded<T>(
  clock: Clock,
  timeoutMs: number,
  work: () => Promise<T>,
  late: () => Error = () => new StoreTimeoutError(timeoutMs),
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = clock.schedule(() => reject(late()), timeoutMs)
    const ended = (): void => timer.cancel()
    // Inside a promise chain, so that a synchronous throw is a rejection as well.
    Promise.resolve().then(work).then(resolve, reject).finally(ended)
  })
}

/**
 * Tries `work` until it succeeds or `totalMs` have passed, then rejects with the last error. One attempt may take half
 * of the time: an answer that got lost on the way leaves room to ask again.
 */
export async function persistently<T>(
  clock: Clock,
  totalMs: number,
  work: () => Promise<T>,
  onFailure: (error: unknown) => void,
): Promise<T> {
  const deadline = clock.now() + totalMs
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    const attemptMs = Math.min(totalMs / 2, deadline - clock.now())
    try {
      return await bounded(clock, attemptMs, work)
    } catch (error) {
      onFailure(error)
      if (clock.now() + waitMs >= deadline) throw error
    }
    await new Promise<void>((resolve) => {
      clock.schedule(resolve, waitMs, { keepAlive: true })
    })
  }
}
