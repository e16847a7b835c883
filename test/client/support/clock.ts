import type { Clock, ScheduleOptions, Timer } from '../../../src/primitives/clock.ts'
import { virtualClock, type VirtualClock } from '../../../src/testing/index.ts'

/** A virtual clock that tells the deliberate waits (backoff, Retry-After, a parked call) from mere timeouts. */
export interface TestClock extends VirtualClock {
  /** The length of every deliberate wait so far, in order. */
  readonly sleeps: readonly number[]
  /** When the next deliberate wait ends, counted from now; `undefined` while nobody waits on purpose. */
  readonly wakeInMs: number | undefined
}

/** Waits as the code under test asks for them: those that keep a process alive are the deliberate ones. */
export function testClock(): TestClock {
  const inner = virtualClock()
  const sleeps: number[] = []
  const wakeTimes = new Set<{ atMs: number }>()
  const schedule: Clock['schedule'] = (callback, delayMs, options?: ScheduleOptions): Timer => {
    if (options?.keepAlive !== true) return inner.schedule(callback, delayMs, options)
    const wake = { atMs: inner.now() + delayMs }
    wakeTimes.add(wake)
    sleeps.push(delayMs)
    const timer = inner.schedule(() => (wakeTimes.delete(wake), callback()), delayMs, options)
    return { cancel: () => (wakeTimes.delete(wake), timer.cancel()) }
  }
  return {
    schedule,
    sleeps,
    get wakeInMs() {
      return wakeTimes.size === 0
        ? undefined
        : Math.min(...[...wakeTimes].map(({ atMs }) => atMs)) - inner.now()
    },
    get pending() {
      return inner.pending
    },
    get pendingDelaysMs() {
      return inner.pendingDelaysMs
    },
    now: () => inner.now(),
    wallNow: () => inner.wallNow(),
    advance: (ms) => inner.advance(ms),
    runAll: (limit) => inner.runAll(limit),
    jumpWall: (ms) => inner.jumpWall(ms),
    settle: () => inner.settle(),
  }
}
