import type { LimitReport, QuotaReport } from './fields.ts'

interface Quota {
  remaining: number
  resetsAtMs: number
  /** Which request the newest report came with. */
  learntFrom: number
  /** As announced, else the most that was ever left, and the longest that a reset was away. */
  readonly limit: number
  readonly windowMs: number
}

/** More quotas than any service has: whoever sends new names without end is not remembered without end. */
const MAX_QUOTAS = 16

/**
 * What is left of a service's quotas, as far as its responses tell and our own requests since then: a synchronous state
 * machine without timers.
 */
export class Quotas {
  readonly #quotas = new Map<string, Quota>()
  #pausedUntilMs = 0
  #sent = 0
  #inFlight = 0

  /** With nothing under way and no quota running: may be forgotten. */
  isIdle(nowMs: number): boolean {
    const ends = [this.#pausedUntilMs, ...[...this.#quotas.values()].map(({ resetsAtMs }) => resetsAtMs)]
    return this.#inFlight === 0 && ends.every((endMs) => nowMs >= endMs)
  }

  /** How long to wait for leave to send; 0 is leave. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs)
    const used = [...this.#quotas.values()].filter(({ remaining }) => remaining < 1)
    return Math.max(0, this.#pausedUntilMs - nowMs, ...used.map(({ resetsAtMs }) => resetsAtMs - nowMs))
  }

  /** Counts a request. @returns its number, for `settle` */
  take(): number {
    this.#inFlight++
    for (const quota of this.#quotas.values()) quota.remaining--
    return ++this.#sent
  }

  /** A request has ended, with news of the quotas or without. */
  settle(request: number, nowMs: number, { quotas, pauseMs }: LimitReport): void {
    this.#inFlight--
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + pauseMs)
    for (const report of quotas) this.#learn(request, nowMs, report)
  }

  #learn(request: number, nowMs: number, { name, remaining, resetMs, limit, windowMs }: QuotaReport): void {
    const known = this.#quotas.get(name)
    // Answers overtake each other: an older one knows less.
    if (known === undefined ? this.#quotas.size >= MAX_QUOTAS : request < known.learntFrom) return
    this.#quotas.set(name, {
      // The service had not seen what is still on its way.
      remaining: remaining - this.#inFlight,
      resetsAtMs: nowMs + resetMs,
      learntFrom: request,
      limit: limit ?? Math.max(1, known?.limit ?? 0, remaining),
      windowMs: windowMs ?? Math.max(known?.windowMs ?? 0, resetMs),
    })
  }

  /** A quota whose time has come is whole again, as far as is known: the next answer tells. */
  #refill(nowMs: number): void {
    for (const quota of this.#quotas.values()) {
      if (nowMs < quota.resetsAtMs) continue
      quota.remaining = quota.limit - this.#inFlight
      quota.resetsAtMs = nowMs + quota.windowMs
    }
  }
}
