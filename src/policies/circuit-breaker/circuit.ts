import type { Clock } from '../../primitives/clock.ts'
import type { CircuitOpenCause, HoldfastEvent } from '../../core/events.ts'
import { uniform, type Random } from '../../primitives/random.ts'
import { SlidingCounts } from '../../structures/sliding-counts.ts'
import { invalidOption } from '../../primitives/validate.ts'
import { HalfOpen, type Decision } from './half-open.ts'
import { REFUSED, type Permit, type Verdict } from './permit.ts'
import { exceededShare, type CircuitSettings } from './rules.ts'
import { checkSnapshot, type CircuitSnapshot, type CircuitState } from './snapshot.ts'

/** ±25 % on the open time, so that many clients do not test a service at the same moment. */
const OPEN_JITTER = 0.25

/** What the window counts; slow attempts only where they matter. */
const SUCCESSES = 0
const FAILURES = 1
const SLOW = 2

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
  #state: CircuitState = 'closed'
  #generation = 1
  #inFlight = 0
  /** How often in a row it has opened without closing: the exponent of the open time. */
  #openings = 0
  #openUntilMs = 0
  /** Failures in the window since its last success. */
  #failuresInARow = 0
  /** Made with the first sample: most circuits of a large map are idle. */
  #window: SlidingCounts | undefined
  /** Defined while half-open. */
  #halfOpen: HalfOpen | undefined

  constructor(key: string, parts: CircuitParts) {
    this.key = key
    this.#parts = parts
  }

  /** An open circuit whose time has passed is still open: it is half-open once a test request is under way. */
  get state(): CircuitState {
    this.#expireLeases(this.#parts.clock.now())
    return this.#state
  }

  /** Closed with nothing under way: may be forgotten. */
  get isIdle(): boolean {
    return this.isClosed && this.#inFlight === 0
  }

  /** Closed: who asks for a permit gets it at any time. */
  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  get retryAfterMs(): number {
    return this.retryAfterMsAt(this.#parts.clock.now())
  }

  /** When a rejected caller should come again. Of an isolated circuit nobody knows: `openMs`. */
  retryAfterMsAt(nowMs: number): number {
    const { settings } = this.#parts
    if (this.#state === 'open') return Math.max(0, this.#openUntilMs - nowMs)
    if (this.#state === 'isolated') return settings.openMs
    const lease = this.#halfOpen?.isFull === true ? this.#halfOpen.nextLease : undefined
    return lease === undefined ? 0 : Math.max(0, Math.min(settings.openMs, lease.untilMs - nowMs))
  }

  /** When an attempt that is let through now begins; `undefined` where nobody asks how long it takes. */
  get startMs(): number | undefined {
    return this.#parts.settings.slowCall === false ? undefined : this.#parts.clock.now()
  }

  /**
   * @param leaseMs how long it may take before it counts as failed, if it is a test request
   * @param nowMs for who has read the clock
   */
  tryAcquire(leaseMs: number = this.#parts.settings.leaseMs, nowMs?: number): Permit {
    if (this.isClosed) return this.#admit()
    const atMs = nowMs ?? this.#parts.clock.now()
    this.#expireLeases(atMs)
    return this.#tryAcquireAt(atMs, leaseMs)
  }

  /** Whether a permit is that of a test request under way. */
  isProbe(permit: Permit): boolean {
    return this.#halfOpen?.has(permit) ?? false
  }

  /** @param startedMs the `startMs` of the attempt; without it the attempt is not slow. */
  settle(permit: Permit, verdict: Verdict, startedMs?: number): void {
    this.#inFlight--
    if (this.#halfOpen !== undefined) this.#settleProbe(permit, verdict, startedMs)
    else if (permit === this.#generation) this.record(verdict, startedMs)
  }

  /** Counts an attempt that needed no permit here, as one that was redirected from elsewhere. */
  record(verdict: Verdict, startedMs?: number): void {
    if (!this.isClosed || verdict === 'ignored') return
    const nowMs = this.#parts.clock.now()
    const cause = this.#sample(nowMs, verdict === 'failure', this.#isSlow(startedMs, nowMs))
    if (cause !== undefined) this.#open(cause, nowMs)
  }

  /** Refuses everything until `reset()`: for maintenance, and for drills. */
  isolate(): void {
    this.#enter('isolated')
    this.#openings = 0
    this.#tellOpen('isolated')
  }

  /** Closed, as if new. */
  reset(): void {
    const wasClosed = this.isClosed
    this.#close()
    if (!wasClosed) this.#parts.onChange({ type: 'circuit-close', key: this.key })
  }

  snapshot(): CircuitSnapshot {
    const nowMs = this.#parts.clock.now()
    this.#expireLeases(nowMs)
    const buckets = this.#window?.buckets(nowMs) ?? []
    return {
      version: 1,
      state: this.#state,
      openForMs: this.#state === 'open' ? this.retryAfterMs : 0,
      openings: this.#openings,
      failuresInARow: this.#failuresInARow,
      windowMs: this.#parts.settings.windowMs,
      buckets: buckets.map(([successes = 0, failures = 0, slow = 0]) => ({ successes, failures, slow })),
    }
  }

  /**
   * Goes on from a snapshot, which `ageMs` have passed since. A half-open circuit becomes an open one whose time is
   * over, since its test requests belong to somebody else; an isolated one stays isolated until `reset()`.
   *
   * @throws {HoldfastError} ERR_INVALID_OPTION
   */
  restore(snapshot: CircuitSnapshot, ageMs = 0): void {
    checkSnapshot(snapshot)
    if (!Number.isFinite(ageMs)) throw invalidOption('ageMs', 'a number of milliseconds', ageMs)
    if (this.#state === 'isolated') return
    if (snapshot.state === 'isolated') this.isolate()
    else if (snapshot.state === 'closed') this.#restoreClosed(snapshot, Math.max(0, ageMs))
    else this.#restoreOpen(snapshot, Math.max(0, ageMs))
  }

  #admit(): Permit {
    this.#inFlight++
    return this.#generation
  }

  #tryAcquireAt(nowMs: number, leaseMs: number): Permit {
    if (this.isClosed) return this.#admit()
    if (this.#state === 'open' && nowMs >= this.#openUntilMs) return this.#startHalfOpen(nowMs, leaseMs)
    if (this.#halfOpen === undefined || this.#halfOpen.isFull) return REFUSED
    return this.#admitProbe(this.#halfOpen, nowMs, leaseMs)
  }

  #startHalfOpen(nowMs: number, leaseMs: number): Permit {
    this.#enter('half-open')
    this.#halfOpen = new HalfOpen(this.#parts.settings)
    const permit = this.#admitProbe(this.#halfOpen, nowMs, leaseMs)
    this.#parts.onChange({ type: 'circuit-half-open', key: this.key })
    return permit
  }

  /** Each test request is a generation of its own. */
  #admitProbe(halfOpen: HalfOpen, nowMs: number, leaseMs: number): Permit {
    this.#generation++
    halfOpen.admit(this.#generation, nowMs, leaseMs)
    return this.#admit()
  }

  #settleProbe(permit: Permit, verdict: Verdict, startedMs: number | undefined): void {
    const nowMs = this.#parts.clock.now()
    this.#expireLeases(nowMs)
    if (this.#halfOpen === undefined || !this.#halfOpen.has(permit)) return
    if (verdict === 'ignored') {
      this.#halfOpen.release(permit)
      this.#parts.onProbeReturned()
    } else {
      const slow = this.#isSlow(startedMs, nowMs)
      this.#decide(this.#halfOpen.sample(permit, verdict === 'failure', slow), nowMs)
    }
  }

  #expireLeases(nowMs: number): void {
    while (this.#halfOpen !== undefined) {
      const lease = this.#halfOpen.nextLease
      if (lease === undefined || nowMs < lease.untilMs) return
      const slow = this.#isSlow(lease.startedMs, lease.untilMs)
      this.#decide(this.#halfOpen.sample(lease.permit, true, slow), lease.untilMs)
    }
  }

  #decide(decision: Decision, nowMs: number): void {
    if (decision === 'open') this.#open('probe', nowMs)
    if (decision === 'close') this.reset()
  }

  #isSlow(startedMs: number | undefined, nowMs: number): boolean {
    const { slowCall } = this.#parts.settings
    return slowCall !== false && startedMs !== undefined && nowMs - startedMs > slowCall.durationMs
  }

  /** @returns the rule that opens the circuit, if one does. */
  #sample(nowMs: number, failed: boolean, slow: boolean): CircuitOpenCause | undefined {
    const { settings } = this.#parts
    const window = (this.#window ??= this.#newWindow())
    window.record(nowMs, failed ? FAILURES : SUCCESSES)
    if (slow) window.record(nowMs, SLOW)
    const failures = window.held(FAILURES)
    // Those that have left the window were the first of the row.
    this.#failuresInARow = failed ? Math.min(this.#failuresInARow + 1, failures) : 0
    const total = failures + window.held(SUCCESSES)
    const slows = settings.slowCall === false ? 0 : window.held(SLOW)
    const share = total < settings.minimumCalls ? undefined : exceededShare(settings, failures, slows, total)
    if (share !== undefined) return share
    const { consecutive } = settings
    return consecutive !== false && this.#failuresInARow >= consecutive ? 'consecutive' : undefined
  }

  #newWindow(): SlidingCounts {
    const { windowMs, slowCall } = this.#parts.settings
    return new SlidingCounts(windowMs, slowCall === false ? SLOW : SLOW + 1)
  }

  #open(cause: CircuitOpenCause, sinceMs: number): void {
    this.#enter('open')
    this.#openUntilMs = sinceMs + this.#openMs()
    this.#openings++
    this.#tellOpen(cause)
  }

  #tellOpen(cause: CircuitOpenCause): void {
    this.#parts.onChange({
      type: 'circuit-open',
      key: this.key,
      retryAfterMs: this.retryAfterMs,
      isolated: this.#state === 'isolated',
      cause,
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
  }

  #restoreClosed(snapshot: CircuitSnapshot, ageMs: number): void {
    this.reset()
    // Tenths of another window say nothing of this one.
    if (snapshot.windowMs !== this.#parts.settings.windowMs) return
    this.#failuresInARow = snapshot.failuresInARow
    this.#window = this.#newWindow()
    this.#window.load(
      this.#parts.clock.now() - ageMs,
      snapshot.buckets.map(({ successes, failures, slow }) => [successes, failures, slow]),
    )
  }

  #restoreOpen(snapshot: CircuitSnapshot, ageMs: number): void {
    this.#enter('open')
    const openForMs = Math.min(snapshot.openForMs, this.#parts.settings.maxOpenMs)
    this.#openUntilMs = this.#parts.clock.now() + Math.max(0, openForMs - ageMs)
    this.#openings = snapshot.openings
    this.#tellOpen('restored')
  }

  /** Every change of state is a new generation: results from before it no longer count, nor does what was sampled. */
  #enter(state: CircuitState): void {
    this.#state = state
    this.#generation++
    this.#halfOpen = undefined
    this.#window = undefined
    this.#failuresInARow = 0
  }
}
