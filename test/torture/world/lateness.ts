import type { Clock, Timer } from '../../../src/primitives/clock.ts'
import { TIMES } from '../settings.ts'

const TICK_MS = 25
/** What a tick adds to the mean. */
const WEIGHT = 0.1
/** A call to the store has half of its time for a try, passes through this process twice, and not only through this one. */
const TOO_LATE_MS = TIMES.storeTimeoutMs / 8

/** How late the timers of this process are, which has the crowd and every link in it: what the machine does not give it. */
export class Lateness {
  readonly #clock: Clock
  #timer: Timer | undefined
  #meanMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#tick()
  }

  /** No service could answer through such a process in time. */
  get isTooMuch(): boolean {
    return this.#meanMs > TOO_LATE_MS
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #tick(): void {
    const dueMs = this.#clock.now() + TICK_MS
    this.#timer = this.#clock.schedule(() => {
      this.#meanMs += WEIGHT * (this.#clock.now() - dueMs - this.#meanMs)
      this.#tick()
    }, TICK_MS)
  }
}
