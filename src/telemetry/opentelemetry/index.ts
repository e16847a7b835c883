/**
 * Traces and metrics by OpenTelemetry: `instrument(createFetch(), { tracer, meter })`.
 *
 * @module
 */
import { checkFetch } from '../../client/check-fetch.ts'
import type { HoldfastFetch } from '../../client/options.ts'
import type { OnIdempotencyEvent } from '../../idempotency/events.ts'
import { checkKeys, checkMethods, invalidOption } from '../../primitives/validate.ts'
import { measureClient } from '../measure/client.ts'
import { measureServer } from '../measure/server.ts'
import { loadPeer } from '../peer.ts'
import type { Meter, OpenTelemetryApi, Tracer } from './api.ts'
import { meterBackend } from './meter.ts'
import { Tracing } from './tracing.ts'

export type { Meter, OpenTelemetryApi, Tracer } from './api.ts'

export interface OpenTelemetryOptions {
  /** Default: that of the registered provider. `false`: no spans, and no trace context in requests. */
  tracer?: Tracer | false
  /** Default: that of the registered provider. `false`: no metrics. */
  meter?: Meter | false
  /** The module `@opentelemetry/api`, for bundled applications. Default: loaded when it is needed, on Node, Deno and Bun. */
  api?: OpenTelemetryApi
}

const ENTRY = 'holdfast/opentelemetry'
const NAME = 'holdfast'

/**
 * The same fetch, traced and measured: a span for each call with one for each attempt under it, by the stable semantic
 * conventions for HTTP clients, and metrics of attempts, retries, circuits, budgets, cache and replays.
 *
 * @param fetch made by `createFetch`; with `{ tracer: false }` another instrument may be put on what comes back
 * @throws {HoldfastError} ERR_INVALID_OPTION for a wrong option, and where `@opentelemetry/api` is missing
 * @see https://opentelemetry.io/docs/specs/semconv/http/
 */
export function instrument(fetch: HoldfastFetch, options: OpenTelemetryOptions = {}): HoldfastFetch {
  checkFetch('instrument', fetch)
  const { tracer, meter, api } = checked('instrument', options)
  const tracing = tracer && new Tracing(api(), tracer)
  const traced = tracing ? fetch.observe(tracing) : fetch
  return meter ? traced.observe({ onEvent: measureClient(fetch, meterBackend(meter)) }) : traced
}

/**
 * A listener for the `onEvent` of `idempotency()`: counts what happens to requests with a key, and measures runs.
 *
 * @throws {HoldfastError} ERR_INVALID_OPTION for a wrong option, and where `@opentelemetry/api` is missing
 */
export function idempotencyListener(
  options: Pick<OpenTelemetryOptions, 'api'> & { readonly meter?: Meter } = {},
): OnIdempotencyEvent {
  const { meter } = checked('idempotencyListener', { ...options, tracer: false })
  if (!meter) throw invalidOption('meter', 'a Meter', options.meter)
  return measureServer(meterBackend(meter))
}

/** Which of both is wanted, and where the API comes from, which is asked for only when it is needed. */
function checked(name: string, options: OpenTelemetryOptions) {
  checkKeys(name, options, ['tracer', 'meter', 'api'])
  let loaded = options.api
  const api = (): OpenTelemetryApi => {
    loaded ??= loadPeer(ENTRY, '@opentelemetry/api', 'api') as OpenTelemetryApi
    const { trace, metrics } = loaded as Partial<OpenTelemetryApi>
    checkMethods('api.trace', 'that of @opentelemetry/api', trace, ['getTracer', 'setSpan'])
    checkMethods('api.metrics', 'that of @opentelemetry/api', metrics, ['getMeter'])
    return loaded
  }
  const { tracer = api().trace.getTracer(NAME), meter = api().metrics.getMeter(NAME) } = options
  if (tracer !== false) checkMethods('tracer', 'a Tracer', tracer, ['startSpan'])
  if (meter !== false) checkMethods('meter', 'a Meter', meter, ['createCounter'])
  return { tracer, meter, api }
}
