/** What is measured: one table for every kind of telemetry, so that the same thing has the same name everywhere. */
export interface Instrument {
  /** In OpenTelemetry's form. Prometheus has `_` for `.`, and the unit and `_total` behind it. */
  readonly name: string
  readonly kind: 'counter' | 'histogram' | 'gauge'
  /** By UCUM: `s` for seconds, `{retry}` for a count. */
  readonly unit: string
  readonly description: string
  readonly attributes: readonly string[]
}

/**
 * The bounds of every histogram, in seconds: those that the semantic conventions advise for `http.client.request.duration`,
 * and more above, since a call with its retries may take two minutes.
 */
export const BOUNDS_S: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120,
]

const SERVER = ['server.address', 'server.port'] as const
const REQUEST = ['http.request.method', ...SERVER] as const
const RESULT = ['http.response.status_code', 'error.type'] as const

const counter = (
  name: string,
  unit: string,
  description: string,
  attributes: readonly string[],
): Instrument => ({ name, kind: 'counter', unit, description, attributes })

const duration = (name: string, description: string, attributes: readonly string[]): Instrument => ({
  name,
  kind: 'histogram',
  unit: 's',
  description,
  attributes,
})

const gauge = (name: string, unit: string, description: string): Instrument => ({
  name,
  kind: 'gauge',
  unit,
  description,
  attributes: ['holdfast.key'],
})

const client = 'holdfast.client.'

export type ClientMetric =
  | 'attempt'
  | 'call'
  | 'retry'
  | 'giveUp'
  | 'uncertain'
  | 'timeout'
  | 'hedge'
  | 'cacheHit'
  | 'coalesced'
  | 'fallback'
  | 'replay'
  | 'pace'
  | 'transition'
  | 'circuit'
  | 'budget'

/** Of `createFetch`. The first is a stable semantic convention of OpenTelemetry's. */
export const CLIENT_INSTRUMENTS: Readonly<Record<ClientMetric, Instrument>> = {
  attempt: duration(
    'http.client.request.duration',
    'Duration of HTTP client requests: each attempt by itself.',
    [...REQUEST, 'url.scheme', ...RESULT],
  ),
  call: duration(`${client}call.duration`, 'Duration of calls, with their retries and waits.', [
    ...REQUEST,
    'holdfast.source',
    ...RESULT,
  ]),
  retry: counter(`${client}retries`, '{retry}', 'Attempts that were made after a failed one.', [
    ...REQUEST,
    ...RESULT,
  ]),
  giveUp: counter(`${client}give_ups`, '{call}', 'Failures that were not followed by another attempt.', [
    ...REQUEST,
    'holdfast.reason',
  ]),
  uncertain: counter(
    `${client}uncertain_calls`,
    '{call}',
    'Writes that ended without a definite answer.',
    REQUEST,
  ),
  timeout: counter(`${client}timeouts`, '{timeout}', 'Timeouts that struck.', [...REQUEST, 'holdfast.kind']),
  hedge: counter(`${client}hedges`, '{request}', 'Requests that were sent beside a slow one.', REQUEST),
  cacheHit: counter(`${client}cache_hits`, '{call}', 'Calls that were answered with a stored response.', [
    ...REQUEST,
    'holdfast.kind',
  ]),
  coalesced: counter(
    `${client}coalesced_calls`,
    '{call}',
    'Calls that shared the request of another.',
    REQUEST,
  ),
  fallback: counter(`${client}fallbacks`, '{call}', 'Calls that a fallback has answered.', [
    ...REQUEST,
    'holdfast.reason',
  ]),
  replay: counter(
    `${client}idempotent_replays`,
    '{response}',
    'Responses that an API replayed, since it recognized the idempotency key.',
    REQUEST,
  ),
  pace: counter(`${client}paced_attempts`, '{attempt}', 'Attempts that waited for quota.', REQUEST),
  transition: counter(`${client}circuit.transitions`, '{transition}', 'Changes of state of a circuit.', [
    'holdfast.key',
    'holdfast.state',
  ]),
  circuit: gauge(
    `${client}circuit.state`,
    '{state}',
    'State of a circuit: 0 closed, 1 half-open, 2 open, 3 isolated.',
  ),
  budget: gauge(`${client}retry_budget.tokens`, '{token}', 'What is left for retries and hedges.'),
}

const server = 'holdfast.server.'

/** Of `idempotency()`. */
export const SERVER_INSTRUMENTS: Readonly<Record<'execution' | 'event', Instrument>> = {
  execution: duration(
    `${server}execution.duration`,
    'Duration of runs that were saved, from the acquired key.',
    ['http.request.method', 'http.response.status_code'],
  ),
  event: counter(`${server}events`, '{event}', 'What happened to requests with a key.', [
    'holdfast.event',
    'holdfast.code',
  ]),
}
