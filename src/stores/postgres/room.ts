import type { Clock } from '../../primitives/clock.ts'
import { FULL_FOR_MS } from '../record.ts'

/** A part of the room that was found: so many processes may share it before their sum exceeds the limit. */
const SHARE = 16

const MOST_SCOPES = 10_000

interface ScopeRoom {
  readonly maxKeys: number
  /** How many keys may be added before somebody has to count again. */
  left: number
  /** On the database's clock, in ms since the epoch; until then nobody has to look. */
  readonly fullUntilMs: number | null
  /** On this process's clock: from then on nothing is known any more. */
  readonly forgottenMs: number
}

/**
 * What this process knows of how full scopes are, so that rows are counted now and then and not for each new key: the
 * less room there is, the more often; every time where the limit is near.
 */
export class Room {
  readonly #clock: Clock
  readonly #scopes = new Map<string, ScopeRoom>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What has to be looked at for one more key. */
  ask(scope: string, maxKeys: number): { readonly counting: boolean; readonly fullUntilMs: number | null } {
    const known = this.#scopes.get(scope)
    if (known?.maxKeys !== maxKeys || this.#clock.now() >= known.forgottenMs) {
      this.#scopes.delete(scope)
      return { counting: true, fullUntilMs: null }
    }
    known.left--
    return { counting: known.left < 0, fullUntilMs: known.fullUntilMs }
  }

  counted(scope: string, maxKeys: number, room: number): void {
    this.#remember(scope, {
      maxKeys,
      left: Math.floor(room / SHARE),
      fullUntilMs: null,
      forgottenMs: Infinity,
    })
  }

  full(scope: string, maxKeys: number, untilMs: number): void {
    // Whole, so that it comes back the same however the server writes fractions.
    const fullUntilMs = Math.floor(untilMs)
    // The server has believed it, and not looked.
    if (this.#scopes.get(scope)?.fullUntilMs === fullUntilMs) return
    this.#remember(scope, { maxKeys, left: 0, fullUntilMs, forgottenMs: this.#clock.now() + FULL_FOR_MS })
  }

  /** A key was taken anew or completed, and may expire sooner than it would have: a full scope is looked at again. */
  changed(scope: string): void {
    if ((this.#scopes.get(scope)?.fullUntilMs ?? null) !== null) this.#scopes.delete(scope)
  }

  #remember(scope: string, room: ScopeRoom): void {
    this.#scopes.delete(scope)
    this.#scopes.set(scope, room)
    if (this.#scopes.size > MOST_SCOPES) {
      const [oldest] = this.#scopes.keys()
      if (oldest !== undefined) this.#scopes.delete(oldest)
    }
  }
}
