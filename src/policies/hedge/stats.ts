import { BoundedMap } from '../../structures/bounded-map.ts'
import { CLIENT_DEFAULTS } from '../../primitives/client-defaults.ts'
import { withDefaults, type Complete } from '../../primitives/options.ts'
import { SlidingQuantile } from '../../structures/quantile.ts'
import { WINDOW_SAMPLES, type HedgeSettings } from './settings.ts'

/** The unused share is saved up, but not for hours: a burst of hedges is load, too. */
const MOST_SAVED = 10
/** Sums of twentieths are not exact in binary: twenty successes must earn a hedge. */
const ROUNDING = 1e-9

/**
 * What is known of one key: how long it takes, and how many hedges it has earned. Successes earn, as they do for a
 * retry budget: where nothing is answered, twice the requests only help to keep it down.
 */
export class HedgeStats {
  readonly #settings: Complete<HedgeSettings>
  readonly #latencies = new SlidingQuantile(WINDOW_SAMPLES)
  /** One to begin with: otherwise `delayMs` would never be used. */
  #earned = 1

  constructor(settings: Complete<HedgeSettings>) {
    this.#settings = settings
  }

  get delayMs(): number {
    const { percentile, minimumSamples, delayMs } = this.#settings
    if (this.#latencies.count < minimumSamples) return delayMs
    return this.#latencies.quantile(percentile) ?? delayMs
  }

  tryTake(): boolean {
    if (this.#earned + ROUNDING < 1) return false
    this.#earned = Math.max(0, this.#earned - 1)
    return true
  }

  giveBack(): void {
    this.#earn(1)
  }

  succeeded(): void {
    this.#earn(this.#settings.maxExtra)
  }

  sample(latencyMs: number): void {
    this.#latencies.add(latencyMs)
  }

  #earn(hedges: number): void {
    this.#earned = Math.min(MOST_SAVED, this.#earned + hedges)
  }
}

/** The part that holds state: latencies and limits by key. */
export class HedgeStore {
  readonly settings: Complete<HedgeSettings>
  readonly #stats: BoundedMap<HedgeStats>

  constructor(settings: HedgeSettings, maxKeys: number) {
    this.settings = withDefaults<Complete<HedgeSettings>>(CLIENT_DEFAULTS.hedge, settings)
    // All may be forgotten: a key that comes back starts with one hedge, which the retry budget still has to pay.
    this.#stats = new BoundedMap(
      maxKeys,
      () => new HedgeStats(this.settings),
      () => true,
    )
  }

  get(key: string): HedgeStats {
    return this.#stats.get(key)
  }
}
