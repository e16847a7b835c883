/** What we need of `prom-client`, by structure: its types are not there where it is not installed. */

type Labels = Record<string, string | number>

export interface Registry {
  getSingleMetric(name: string): unknown
}

export interface MetricConfig {
  readonly name: string
  readonly help: string
  readonly labelNames: string[]
  readonly registers: never[]
}

export interface Counter {
  inc(labels: Labels): void
}

export interface Histogram {
  observe(labels: Labels, value: number): void
}

export interface Gauge {
  reset(): void
  set(labels: Labels, value: number): void
}

/** The module `prom-client`. */
export interface PromClient {
  readonly register: Registry
  readonly Counter: new (config: MetricConfig) => Counter
  readonly Histogram: new (config: MetricConfig & { readonly buckets: number[] }) => Histogram
  readonly Gauge: new (config: MetricConfig & { collect(this: Gauge): void }) => Gauge
}
