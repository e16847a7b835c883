/** What the libraries themselves export goes where we ask for it. */
import * as api from '@opentelemetry/api'
import * as client from 'prom-client'
import { createFetch, type HoldfastFetch } from '../../src/index.ts'
import * as opentelemetry from '../../src/telemetry/opentelemetry/index.ts'
import * as prometheus from '../../src/telemetry/prometheus/index.ts'

const tracer = api.trace.getTracer('types')
const meter = api.metrics.getMeter('types')
opentelemetry.instrument(createFetch(), { tracer, meter, api }) satisfies HoldfastFetch
opentelemetry.instrument(createFetch(), { tracer: false })
opentelemetry.idempotencyListener({ meter })
prometheus.instrument(createFetch(), { registry: new client.Registry(), client }) satisfies HoldfastFetch
prometheus.idempotencyListener({ registry: client.register })
// @ts-expect-error A plain fetch has no events.
prometheus.instrument(fetch)
// @ts-expect-error No such option.
prometheus.instrument(createFetch(), { registries: [] })
