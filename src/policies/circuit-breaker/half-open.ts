import type { Permit } from './permit.ts'
import { exceededShare, type CircuitSettings } from './rules.ts'

/** What the test requests say so far: `undefined` while it takes more of them. */
export type Decision = 'open' | 'close' | undefined

interface Lease {
  readonly permit: Permit
  readonly untilMs: number
}

/**
 * A half-open phase: at most `halfOpenProbes` test requests, one after the other or at once, each with a lease of its
 * own. They are judged by the same shares as attempts through a closed circuit; it opens as soon as the share is
 * certain, and closes when all have been sampled.
 */
export class HalfOpen {
  readonly #settings: CircuitSettings
  /** When each test request under way counts as failed. In order of admission, which is the order of expiry. */
  readonly #leases = new Map<Permit, number>()
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
    for (const [permit, untilMs] of this.#leases) return { permit, untilMs }
    return undefined
  }

  has(permit: Permit): boolean {
    return this.#leases.has(permit)
  }

  admit(permit: Permit, nowMs: number): void {
    this.#leases.set(permit, nowMs + this.#settings.leaseMs)
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
