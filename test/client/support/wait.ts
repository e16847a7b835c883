import type { TestClock } from './clock.ts'

/** How often a wait looks before it gives up: seconds, on a machine that is busy. */
const LOOKS = 2000

/** A moment of real time: long enough for bytes to cross the loopback. */
export function tick(ms = 2): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms))
}

/** Lets sockets move until `condition` holds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let look = 0; look < LOOKS; look++) {
    if (condition()) return
    await tick()
  }
  throw new Error(`never happened: ${condition.toString()}`)
}

/**
 * Waits for `work`, skipping every deliberate wait on `clock` as it begins. Timeouts do not run out meanwhile, except
 * where such a wait is longer.
 */
export async function finish<T>(clock: TestClock, work: Promise<T>): Promise<T> {
  let settled = false
  const ended = work.finally(() => (settled = true))
  // It is looked at below, later than the process would call it unhandled.
  ended.catch(() => {})
  for (let look = 0; look < LOOKS; look++) {
    await clock.settle()
    if (settled) return ended
    const { wakeInMs } = clock
    if (wakeInMs === undefined) await tick(1)
    else await clock.advance(wakeInMs)
  }
  throw new Error('the call has not ended')
}

/** What `work` rejects with; a failure of the test where it resolves. */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  let value: unknown
  try {
    value = await work
  } catch (error) {
    return error
  }
  throw new Error(`expected a rejection, got ${String(value)}`)
}
