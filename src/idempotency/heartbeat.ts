import type { Clock, Timer } from '../primitives/clock.ts'

export interface HeartbeatOptions {
  readonly clock: Clock
  readonly leaseMs: number
  readonly extend: () => Promise<'extended' | 'lost'>
  readonly onError: (error: unknown) => void
  readonly onLost: () => void
  /** Whether a lease that ran out is lost although nobody said so: when others may take the key over. */
  readonly lostWhenOver: boolean
}

/** When a lease is renewed, as a share of its length: two beats may fail before it runs out. */
export const BEAT: number = 1 / 3

/** Keeps a lease alive. */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  #timer: Timer | undefined
  #leaseUntilMs: number
  #stopped = false

  constructor(options: HeartbeatOptions) {
    this.#options = options
    this.#leaseUntilMs = options.clock.now() + options.leaseMs
    this.#schedule()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #schedule(): void {
    const { clock, leaseMs } = this.#options
    this.#timer = clock.schedule(() => void this.#beat(), leaseMs * BEAT)
  }

  async #beat(): Promise<void> {
    const { clock, leaseMs, extend, onError } = this.#options
    const askedMs = clock.now()
    // The next one is not held up by a store that hangs.
    this.#schedule()
    try {
      const answer = await extend()
      if (this.#stopped) return
      if (answer === 'lost') this.#lose()
      else this.#leaseUntilMs = Math.max(this.#leaseUntilMs, askedMs + leaseMs)
    } catch (error) {
      if (this.#stopped) return
      onError(error)
      if (this.#options.lostWhenOver && clock.now() >= this.#leaseUntilMs) this.#lose()
    }
  }

  #lose(): void {
    this.stop()
    this.#options.onLost()
  }
}
