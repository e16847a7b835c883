import { HoldfastError } from '../../primitives/errors.ts'
import type { Attributes, Backend, Reading } from '../measure/backend.ts'
import { BOUNDS_S, type Instrument } from '../measure/instruments.ts'
import type { Counter, Histogram, PromClient, Registry } from './client.ts'
import { prometheusName, snake } from './names.ts'

/** What the gauges of a registry read: several fetches share one gauge. */
const sources = new WeakMap<Registry, Map<string, Set<() => Iterable<Reading>>>>()

export function registryBackend(client: PromClient, registry: Registry): Backend {
  const config = (instrument: Instrument) => ({
    name: prometheusName(instrument),
    help: instrument.description,
    labelNames: instrument.attributes.map(snake),
    registers: [registry] as never[],
  })
  const existing = (instrument: Instrument): unknown => existingIn(registry, instrument)
  return {
    counter(instrument) {
      const counter = (existing(instrument) as Counter | undefined) ?? new client.Counter(config(instrument))
      return (attributes) => counter.inc(labelsOf(instrument, attributes))
    },
    histogram(instrument) {
      const buckets = [...BOUNDS_S]
      const histogram =
        (existing(instrument) as Histogram | undefined) ??
        new client.Histogram({ ...config(instrument), buckets })
      return (durationMs, attributes) =>
        histogram.observe(labelsOf(instrument, attributes), durationMs / 1000)
    },
    gauge(instrument, read) {
      const readers = readersOf(registry, instrument.name)
      readers.add(read)
      if (existing(instrument) !== undefined) return
      // Made for its effect: the registry holds it.
      void new client.Gauge({
        ...config(instrument),
        collect() {
          // Circuits that have been forgotten must not be shown for ever.
          this.reset()
          for (const each of readers)
            for (const [value, attributes] of each()) this.set(labelsOf(instrument, attributes), value)
        },
      })
    },
  }
}

/** Of another fetch in the same registry. One of somebody else's would refuse what is measured here. */
function existingIn(registry: Registry, instrument: Instrument): unknown {
  const name = prometheusName(instrument)
  const found = registry.getSingleMetric(name)
  const { labelNames } = Object(found) as { readonly labelNames?: unknown }
  if (found === undefined || String(labelNames) === String(instrument.attributes.map(snake))) return found
  throw new HoldfastError(
    'ERR_INVALID_OPTION',
    `registry has a metric ${name} of somebody else's: give instrument() a Registry of its own`,
  )
}

function readersOf(registry: Registry, name: string): Set<() => Iterable<Reading>> {
  const ofRegistry = sources.get(registry) ?? new Map<string, Set<() => Iterable<Reading>>>()
  sources.set(registry, ofRegistry)
  const readers = ofRegistry.get(name) ?? new Set()
  ofRegistry.set(name, readers)
  return readers
}

/** A label without a value is an empty one, so that all series of a metric have the same labels. */
function labelsOf(
  { attributes: names }: Instrument,
  attributes: Attributes,
): Record<string, string | number> {
  return Object.fromEntries(names.map((name) => [snake(name), attributes[name] ?? '']))
}
