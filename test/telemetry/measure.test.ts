/** What each event is measured as, whatever kind of telemetry takes it. */
import { context, diag, propagation, trace } from '@opentelemetry/api'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createFetch, type CallInfo, type HoldfastEvent } from '../../src/index.ts'
import { requestAttributes, resultAttributes } from '../../src/telemetry/measure/attributes.ts'
import type { Attributes, Backend } from '../../src/telemetry/measure/backend.ts'
import { measureClient } from '../../src/telemetry/measure/client.ts'
import { Tracing } from '../../src/telemetry/opentelemetry/tracing.ts'
import { testClock } from '../client/support/clock.ts'

const call: CallInfo = { id: 1, method: 'GET', url: 'http://api.test/orders' }

/** What an event adds to, beside the duration that it may have. */
function counted(event: HoldfastEvent): (readonly [string, Attributes])[] {
  const told: (readonly [string, Attributes])[] = []
  const backend: Backend = {
    counter:
      ({ name }) =>
      (attributes) =>
        void told.push([name, attributes]),
    histogram: () => () => {},
    gauge: () => {},
  }
  measureClient(createFetch(), backend)(event)
  return told
}

const REQUEST = { 'http.request.method': 'GET', 'server.address': 'api.test', 'server.port': 80 }
const circuit = { key: 'api', retryAfterMs: 5000, cause: 'failure-rate' } as const

test.each<[HoldfastEvent, string, Attributes]>([
  [{ type: 'hedge', attempt: 1, delayMs: 9, call }, 'holdfast.client.hedges', REQUEST],
  [{ type: 'coalesced', call }, 'holdfast.client.coalesced_calls', REQUEST],
  [{ type: 'pace', key: 'k', delayMs: 9, call }, 'holdfast.client.paced_attempts', REQUEST],
  [
    { type: 'give-up', attempt: 1, reason: 'budget', call },
    'holdfast.client.give_ups',
    { ...REQUEST, 'holdfast.reason': 'budget' },
  ],
  [
    { type: 'cache-hit', kind: 'stale', ageMs: 9, call },
    'holdfast.client.cache_hits',
    { ...REQUEST, 'holdfast.kind': 'stale' },
  ],
  ...(
    [
      [{ type: 'circuit-open', ...circuit, isolated: false }, 'open'],
      [{ type: 'circuit-open', ...circuit, isolated: true }, 'isolated'],
      [{ type: 'circuit-half-open', key: 'api' }, 'half-open'],
      [{ type: 'circuit-close', key: 'api' }, 'closed'],
    ] as const
  ).map(([event, state]): [HoldfastEvent, string, Attributes] => [
    event,
    'holdfast.client.circuit.transitions',
    { 'holdfast.key': 'api', 'holdfast.state': state },
  ]),
])('%j is counted', (event, name, attributes) => {
  expect(counted(event)).toEqual([[name, attributes]])
})

test('what is no measure is not counted', () => {
  expect(counted({ type: 'call-start', call })).toEqual([])
  expect(counted({ type: 'body-not-replayable', reason: 'stream', call })).toEqual([])
})

describe('attributes', () => {
  test.each([
    ['http://api.test/', 80],
    ['https://api.test/', 443],
    ['https://api.test:8443/', 8443],
  ])('of %s: port %d', (url, port) => {
    expect(requestAttributes({ ...call, url })['server.port']).toBe(port)
  })

  test('of an IPv6 address, which has brackets in a URL only', () => {
    expect(requestAttributes({ ...call, url: 'http://[::1]:8080/' })['server.address']).toBe('::1')
  })

  test.each([
    [{ status: 399 }, undefined],
    [{ status: 400 }, '400'],
    [{ error: Object.assign(new Error('x'), { code: 'ECONNREFUSED' }) }, 'ECONNREFUSED'],
    [{ error: new Error('x', { cause: { code: 'ENOTFOUND' } }) }, 'ENOTFOUND'],
    [{ error: new RangeError('x') }, 'RangeError'],
    [{ error: Object.assign(new Error('x'), { code: 7 }) }, 'Error'],
    [{ error: 'a secret that was thrown' }, '_OTHER'],
    [{ error: undefined }, '_OTHER'],
  ])('of %o: error.type %s', (result, type) => {
    expect(resultAttributes(result)['error.type']).toBe(type)
  })
})

describe('tracing', () => {
  function bench() {
    const exporter = new InMemorySpanExporter()
    const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] })
    const clock = testClock()
    const tracing = new Tracing({ context, trace, propagation }, provider.getTracer('test'), clock)
    return { tracing, clock, spans: () => exporter.getFinishedSpans() }
  }
  const end = { attempts: 1, durationMs: 1, source: 'network', uncertain: false, status: 200 } as const

  test('tells no error that was a string', () => {
    const { tracing, spans } = bench()
    tracing.onEvent({ type: 'call-start', call })
    tracing.onEvent({ type: 'retry', attempt: 1, delayMs: 9, error: 'secret', call })
    tracing.onEvent({ type: 'call-end', ...end, call })
    expect(spans()[0]?.events[0]?.attributes).toEqual({ attempt: 1, delayMs: 9 })
  })

  test('tells a span that has ended nothing more, of which OpenTelemetry would warn', () => {
    const warn = vi.fn<() => void>()
    diag.setLogger({ warn, error() {}, info() {}, debug() {}, verbose() {} })
    onTestFinished(() => diag.disable())
    const { tracing, spans } = bench()
    tracing.onEvent({ type: 'call-start', call })
    tracing.onEvent({ type: 'attempt-start', attempt: 1, call })
    tracing.onEvent({ type: 'call-end', ...end, call })
    tracing.onEvent({ type: 'timeout', kind: 'attempt', timeoutMs: 1, call })
    expect(warn).not.toHaveBeenCalled()
    expect(spans()[0]?.events).toEqual([])
  })

  test('ends an attempt that outlives its call, and then forgets both', () => {
    const { tracing, spans } = bench()
    const headers = new Headers()
    tracing.onEvent({ type: 'call-start', call })
    tracing.onEvent({ type: 'attempt-start', attempt: 1, call })
    tracing.onEvent({ type: 'call-end', ...end, call })
    tracing.onEvent({ type: 'attempt-end', attempt: 1, durationMs: 1, status: 201, replayed: true, call })
    expect(spans().map(({ name }) => name)).toEqual(['holdfast GET', 'GET'])
    expect(spans()[1]?.attributes['holdfast.replayed']).toBe(true)
    tracing.onEvent({ type: 'attempt-end', attempt: 1, durationMs: 1, status: 200, call })
    tracing.onAttempt({ call, attempt: 1, headers })
    expect(spans()).toHaveLength(2)
    expect([...headers]).toEqual([])
  })

  test('tells attempts with the same number apart by how long they took', async () => {
    const { tracing, clock, spans } = bench()
    tracing.onEvent({ type: 'call-start', call })
    for (const status of [503, 200]) {
      tracing.onEvent({ type: 'attempt-start', attempt: 1, call })
      await clock.advance(status / 100)
    }
    tracing.onEvent({ type: 'attempt-end', attempt: 1, durationMs: 2, status: 200, call })
    await clock.advance(10)
    tracing.onEvent({ type: 'attempt-end', attempt: 1, durationMs: 17.03, status: 503, call })
    expect(
      spans().map(({ attributes }) => [
        attributes['http.request.resend_count'],
        attributes['http.response.status_code'],
      ]),
    ).toEqual([
      [1, 200],
      [undefined, 503],
    ])
  })
})
