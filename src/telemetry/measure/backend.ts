import type { Instrument } from './instruments.ts'

/** One set of attributes. An attribute without a value is left out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>

/** One value of a gauge. */
export type Reading = readonly [value: number, attributes: Attributes]

/** Where measurements go. */
export interface Backend {
  /** @returns what adds one */
  counter(instrument: Instrument): (attributes: Attributes) => void
  /** @returns what records a duration */
  histogram(instrument: Instrument): (durationMs: number, attributes: Attributes) => void
  /** Read when metrics are collected, so that it costs nothing meanwhile. */
  gauge(instrument: Instrument, read: () => Iterable<Reading>): void
}
