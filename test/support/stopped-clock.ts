import type { Clock } from '../../src/primitives/clock.ts'
import { virtualClock } from '../../src/testing/index.ts'

export interface StoppedClock extends Clock {
  /** Moves on as a clock that runs. */
  advance(ms: number): Promise<void>
  /** The process is stopped for as long, by a signal or with its laptop: then all that is due goes off, in order, but late. */
  stop(ms: number): Promise<void>
}

export function stoppedClock(): StoppedClock {
  const inner = virtualClock()
  let wokeMs = 0
  const now = (): number => Math.max(wokeMs, inner.now())
  return {
    now,
    wallNow: () => inner.wallNow() + now() - inner.now(),
    schedule: (callback, delayMs, options) =>
      inner.schedule(callback, now() - inner.now() + delayMs, options),
    advance: (ms) => inner.advance(ms),
    stop(ms) {
      wokeMs = now() + ms
      return inner.advance(ms)
    },
  }
}
