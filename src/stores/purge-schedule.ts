import type { Clock } from '../primitives/clock.ts'

/** New keys between two purges: fewer than a purge deletes, so that expired rows do not pile up. */
const EVERY_KEYS = 64
const EVERY_MS = 60_000

/**
 * Decides which new key also deletes expired rows: the first one, since a process may not live to see many, then every
 * 64th, and one a minute where they come slowly. There is no timer: without new keys the table does not grow.
 */
export class PurgeSchedule {
  readonly #clock: Clock
  #keys = EVERY_KEYS
  #purgedMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isDue(): boolean {
    return this.#keys >= EVERY_KEYS || this.#clock.now() - this.#purgedMs >= EVERY_MS
  }

  /** To be called for each new key, with whether it deletes expired rows, too. */
  keyTaken(purged: boolean): void {
    this.#keys = purged ? 1 : this.#keys + 1
    if (purged) this.#purgedMs = this.#clock.now()
  }

  /** Nothing was deleted after all, or not enough: the next new key purges. */
  retrySoon(): void {
    this.#keys = EVERY_KEYS
  }
}
