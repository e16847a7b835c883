/** How a figure is spread over the rounds. */
export interface Spread {
  readonly median: number
  /** The quartiles: half of the rounds lie between them. */
  readonly q1: number
  readonly q3: number
  readonly min: number
  readonly max: number
}

/** Where `fraction` of the values lie below, interpolated between neighbours as R and NumPy do by default. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const position = (sorted.length - 1) * fraction
  const lower = Math.floor(position)
  const [low, high] = [sorted[lower], sorted[Math.ceil(position)]]
  if (low === undefined || high === undefined) throw new RangeError('no values to take a quantile of')
  return low + (high - low) * (position - lower)
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

export function spreadOf(values: readonly number[]): Spread {
  const [min, q1, middle, q3, max] = [0, 0.25, 0.5, 0.75, 1].map((at) => quantile(values, at)) as [
    number,
    number,
    number,
    number,
    number,
  ]
  return { median: middle, q1, q3, min, max }
}

/**
 * The ratio of two series round by round: what slows a machine down for a while slows both sides of a round, so the
 * ratio stands where absolute figures drift.
 */
export function pairedRatios(values: readonly number[], baseline: readonly number[]): number[] {
  if (values.length !== baseline.length)
    throw new RangeError(`${values.length} rounds cannot be paired with ${baseline.length}`)
  return values.map((value, round) => value / (baseline[round] as number))
}

/** The slope of the least-squares line through the points. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  if (points.length < 2) throw new RangeError(`a slope needs two points, got ${points.length}`)
  const mean = (pick: 0 | 1): number => points.reduce((sum, point) => sum + point[pick], 0) / points.length
  const [meanX, meanY] = [mean(0), mean(1)]
  const covariance = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  const variance = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  return covariance / variance
}
