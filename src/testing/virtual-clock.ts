import { haveAllCode } from '../client/all-code.ts'
import type { Clock, ScheduleOptions, Timer } from '../primitives/clock.ts'
import { checkNumber, checkOptions } from '../primitives/validate.ts'

export interface VirtualClockOptions {
  /** Where the monotonic time starts, in ms. Default 0. */
  nowMs?: number
  /** Where the wall clock starts, in ms since the epoch. Default 2026-01-01T00:00:00Z. */
  wallNowMs?: number
}

/** A clock that stands still until it is told to move. */
export interface VirtualClock extends Clock {
  /** How many waits have not ended. */
  readonly pending: number
  /** The delays of the waits that have not ended, as they were asked for, soonest first. */
  readonly pendingDelaysMs: readonly number[]
  /** Moves on by `ms`, ending every wait that falls due, in order; what they set off runs before the next one ends. */
  advance(ms: number): Promise<void>
  /** Moves on until nothing waits; gives up with an error after `limit` (default 10,000) waits. */
  runAll(limit?: number): Promise<void>
  /** Lets the wall clock jump, as a time server or a sleeping laptop does; the monotonic time stays. */
  jumpWall(ms: number): void
  /** Lets everything that needs no time run. */
  settle(): Promise<void>
}

interface Wait {
  readonly dueMs: number
  readonly delayMs: number
  readonly order: number
  readonly callback: () => void
}

/**
 * Time for tests: `await clock.advance(1000)` makes a second pass at once.
 *
 * @example
 * const clock = virtualClock()
 * const fetch = createFetch({ clock, fetch: flaky })
 * const response = fetch(url)
 * await clock.advance(15_000)
 * await response
 */
export function virtualClock(options: VirtualClockOptions = {}): VirtualClock {
  checkOptions('virtualClock', options, { nowMs: checkNumber, wallNowMs: checkNumber })
  haveAllCode()
  return new ManualClock(options.nowMs ?? 0, options.wallNowMs ?? Date.UTC(2026, 0, 1))
}

class ManualClock implements VirtualClock {
  #nowMs: number
  #wallOffsetMs: number
  #order = 0
  readonly #waits = new Set<Wait>()

  constructor(nowMs: number, wallNowMs: number) {
    this.#nowMs = nowMs
    this.#wallOffsetMs = wallNowMs - nowMs
  }

  now(): number {
    return this.#nowMs
  }

  wallNow(): number {
    return this.#nowMs + this.#wallOffsetMs
  }

  schedule(callback: () => void, delayMs: number, _options?: ScheduleOptions): Timer {
    const wait: Wait = { callback, delayMs, dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++ }
    this.#waits.add(wait)
    return { cancel: () => void this.#waits.delete(wait) }
  }

  get pending(): number {
    return this.#waits.size
  }

  get pendingDelaysMs(): number[] {
    return this.#sorted().map((wait) => wait.delayMs)
  }

  async advance(ms: number): Promise<void> {
    checkNumber('virtualClock.advance', ms)
    const endMs = this.#nowMs + ms
    await this.settle()
    for (let wait = this.#sorted()[0]; wait !== undefined && wait.dueMs <= endMs; wait = this.#sorted()[0]) {
      await this.#end(wait)
    }
    // Somebody else may have moved it on meanwhile: it never goes back.
    this.#nowMs = Math.max(this.#nowMs, endMs)
    await this.settle()
  }

  async runAll(limit = 10_000): Promise<void> {
    await this.settle()
    for (let ended = 0; this.#waits.size > 0; ended++) {
      if (ended === limit) throw new Error(`virtualClock: still waiting after ${limit} waits`)
      const wait = this.#sorted()[0]
      if (wait !== undefined) await this.#end(wait)
    }
  }

  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms
  }

  /** A macrotask: every promise reaction that is ready has run by then, however long its chain. */
  settle(): Promise<void> {
    return new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel()
      port1.addEventListener('message', () => {
        port1.close()
        resolve()
      })
      port1.start()
      port2.postMessage(undefined)
    })
  }

  async #end(wait: Wait): Promise<void> {
    this.#waits.delete(wait)
    this.#nowMs = Math.max(this.#nowMs, wait.dueMs)
    wait.callback()
    await this.settle()
  }

  #sorted(): Wait[] {
    return [...this.#waits].toSorted((a, b) => a.dueMs - b.dueMs || a.order - b.order)
  }
}
