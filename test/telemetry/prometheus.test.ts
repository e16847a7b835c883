/** Metrics, as a registry of prom-client's shows them: the text is parsed as Prometheus would. */
import parse from 'parse-prometheus-text-format'
import { Histogram, Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { idempotencyListener, instrument } from '../../src/telemetry/prometheus/index.ts'
import { CLIENT_INSTRUMENTS, SERVER_INSTRUMENTS } from '../../src/telemetry/measure/instruments.ts'
import { expectNoUnhandledRejections } from '../client/support/unhandled.ts'
import { failureOf, finish } from '../client/support/wait.ts'
import { replayed, scripted, SECRET, SERVER_EVENTS, TARGET, WRITE, type Answer } from './support.ts'

expectNoUnhandledRejections()

function bench(answers: readonly Answer[], options: Parameters<typeof scripted>[1] = {}) {
  const registry = new Registry()
  const base = scripted(answers, options)
  return { ...base, registry, plain: base.fetch, fetch: instrument(base.fetch, { registry }) }
}

async function metricsOf(registry: Registry, name: string) {
  const family = parse(await registry.metrics()).find((each) => each.name === name)
  return family?.metrics ?? []
}

const GET = { http_request_method: 'GET', server_address: 'api.test', server_port: '8443' }
const POST = { ...GET, http_request_method: 'POST' }
const CIRCUIT = { holdfast_key: 'https://api.test:8443' }

describe('holdfast/prometheus', () => {
  test('measures attempts and calls in seconds', async () => {
    const { fetch, clock, registry } = bench([503, 200])
    await finish(clock, fetch(TARGET))
    const text = await registry.metrics()
    const attempt = 'http_client_request_duration_seconds'
    const labels = 'http_request_method="GET",server_address="api.test",server_port="8443"'
    const end = (status: string, error: string) =>
      `http_response_status_code="${status}",error_type="${error}"`
    for (const ending of [end('503', '503'), end('200', '')])
      expect(text).toContain(`${attempt}_sum{${labels},url_scheme="https",${ending}} 0.25`)
    expect(text).toContain(
      `holdfast_client_call_duration_seconds_sum{${labels},holdfast_source="network",${end('200', '')}} 1.5`,
    )
    expect(await metricsOf(registry, 'holdfast_client_call_duration_seconds')).toMatchObject([
      { buckets: { '1': '0', '2.5': '1' } },
    ])
  })

  test('counts retries and replays', async () => {
    const { fetch, clock, registry } = bench([503, replayed()])
    await finish(clock, fetch(TARGET, WRITE))
    expect(await metricsOf(registry, 'holdfast_client_retries_total')).toEqual([
      { value: '1', labels: { ...POST, http_response_status_code: '503', error_type: '503' } },
    ])
    expect(await metricsOf(registry, 'holdfast_client_idempotent_replays_total')).toEqual([
      { value: '1', labels: POST },
    ])
  })

  test('shows circuits and budgets as they are now', async () => {
    const { fetch, clock, registry } = bench([200])
    await finish(clock, fetch(TARGET))
    const state = () => metricsOf(registry, 'holdfast_client_circuit_state')
    expect(await state()).toEqual([{ value: '0', labels: CIRCUIT }])
    fetch.circuits.get(CIRCUIT.holdfast_key).isolate()
    expect(await state()).toEqual([{ value: '3', labels: CIRCUIT }])
    expect(await metricsOf(registry, 'holdfast_client_circuit_transitions_total')).toEqual([
      { value: '1', labels: { ...CIRCUIT, holdfast_state: 'isolated' } },
    ])
    expect(await metricsOf(registry, 'holdfast_client_retry_budget_tokens')).toEqual([
      { value: '10', labels: CIRCUIT },
    ])
  })

  test('forgets circuits that the client has forgotten', async () => {
    const { fetch, clock, registry } = bench([200], { circuitBreaker: { maxCircuits: 1 } })
    await finish(clock, fetch(TARGET))
    const state = () => metricsOf(registry, 'holdfast_client_circuit_state')
    expect(await state()).toHaveLength(1)
    await finish(clock, fetch('http://other.test/'))
    expect(await state()).toEqual([{ value: '0', labels: { holdfast_key: 'http://other.test' } }])
  })

  test('takes several fetches into one registry', async () => {
    const first = bench([200])
    const second = scripted([200])
    const measured = instrument(second.fetch, { registry: first.registry })
    await finish(first.clock, first.fetch(TARGET))
    await finish(second.clock, measured('http://other.test/'))
    expect(await metricsOf(first.registry, 'holdfast_client_circuit_state')).toHaveLength(2)
    const counts = (await first.registry.metrics()).match(/call_duration_seconds_count.* 1$/gm)
    expect(counts).toHaveLength(2)
  })

  test('tells every error by its code or name', async () => {
    const { fetch, registry } = bench([200])
    fetch.circuits.get(CIRCUIT.holdfast_key).isolate()
    await failureOf(fetch(TARGET))
    expect(await registry.metrics()).toContain('error_type="ERR_CIRCUIT_OPEN"')
  })

  test('counts what the server half tells', async () => {
    const registry = new Registry()
    const listener = idempotencyListener({ registry })
    for (const event of SERVER_EVENTS) listener(event)
    const counted = await metricsOf(registry, 'holdfast_server_events_total')
    expect(counted).toContainEqual({ value: '2', labels: { holdfast_event: 'replayed', holdfast_code: '' } })
    expect(counted).toContainEqual({
      value: '1',
      labels: { holdfast_event: 'rejected', holdfast_code: 'request-in-flight' },
    })
    expect(await registry.metrics()).toContain(
      'holdfast_server_execution_duration_seconds_sum{http_request_method="POST",http_response_status_code="201"} 0.04',
    )
  })

  test('shows no secret', async () => {
    const { fetch, clock, registry } = bench([503, new TypeError(SECRET), 400])
    await finish(clock, fetch(TARGET, WRITE))
    const listener = idempotencyListener({ registry })
    for (const event of SERVER_EVENTS) listener(event)
    const text = await registry.metrics()
    expect(text.length).toBeGreaterThan(1000)
    expect(text).not.toContain(SECRET)
  })

  test('has every instrument of the table', async () => {
    const { registry } = bench([])
    idempotencyListener({ registry })
    const instruments = [...Object.values(CLIENT_INSTRUMENTS), ...Object.values(SERVER_INSTRUMENTS)]
    expect(registry.getMetricsAsArray()).toHaveLength(instruments.length)
  })

  test.each([
    [
      { registry: {} },
      "registry should be a Registry of prom-client's, with getSingleMetric, got an object with no keys",
    ],
    [{ client: {} }, 'client should be the module prom-client, with Counter and Histogram and Gauge, got'],
    [{ registries: 1 }, 'registries'],
  ])('refuses %o', (options, message) => {
    expect(() => instrument(scripted([]).fetch, options as never)).toThrow(message)
  })

  test('refuses a registry in which somebody else has one of its names', () => {
    const registry = new Registry()
    const name = 'http_client_request_duration_seconds'
    void new Histogram({ name, help: 'mine', labelNames: ['host'], registers: [registry] })
    expect(() => instrument(scripted([]).fetch, { registry })).toThrow(
      `registry has a metric ${name} of somebody else's: give instrument() a Registry of its own`,
    )
  })
})
