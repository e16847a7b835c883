import type { Clock } from '../primitives/clock.ts'

/** Fewer than a purge deletes, so that none are left behind. */
const EVERY_KEYS = 64
const EVERY_MS = 60_000

/**
 * When the next new key takes expired rows along: the first one, since a process may not live to see many, then once
 * every so many keys, and once a minute where they come slowly. Without a timer: where no keys come, nothing grows.
 */
export class Purging {
  readonly #clock: Clock
  #keys = EVERY_KEYS
  #purgedMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isDue(): boolean {
    return this.#keys >= EVERY_KEYS || this.#clock.now() - this.#purgedMs >= EVERY_MS
  }

  /** A new key was taken, or is about to be, and expired rows are deleted with it or not. */
  took(purged: boolean): void {
    this.#keys = purged ? 1 : this.#keys + 1
    if (purged) this.#purgedMs = this.#clock.now()
  }

  /** No new key was taken, and so nothing was deleted either. */
  missed(): void {
    this.#keys = EVERY_KEYS
  }
}
