import type { Permit } from './permit.ts'
import { exceededShare, type CircuitSettings } from './rules.ts'

/** What the test requests say so far: `undefined` while it takes more of them. */
export type Decision = 'open' | 'close' | undefined

/** When a test request has begun, and from when on it counts as failed. */
interface Lease {
  readonly permit: Permit
  readonly startedMs: number
  readonly untilMs: number
}

/**
 * A half-open phase: at most `halfOpenProbes` test requests, one after the other or at once, each with a lease of its
 * own. They are judged by the same shares as attempts through a closed circuit; it opens as soon as the share is
 * certain, and closes when all have been sampled.
 */
export class HalfOpen {
  readonly #settings: CircuitSettings
  /** Of the test requests under way. */
  readonly #leases = new Map<Permit, Lease>()
  #samples = 0
  #failures = 0
  #slow = 0

  constructor(settings: CircuitSettings) {
    this.#settings = settings
  }

  /** Whether as many test requests as allowed have been sampled or are under way. */
  get isFull(): boolean {
    return this.#samples + this.#leases.size >= this.#settings.halfOpenProbes
  }

  /** The lease that ends first. */
  get nextLease(): Lease | undefined {
    let next: Lease | undefined
    for (const lease of this.#leases.values())
      if (next === undefined || lease.untilMs < next.untilMs) next = lease
    return next
  }

  has(permit: Permit): boolean {
    return this.#leases.has(permit)
  }

  admit(permit: Permit, startedMs: number, leaseMs: number): void {
    this.#leases.set(permit, { permit, startedMs, untilMs: startedMs + leaseMs })
  }

  /** A test request was called off before it could tell anything: another one may take its place. */
  release(permit: Permit): void {
    this.#leases.delete(permit)
  }

  sample(permit: Permit, failed: boolean, slow: boolean): Decision {
    this.#leases.delete(permit)
    this.#samples++
    if (failed) this.#failures++
    if (slow) this.#slow++
    const { halfOpenProbes } = this.#settings
    if (exceededShare(this.#settings, this.#failures, this.#slow, halfOpenProbes) !== undefined) return 'open'
    return this.#samples === halfOpenProbes ? 'close' : undefined
  }
}
