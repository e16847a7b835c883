import { systemClock, type Clock, type ScheduleOptions, type Timer } from '../../primitives/clock.ts'

const TICK_MS = 1

/** The most that passes from one turn of the event loop to the next, in ms of this clock. */
const LONGEST_STEP_MS = 50

/** About as long as platforms allow; it is never waited for. */
const VERY_LONG_MS = 2 ** 31 - 1

interface Wait {
  readonly dueMs: number
  readonly order: number
  readonly keepAlive: boolean
  readonly callback: () => void
}

/**
 * Real time, up to `factor` times as fast: at 20, a wait of a second takes a twentieth. Policies that run on it keep
 * their settings, and wait accordingly less.
 *
 * A machine that can't keep up gets the time it needs: a busy event loop slows this clock down, where any other clock
 * would run on and let every timeout pass before the work is done.
 */
export function scaledClock(factor: number, base: Clock = systemClock): Clock {
  return new ScaledClock(factor, base)
}

class ScaledClock implements Clock {
  readonly #factor: number
  readonly #base: Clock
  readonly #wallOffsetMs: number
  readonly #waits = new Set<Wait>()
  #nowMs: number
  #tickedMs: number
  #order = 0
  #keptAlive = 0
  #anchor: Timer | undefined

  constructor(factor: number, base: Clock) {
    this.#factor = factor
    this.#base = base
    this.#nowMs = base.now()
    this.#tickedMs = base.now()
    this.#wallOffsetMs = base.wallNow() - base.now()
    this.#arm()
  }

  now(): number {
    return this.#nowMs
  }

  wallNow(): number {
    return this.#nowMs + this.#wallOffsetMs
  }

  schedule(callback: () => void, delayMs: number, options?: ScheduleOptions): Timer {
    const keepAlive = options?.keepAlive === true
    const wait = { callback, keepAlive, dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++ }
    this.#waits.add(wait)
    if (keepAlive) this.#hold(1)
    return { cancel: () => void this.#take(wait) }
  }

  /** Ticks don't keep the process alive. */
  #arm(): void {
    this.#base.schedule(() => this.#tick(), TICK_MS)
  }

  #tick(): void {
    this.#arm()
    const realMs = this.#base.now()
    this.#nowMs += Math.min((realMs - this.#tickedMs) * this.#factor, LONGEST_STEP_MS)
    this.#tickedMs = realMs
    const due = [...this.#waits].filter(({ dueMs }) => dueMs <= this.#nowMs)
    for (const wait of due.toSorted((a, b) => a.dueMs - b.dueMs || a.order - b.order)) {
      if (this.#take(wait)) wait.callback()
    }
  }

  /** `false` for a wait that has ended or was cancelled before. */
  #take(wait: Wait): boolean {
    if (!this.#waits.delete(wait)) return false
    if (wait.keepAlive) this.#hold(-1)
    return true
  }

  /** One timer of the base holds the process for all waits that ask for it. */
  #hold(change: 1 | -1): void {
    this.#keptAlive += change
    if (this.#keptAlive === 0) {
      this.#anchor?.cancel()
      this.#anchor = undefined
    } else this.#anchor ??= this.#base.schedule(() => {}, VERY_LONG_MS, { keepAlive: true })
  }
}
