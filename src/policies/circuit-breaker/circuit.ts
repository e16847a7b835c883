import type { Clock } from '../../clock.ts'
import type { HoldfastEvent } from '../../events.ts'
import { uniform, type Random } from '../../random.ts'
import { SlidingCounts } from '../../sliding-counts.ts'

export type CircuitState = 'closed' | 'open' | 'half-open' | 'isolated'

/** What an attempt says of the service's health. 'ignored' says nothing: the caller left, or nothing was sent. */
export type Verdict = 'success' | 'failure' | 'ignored'

/** The leave to make one attempt: the generation it belongs to, or `REFUSED`. */
export type Permit = number
export const REFUSED: Permit = 0

export interface CircuitSettings {
  /** The window over which failures are counted. */
  readonly windowMs: number
  /** The share of failures that opens the circuit. */
  readonly failureRate: number
  /** Fewer attempts in the window never open it. */
  readonly minimumCalls: number
  /** How long it stays open the first time; doubles with each failed test request. */
  readonly openMs: number
  readonly maxOpenMs: number
  /** How long a test request may take before it counts as failed. */
  readonly leaseMs: number
}

/** ±25 % on the open time, so that many clients do not test a service at the same moment. */
const OPEN_JITTER = 0.25

/** What the window counts. */
const SUCCESSES = 0
const FAILURES = 1

export type CircuitEvent = Extract<
  HoldfastEvent,
  { type: 'circuit-open' | 'circuit-half-open' | 'circuit-close' }
>

export interface CircuitParts {
  readonly settings: CircuitSettings
  readonly clock: Clock
  readonly random: Random
  /** Told of every change of state, after it. */
  readonly onChange: (event: CircuitEvent) => void
  /** A test request was called off before it could tell anything: another one may go. */
  readonly onProbeReturned: () => void
}

/**
 * The circuit breaker's state machine (Nygard, "Release It!", 2007), synchronous and without timers: time passing is
 * noticed when somebody asks.
 *
 * Each permit carries the generation it was given in, and a result counts only in that generation: an attempt that
 * began before the circuit opened says nothing about whether the service has recovered since.
 */
export class Circuit {
  readonly key: string
  readonly #parts: CircuitParts
  readonly #window: SlidingCounts
  #state: CircuitState = 'closed'
  #generation = 1
  /** How often in a row it has opened without closing: the exponent of the open time. */
  #openings = 0
  #openUntilMs = 0
  /** When the test request under way counts as failed; `undefined` while there is none. */
  #leaseUntilMs: number | undefined
  #inFlight = 0

  constructor(key: string, parts: CircuitParts) {
    this.key = key
    this.#parts = parts
    this.#window = new SlidingCounts(parts.settings.windowMs, 2)
  }

  /** An open circuit whose time has passed is still open: it is half-open once a test request is under way. */
  get state(): CircuitState {
    this.#expireLease(this.#parts.clock.now())
    return this.#state
  }

  /** Closed with nothing under way: may be forgotten. */
  get isIdle(): boolean {
    return this.#state === 'closed' && this.#inFlight === 0
  }

  /** When a rejected caller should come again. Of an isolated circuit nobody knows: `openMs`. */
  get retryAfterMs(): number {
    const { settings, clock } = this.#parts
    const nowMs = clock.now()
    if (this.#state === 'open') return Math.max(0, this.#openUntilMs - nowMs)
    if (this.#state === 'isolated') return settings.openMs
    const leaseMs = this.#leaseUntilMs === undefined ? 0 : this.#leaseUntilMs - nowMs
    return Math.max(0, Math.min(settings.openMs, leaseMs))
  }

  tryAcquire(): Permit {
    const nowMs = this.#parts.clock.now()
    this.#expireLease(nowMs)
    if (this.#state === 'closed') return this.#admit()
    if (this.#state === 'open' && nowMs >= this.#openUntilMs) {
      this.#state = 'half-open'
      const permit = this.#admitProbe(nowMs)
      this.#parts.onChange({ type: 'circuit-half-open', key: this.key })
      return permit
    }
    if (this.#state === 'half-open' && this.#leaseUntilMs === undefined) return this.#admitProbe(nowMs)
    return REFUSED
  }

  settle(permit: Permit, verdict: Verdict): void {
    this.#inFlight--
    if (permit !== this.#generation) return
    if (this.#state === 'half-open') this.#settleProbe(verdict)
    else this.record(verdict)
  }

  /** Counts an attempt that needed no permit here, as one that was redirected from elsewhere. */
  record(verdict: Verdict): void {
    if (this.#state !== 'closed' || verdict === 'ignored') return
    const nowMs = this.#parts.clock.now()
    this.#window.record(nowMs, verdict === 'failure' ? FAILURES : SUCCESSES)
    const { failureRate, minimumCalls } = this.#parts.settings
    const failures = this.#window.sum(nowMs, FAILURES)
    const total = failures + this.#window.sum(nowMs, SUCCESSES)
    if (total >= minimumCalls && failures / total >= failureRate) this.#open()
  }

  /** Refuses everything until `reset()`: for maintenance, and for drills. */
  isolate(): void {
    this.#enter('isolated')
    this.#parts.onChange({
      type: 'circuit-open',
      key: this.key,
      retryAfterMs: this.retryAfterMs,
      isolated: true,
    })
  }

  /** Closed, as if new. */
  reset(): void {
    const wasClosed = this.#state === 'closed'
    this.#close()
    if (!wasClosed) this.#parts.onChange({ type: 'circuit-close', key: this.key })
  }

  #admit(): Permit {
    this.#inFlight++
    return this.#generation
  }

  #admitProbe(nowMs: number): Permit {
    this.#generation++
    this.#leaseUntilMs = nowMs + this.#parts.settings.leaseMs
    return this.#admit()
  }

  #settleProbe(verdict: Verdict): void {
    this.#leaseUntilMs = undefined
    if (verdict === 'failure') this.#open()
    else if (verdict === 'success') this.reset()
    else this.#parts.onProbeReturned()
  }

  #expireLease(nowMs: number): void {
    if (this.#leaseUntilMs === undefined || nowMs < this.#leaseUntilMs) return
    this.#open(this.#leaseUntilMs)
  }

  #open(sinceMs: number = this.#parts.clock.now()): void {
    this.#enter('open')
    this.#openUntilMs = sinceMs + this.#openMs()
    this.#openings++
    this.#parts.onChange({
      type: 'circuit-open',
      key: this.key,
      retryAfterMs: this.retryAfterMs,
      isolated: false,
    })
  }

  /** Jitter stays under the cap without piling up at it: the range is cut, not the value. */
  #openMs(): number {
    const { openMs, maxOpenMs } = this.#parts.settings
    const meanMs = Math.min(maxOpenMs, openMs * Math.min(2 ** this.#openings, Number.MAX_VALUE))
    return uniform(
      this.#parts.random,
      meanMs * (1 - OPEN_JITTER),
      Math.min(maxOpenMs, meanMs * (1 + OPEN_JITTER)),
    )
  }

  #close(): void {
    this.#enter('closed')
    this.#openings = 0
    this.#window.clear()
  }

  /** Every change of state is a new generation: results from before it no longer count. */
  #enter(state: CircuitState): void {
    this.#state = state
    this.#generation++
    this.#leaseUntilMs = undefined
  }
}
