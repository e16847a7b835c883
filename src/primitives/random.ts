/** A source of chance: numbers in [0, 1). Injected everywhere, so that a seed makes a run repeatable. */
export type Random = () => number

// oxlint-disable-next-line no-restricted-properties -- the one place that owns the platform's chance
export const systemRandom: Random = () => Math.random()

/** A number in [`low`, `high`). */
export function uniform(random: Random, low: number, high: number): number {
  return low + (high - low) * random()
}
