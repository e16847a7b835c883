import type { Clock } from '../../primitives/clock.ts'

export interface AdaptiveLimitSettings {
  readonly initialLimit: number
  readonly minLimit: number
  readonly maxLimit: number
  readonly tolerance: number
}

/** What is kept of an execution while it runs. */
export interface Started {
  readonly atMs: number
  readonly window: Window
}

/** How an execution ended: its latency tells of the load, or the load has cut it off. */
export type Ended = 'measured' | 'overloaded'

/** The fewest executions whose average says something. */
const WINDOW_EXECUTIONS = 20
/** Below it clocks differ more than services: some browsers show whole milliseconds only. */
const SHORTEST_MS = 1
/** The weight of a new average in the long-term one. */
const LEARNING = 0.5
/** How much of the way to a new limit is gone at once. */
const SMOOTHING = 0.5
/** A new limit is at least this much of the old one, however long everything takes. */
const STEEPEST = 0.5
/** Windows in which the limit was reached, from one probe to the next. */
const PROBE_EVERY = 20
/** The same while what is known of the unloaded latency is in doubt. */
const PROBE_IN_DOUBT = 5
/** A probe that differs by this factor from what was known leaves it in doubt; so does a window by the next one. */
const DOUBTFUL_PROBE = 1.5
const DOUBTFUL_WINDOW = 2

/**
 * How many executions a service can bear at once, found out from how long they take. A gradient limiter like Gradient2
 * of Netflix' concurrency-limits: the average latency of a window is compared with the long-term average of the
 * unloaded service. What is longer than that, and a tolerance, is a queue at the service, and the limit shrinks by as
 * much; an allowance of its square root lets it grow.
 *
 * Two things differ. Gradient2 averages all latencies, so under lasting load the average follows the queue, and the
 * limit follows the average. Here it is taken only where this client makes little load: while less than half of the
 * limit is in use, and in probes, windows with half the limit (BBR and Envoy measure in probes, too). And Gradient2
 * ignores what was cut off; here its share shrinks the limit, as in DCTCP (RFC 8257, 3.3).
 */
export class AdaptiveLimit {
  readonly #settings: AdaptiveLimitSettings
  readonly #clock: Clock
  #exact: number
  /** The long-term average. */
  #unloadedMs: number | undefined
  #window = new Window(false)
  #windowsToProbe = PROBE_IN_DOUBT

  constructor(settings: AdaptiveLimitSettings, clock: Clock) {
    this.#settings = settings
    this.#clock = clock
    this.#exact = settings.initialLimit
  }

  /** A whole number; half of the limit during a probe. */
  get limit(): number {
    if (!this.#window.isProbe) return Math.floor(this.#exact)
    return Math.max(this.#settings.minLimit, Math.floor(this.#exact / 2))
  }

  /** An execution begins; it is among the `running` ones. */
  start(running: number): Started {
    this.#window.peak = Math.max(this.#window.peak, running)
    return { atMs: this.#clock.now(), window: this.#window }
  }

  end({ atMs, window }: Started, ended: Ended): void {
    // What began in an earlier window tells of another limit.
    if (window !== this.#window) return
    if (ended === 'overloaded') window.overloaded++
    else window.measure(this.#clock.now() - atMs)
    if (window.size >= Math.max(WINDOW_EXECUTIONS, this.limit)) this.#close(window)
  }

  #close(window: Window): void {
    const isReached = window.peak >= this.limit
    this.#scheduleProbe(window, isReached)
    this.#adjust(window, isReached)
    this.#window = new Window(this.#windowsToProbe <= 0)
  }

  /** Only where the limit is reached: a probe should refuse nobody who would find a place otherwise. */
  #scheduleProbe({ isProbe, averageMs }: Window, isReached: boolean): void {
    const factor = this.#differenceTo(averageMs)
    if (isProbe) this.#windowsToProbe = factor > DOUBTFUL_PROBE ? PROBE_IN_DOUBT : PROBE_EVERY
    else if (isReached) {
      const most = factor > DOUBTFUL_WINDOW ? PROBE_IN_DOUBT : PROBE_EVERY
      this.#windowsToProbe = Math.min(this.#windowsToProbe, most) - 1
    }
  }

  #adjust({ isProbe, peak, averageMs, overloadedShare }: Window, isReached: boolean): void {
    const isUnloaded = isProbe || peak <= this.#exact / 2
    const gradient = isUnloaded ? 1 : this.#gradient(averageMs)
    if (averageMs !== undefined && (isUnloaded || this.#isOutdated(averageMs))) this.#learn(averageMs)
    const grows = isReached && !isProbe && overloadedShare === 0
    const allowance = grows ? Math.sqrt(this.#exact) : 0
    this.#moveTo(this.#exact * gradient * (1 - overloadedShare / 2) + allowance)
  }

  #gradient(averageMs: number | undefined): number {
    if (averageMs === undefined || this.#unloadedMs === undefined) return 1
    return Math.max(STEEPEST, Math.min(1, (this.#settings.tolerance * this.#unloadedMs) / averageMs))
  }

  /** A loaded service that is much faster than the unloaded one was: that was long ago, or there is none yet. */
  #isOutdated(averageMs: number): boolean {
    return this.#unloadedMs === undefined || this.#unloadedMs > averageMs * DOUBTFUL_WINDOW
  }

  #learn(averageMs: number): void {
    const knownMs = this.#unloadedMs ?? averageMs
    this.#unloadedMs = knownMs + (averageMs - knownMs) * LEARNING
  }

  /** By which factor an average is above or below the long-term one. */
  #differenceTo(averageMs: number | undefined): number {
    const knownMs = this.#unloadedMs
    if (averageMs === undefined || knownMs === undefined) return Infinity
    return Math.max(averageMs, knownMs) / Math.min(averageMs, knownMs)
  }

  #moveTo(target: number): void {
    const { minLimit, maxLimit } = this.#settings
    const moved = this.#exact + (target - this.#exact) * SMOOTHING
    this.#exact = Math.max(minLimit, Math.min(maxLimit, moved))
  }
}

/** What has been seen since the limit was last set. */
class Window {
  readonly isProbe: boolean
  /** The most executions at once. */
  peak = 0
  overloaded = 0
  #measured = 0
  #sumMs = 0

  constructor(isProbe: boolean) {
    this.isProbe = isProbe
  }

  get size(): number {
    return this.#measured + this.overloaded
  }

  get overloadedShare(): number {
    return this.overloaded / this.size
  }

  get averageMs(): number | undefined {
    return this.#measured === 0 ? undefined : this.#sumMs / this.#measured
  }

  measure(latencyMs: number): void {
    this.#measured++
    this.#sumMs += Math.max(SHORTEST_MS, latencyMs)
  }
}
