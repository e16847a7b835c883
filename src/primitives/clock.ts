import { onWorkers } from './on-workers.ts'

/** A wait that has not ended yet. */
export interface Timer {
  cancel(): void
}

export interface ScheduleOptions {
  /** Whether the wait keeps a Node process alive. Default `false`: a backoff does, a mere timeout does not. */
  keepAlive?: boolean
  /**
   * When that will be, in `now()` terms, from who is done with the timer once it has cancelled it. The clock may then
   * serve one call after the other by one timer of the platform's, and `callback` run in the async context of another:
   * none where a listener is told.
   */
  dueMs?: number | undefined
}

/**
 * Where every part takes its time from, so that tests and simulations run on a virtual one.
 * All values are milliseconds.
 */
export interface Clock {
  /** Monotonic time: it never jumps, its zero means nothing. */
  now(): number
  /** Time since the Unix epoch; it can jump, so only dates and the key window read it. */
  wallNow(): number
  /** Calls `callback` once after `delayMs`, at any length: no overflow to an instant timer. */
  schedule(callback: () => void, delayMs: number, options?: ScheduleOptions): Timer
}

/** Platforms keep timer delays in 32 bits; a longer one fires after 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

class SystemTimer implements Timer {
  // oxlint-disable-next-line no-restricted-globals -- this is the one file that owns the platform's timers
  #handle: ReturnType<typeof setTimeout> | undefined
  /** Whether a process may end before it. */
  isFree = false
  readonly #callback: () => void
  readonly #keepAlive: boolean
  #remainingMs: number

  constructor(callback: () => void, delayMs: number, keepAlive: boolean) {
    this.#callback = callback
    this.#keepAlive = keepAlive
    this.#remainingMs = Math.max(0, delayMs)
    this.#arm()
  }

  cancel(): void {
    // oxlint-disable-next-line no-restricted-globals -- as above
    clearTimeout(this.#handle)
  }

  #arm(): void {
    const sliceMs = Math.min(this.#remainingMs, LONGEST_TIMER_MS)
    this.#remainingMs -= sliceMs
    // oxlint-disable-next-line no-restricted-globals -- as above
    this.#handle = setTimeout(() => (this.#remainingMs > 0 ? this.#arm() : this.#callback()), sliceMs)
    if (!this.#keepAlive) this.isFree = unref(this.#handle)
  }
}

/** Only Node's and Bun's timers hold their process; elsewhere a handle is a number. @returns whether it is one of those. */
function unref(handle: unknown): boolean {
  const timer = Object(handle) as { unref?(): void }
  timer.unref?.()
  return 'unref' in timer
}

/** Timers that calls which ended in time have left armed: the next calls take them over, which saves 300 of 340 ns each. */
const spares: SpareTimer[] = []

/** Further ones are cancelled. */
const MOST_SPARES = 100

class SpareTimer implements Timer {
  #timer: SystemTimer | undefined
  #armedMs = Infinity
  #dueMs = Infinity
  #callback: (() => void) | undefined
  #isTaken = false

  start(callback: () => void, dueMs: number): this {
    this.#isTaken = true
    this.#callback = callback
    this.#dueMs = dueMs
    if (dueMs < this.#armedMs) this.#arm()
    return this
  }

  cancel(): void {
    if (!this.#isTaken) return
    this.#isTaken = false
    this.#callback = undefined
    if (this.#timer?.isFree && spares.length < MOST_SPARES) spares.push(this)
    else this.#timer?.cancel()
  }

  #arm(): void {
    this.#timer?.cancel()
    this.#armedMs = this.#dueMs
    // Platforms count whole milliseconds: too late is right where too early is not.
    this.#timer = new SystemTimer(() => this.#goOff(), Math.ceil(this.#dueMs - systemClock.now()), false)
  }

  /** Who has taken over what was armed for another waits longer. */
  #goOff(): void {
    const isEarly = this.#armedMs < this.#dueMs
    const callback = this.#callback
    this.#armedMs = Infinity
    if (!callback) return
    if (isEarly) return this.#arm()
    // It stays its owner's until that cancels it: who has it twice in hand would cancel another's wait.
    callback()
  }
}

// oxlint-disable-next-line no-restricted-properties -- as above
const wallNow = (): number => Date.now()

/** React Native has no `performance` in older versions: then the wall clock, never backwards. */
function monotonicWallClock(): () => number {
  let latest = 0
  return () => (latest = Math.max(latest, wallNow()))
}

// Fake timers take the place of the platform's; those of Jest put another `performance` in its place, too.
// oxlint-disable-next-line no-restricted-globals -- as above
const platformTime: Performance | undefined = globalThis.performance
// oxlint-disable-next-line no-restricted-globals -- as above
const platformTimer = setTimeout

/** On workers a request's timers are its own. To ask each time takes 17 ns. */
const areShared = !onWorkers()

/** The platform's own time. */
export const systemClock: Clock = {
  now: platformTime
    ? // The global one takes 15 of 40 ns longer.
      // oxlint-disable-next-line no-restricted-globals -- as above
      () => (setTimeout === platformTimer ? platformTime : performance).now()
    : monotonicWallClock(),
  wallNow,
  schedule: (callback, delayMs, { keepAlive = false, dueMs } = {}) =>
    // oxlint-disable-next-line no-restricted-globals -- as above
    dueMs !== undefined && areShared && setTimeout === platformTimer
      ? (spares.pop() ?? new SpareTimer()).start(callback, dueMs)
      : new SystemTimer(callback, delayMs, keepAlive),
}
