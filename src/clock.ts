/** A wait that has not ended yet. */
export interface Timer {
  cancel(): void
}

export interface ScheduleOptions {
  /** Whether the wait keeps a Node process alive. Default `false`: a backoff does, a mere timeout does not. */
  keepAlive?: boolean
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
    if (!this.#keepAlive) unref(this.#handle)
  }
}

/** Only Node's and Bun's timers hold their process; elsewhere a handle is a number. */
function unref(handle: unknown): void {
  if (
    typeof handle === 'object' &&
    handle !== null &&
    'unref' in handle &&
    typeof handle.unref === 'function'
  ) {
    handle.unref()
  }
}

// oxlint-disable-next-line no-restricted-properties -- as above
const wallNow = (): number => Date.now()

/** React Native has no `performance` in older versions: then the wall clock, never backwards. */
function monotonicWallClock(): () => number {
  let latest = 0
  return () => (latest = Math.max(latest, wallNow()))
}

// oxlint-disable-next-line no-restricted-globals -- as above
const monotonic: Performance | undefined = globalThis.performance

/** The platform's own time. */
export const systemClock: Clock = {
  now: monotonic === undefined ? monotonicWallClock() : () => monotonic.now(),
  wallNow,
  schedule: (callback, delayMs, options) => new SystemTimer(callback, delayMs, options?.keepAlive ?? false),
}
