import type { Clock } from '../../primitives/clock.ts'
import { FULL_FOR_MS } from '../acquire-decision.ts'

/** This process adds 1/16 of the counted room before it counts again, so that 16 processes stay within the limit. */
const SHARE = 16

const MAX_SCOPES = 10_000

interface KnownCapacity {
  readonly maxKeys: number
  /** How many keys may be added before somebody has to count again. */
  left: number
  /** On the database's clock, in ms since the epoch: the scope is full until then. */
  readonly fullUntilMs: number | null
  /** On this process's clock: when this knowledge expires. */
  readonly forgottenMs: number
}

/**
 * What this process knows of how many more keys a scope may have, so that not every new key counts rows. The less room
 * there is, the more often they are counted; every time near the limit.
 */
export class ScopeCapacity {
  readonly #clock: Clock
  readonly #scopes = new Map<string, KnownCapacity>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** For one more key: whether the server has to count the scope's rows, and until when it is known to be full. */
  expect(
    scope: string,
    maxKeys: number,
  ): { readonly counting: boolean; readonly fullUntilMs: number | null } {
    const known = this.#scopes.get(scope)
    if (known?.maxKeys !== maxKeys || this.#clock.now() >= known.forgottenMs) {
      this.#scopes.delete(scope)
      return { counting: true, fullUntilMs: null }
    }
    known.left--
    return { counting: known.left < 0, fullUntilMs: known.fullUntilMs }
  }

  noteRoom(scope: string, maxKeys: number, room: number): void {
    this.#remember(scope, {
      maxKeys,
      left: Math.floor(room / SHARE),
      fullUntilMs: null,
      forgottenMs: Infinity,
    })
  }

  noteFull(scope: string, maxKeys: number, untilMs: number): void {
    // A whole number, so that the server returns the same one however it writes fractions.
    const fullUntilMs = Math.floor(untilMs)
    // The server answered by what this process told it, and did not count.
    if (this.#scopes.get(scope)?.fullUntilMs === fullUntilMs) return
    this.#remember(scope, { maxKeys, left: 0, fullUntilMs, forgottenMs: this.#clock.now() + FULL_FOR_MS })
  }

  /** A key was taken or completed, and may now expire sooner: a full scope has to be counted again. */
  noteChange(scope: string): void {
    if ((this.#scopes.get(scope)?.fullUntilMs ?? null) !== null) this.#scopes.delete(scope)
  }

  #remember(scope: string, room: KnownCapacity): void {
    this.#scopes.delete(scope)
    this.#scopes.set(scope, room)
    if (this.#scopes.size > MAX_SCOPES) {
      const [oldest] = this.#scopes.keys()
      if (oldest !== undefined) this.#scopes.delete(oldest)
    }
  }
}
