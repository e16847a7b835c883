/** What we need of `@opentelemetry/api`, by structure: its types are not there where it is not installed. */

export type AttributeValues = Record<string, string | number | boolean>

export interface Span {
  setAttributes(attributes: AttributeValues): unknown
  addEvent(name: string, attributes: AttributeValues): unknown
  setStatus(status: { readonly code: number }): unknown
  end(): void
}

export interface Tracer {
  startSpan(name: string, options: { kind: number; attributes: AttributeValues }, context: never): Span
}

interface Recorder {
  record(value: number, attributes: AttributeValues): void
}

interface Adder {
  add(value: number, attributes: AttributeValues): void
}

export interface ObservableResult {
  observe(value: number, attributes: AttributeValues): void
}

interface Observable {
  addCallback(callback: (result: ObservableResult) => void): void
}

interface MetricOptions {
  readonly unit: string
  readonly description: string
  readonly advice?: { readonly explicitBucketBoundaries: number[] }
}

export interface Meter {
  createCounter(name: string, options: MetricOptions): Adder
  createHistogram(name: string, options: MetricOptions): Recorder
  createObservableGauge(name: string, options: MetricOptions): Observable
}

/** The module `@opentelemetry/api`. */
export interface OpenTelemetryApi {
  readonly context: { active(): unknown }
  readonly trace: { getTracer(name: string): Tracer; setSpan(context: never, span: never): unknown }
  readonly metrics: { getMeter(name: string): Meter }
  readonly propagation: { inject(context: never, carrier: Headers, setter: HeaderSetter): void }
}

export interface HeaderSetter {
  set(carrier: Headers, name: string, value: string): void
}

/** The numbers of the enumerations `SpanKind` and `SpanStatusCode`. */
export const INTERNAL = 0
export const CLIENT_KIND = 2
export const ERROR = 2
