import type { Instrument } from '../measure/instruments.ts'

/** A metric's or a label's name: Prometheus has no dots. */
export const snake = (name: string): string => name.replaceAll('.', '_')

/**
 * The name that an OpenTelemetry collector gives the same metric in Prometheus, so that one dashboard shows both.
 *
 * @see https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
 */
export function prometheusName({ name, kind, unit }: Instrument): string {
  const seconds = unit === 's' ? '_seconds' : ''
  return `${snake(name)}${seconds}${kind === 'counter' ? '_total' : ''}`
}
