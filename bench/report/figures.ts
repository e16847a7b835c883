import type { Spread } from '../harness/arithmetic.ts'
import type { Unit } from '../harness/result.ts'

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** A figure with as many digits as it is good for. */
export function figure(value: number, unit: Unit): string {
  if (unit === 'x') return ratioFigure(value)
  return unit === 'ns' || unit === 'B' || unit === '/s' ? grouped.format(value) : value.toFixed(1)
}

export const ratioFigure = (ratio: number): string => (ratio < 10 ? ratio.toFixed(2) : ratio.toFixed(1))

/** Half of the rounds lie in it. */
export function range({ q1, q3 }: Spread, show: (value: number) => string): string {
  return `${show(q1)}..${show(q3)}`
}

export const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2)} MiB`

/** The major version. */
export const lineOf = (node: string): number => Number(/^v(\d+)/.exec(node)?.[1])
