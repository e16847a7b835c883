/**
 * Metrics for Prometheus, in a registry of prom-client: `instrument(createFetch(), { registry })`.
 *
 * @module
 */
import { checkFetch } from '../../client/check-fetch.ts'
import type { HoldfastFetch } from '../../client/options.ts'
import type { OnIdempotencyEvent } from '../../idempotency/events.ts'
import { checkKeys, checkMethods } from '../../primitives/validate.ts'
import { measureClient } from '../measure/client.ts'
import { measureServer } from '../measure/server.ts'
import { loadPeer } from '../peer.ts'
import type { Backend } from '../measure/backend.ts'
import type { PromClient, Registry } from './client.ts'
import { registryBackend } from './registry.ts'

export type { PromClient, Registry } from './client.ts'

export interface PrometheusOptions {
  /** Default: prom-client's own `register`. */
  registry?: Registry
  /** The module `prom-client`, for bundled applications. Default: loaded when it is needed, on Node, Deno and Bun. */
  client?: PromClient
}

/**
 * The same fetch, measured: attempts, retries, circuits, budgets, cache and replays. Several fetches may share a
 * registry.
 *
 * @param fetch made by `createFetch`
 * @throws {HoldfastError} ERR_INVALID_OPTION for a wrong option, and where `prom-client` is missing
 */
export function instrument(fetch: HoldfastFetch, options: PrometheusOptions = {}): HoldfastFetch {
  checkFetch('instrument', fetch)
  return fetch.observe({ onEvent: measureClient(fetch, backendOf('instrument', options)) })
}

/**
 * A listener for the `onEvent` of `idempotency()`: counts what happens to requests with a key, and measures runs.
 *
 * @throws {HoldfastError} ERR_INVALID_OPTION for a wrong option, and where `prom-client` is missing
 */
export function idempotencyListener(options: PrometheusOptions = {}): OnIdempotencyEvent {
  return measureServer(backendOf('idempotencyListener', options))
}

function backendOf(name: string, options: PrometheusOptions): Backend {
  checkKeys(name, options, ['registry', 'client'])
  const client = options.client ?? (loadPeer('holdfast/prometheus', 'prom-client', 'client') as PromClient)
  checkMethods('client', 'the module prom-client', client, ['Counter', 'Histogram', 'Gauge'])
  const { registry = client.register } = options
  checkMethods('registry', "a Registry of prom-client's", registry, ['getSingleMetric'])
  return registryBackend(client, registry)
}
