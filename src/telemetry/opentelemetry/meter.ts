import type { Attributes, Backend } from '../measure/backend.ts'
import { BOUNDS_S, type Instrument } from '../measure/instruments.ts'
import type { AttributeValues, Meter } from './api.ts'

/** Attributes without those that have no value. */
export function definedOf(attributes: Attributes): AttributeValues {
  const defined: AttributeValues = {}
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) defined[name] = value
  return defined
}

export function meterBackend(meter: Meter): Backend {
  const optionsOf = ({ unit, description }: Instrument) => ({ unit, description })
  return {
    counter(instrument) {
      const counter = meter.createCounter(instrument.name, optionsOf(instrument))
      return (attributes) => counter.add(1, definedOf(attributes))
    },
    histogram(instrument) {
      const advice = { explicitBucketBoundaries: [...BOUNDS_S] }
      const histogram = meter.createHistogram(instrument.name, { ...optionsOf(instrument), advice })
      return (durationMs, attributes) => histogram.record(durationMs / 1000, definedOf(attributes))
    },
    gauge(instrument, read) {
      meter.createObservableGauge(instrument.name, optionsOf(instrument)).addCallback((result) => {
        for (const [value, attributes] of read()) result.observe(value, definedOf(attributes))
      })
    },
  }
}
