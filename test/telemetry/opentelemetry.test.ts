/** Spans and metrics, as the real SDK of OpenTelemetry gets them. */
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Policy } from '../../src/core/policy.ts'
import { idempotencyListener, instrument } from '../../src/telemetry/opentelemetry/index.ts'
import { expectNoUnhandledRejections } from '../client/support/unhandled.ts'
import { failureOf, finish } from '../client/support/wait.ts'
import { replayed, scripted, SECRET, SERVER_EVENTS, SHOWN, TARGET, WRITE, type Answer } from './support.ts'

expectNoUnhandledRejections()

class ReaderOnDemand extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
})
afterAll(() => {
  context.disable()
  propagation.disable()
})

function bench(answers: readonly Answer[], options: Parameters<typeof scripted>[1] = {}) {
  const base = scripted(answers, options)
  const exporter = new InMemorySpanExporter()
  const tracer = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }).getTracer(
    'test',
  )
  const reader = new ReaderOnDemand()
  const meter = new MeterProvider({ readers: [reader] }).getMeter('test')
  const spans = (): ReadableSpan[] => exporter.getFinishedSpans()
  return {
    ...base,
    tracer,
    meter,
    spans,
    collect: () => pointsOf(reader),
    fetch: instrument(base.fetch, { tracer, meter }),
  }
}

interface Point {
  readonly name: string
  readonly unit: string
  readonly value: unknown
  readonly attributes: object
}

async function pointsOf(reader: MetricReader): Promise<Point[]> {
  const { resourceMetrics } = await reader.collect()
  return resourceMetrics.scopeMetrics
    .flatMap(({ metrics }) => metrics)
    .flatMap(({ descriptor: { name, unit }, dataPoints }) =>
      dataPoints.map(({ value, attributes }) => ({ name, unit, value, attributes })),
    )
}

const pick = (points: readonly Point[], name: string): (readonly [unknown, object])[] =>
  points.filter((point) => point.name === name).map(({ value, attributes }) => [value, attributes] as const)

const SERVER = { 'server.address': 'api.test', 'server.port': 8443 }
const GET = { 'http.request.method': 'GET', ...SERVER }
const POST = { 'http.request.method': 'POST', ...SERVER }

describe('spans', () => {
  test('one for the call, and under it one for each attempt', async () => {
    const { fetch, clock, spans } = bench([503, new TypeError('fetch failed'), 200])
    await finish(clock, fetch(TARGET))
    const [first, second, third, call] = spans()
    expect(spans()).toHaveLength(4)
    expect(call).toMatchObject({
      name: 'holdfast GET',
      kind: SpanKind.INTERNAL,
      status: { code: SpanStatusCode.UNSET },
      attributes: {
        ...GET,
        'url.full': SHOWN,
        'http.response.status_code': 200,
        'holdfast.attempts': 3,
        'holdfast.source': 'network',
        'holdfast.uncertain': false,
      },
    })
    const attempts = [first, second, third]
    for (const attempt of attempts) {
      expect(attempt).toMatchObject({
        name: 'GET',
        kind: SpanKind.CLIENT,
        attributes: { ...GET, 'url.full': SHOWN },
      })
      expect(attempt?.parentSpanContext?.spanId).toBe(call?.spanContext().spanId)
    }
    const shown = (name: string) => attempts.map((span) => span?.attributes[name])
    expect(shown('http.request.resend_count')).toEqual([undefined, 1, 2])
    expect(shown('http.response.status_code')).toEqual([503, undefined, 200])
    expect(shown('error.type')).toEqual(['503', 'TypeError', undefined])
    expect(attempts.map((span) => span?.status.code)).toEqual([
      SpanStatusCode.ERROR,
      SpanStatusCode.ERROR,
      SpanStatusCode.UNSET,
    ])
  })

  test('tell what happened between the attempts', async () => {
    const { fetch, clock, spans } = bench([503, 200])
    await finish(clock, fetch(TARGET))
    const { events } = spans().at(-1) as ReadableSpan
    expect(events).toMatchObject([
      { name: 'holdfast.retry', attributes: { attempt: 1, delayMs: 1000, status: 503 } },
    ])
  })

  test('belong to the trace of the caller', async () => {
    const { fetch, clock, spans, tracer } = bench([503, 200])
    const parent = tracer.startSpan('checkout')
    const work = context.with(trace.setSpan(context.active(), parent), () => fetch(TARGET))
    await finish(clock, work)
    const { traceId, spanId } = parent.spanContext()
    expect(spans().map((span) => span.spanContext().traceId)).toEqual([traceId, traceId, traceId])
    expect(spans().at(-1)?.parentSpanContext?.spanId).toBe(spanId)
  })

  test('are passed on: each attempt carries its own as traceparent', async () => {
    const { fetch, clock, spans, sent } = bench([503, 200])
    await finish(clock, fetch(TARGET))
    const ids = spans()
      .slice(0, 2)
      .map((span) => span.spanContext().spanId)
    expect(sent.map((headers) => headers.get('traceparent')?.split('-')[2])).toEqual(ids)
    expect(new Set(ids).size).toBe(2)
  })

  test('of an attempt that others wait for, after the call that began it has been aborted', async () => {
    const { fetch, clock, spans, sent, tracer } = bench([503, 200], { coalesce: true })
    const parent = tracer.startSpan('checkout')
    const { traceId, spanId } = parent.spanContext()
    const controller = new AbortController()
    const aborted = context.with(trace.setSpan(context.active(), parent), () =>
      failureOf(fetch(TARGET, controller)),
    )
    const shared = fetch(TARGET)
    await clock.advance(250)
    expect(clock.sleeps).toContain(1000)
    controller.abort()
    await aborted
    await finish(clock, shared)
    const last = spans().at(-2)
    expect(last).toMatchObject({ name: 'GET', attributes: { 'http.request.resend_count': 1 } })
    expect(last?.parentSpanContext).toMatchObject({ traceId, spanId })
    expect(sent.at(-1)?.get('traceparent')).toContain(last?.spanContext().spanId)
  })

  test('of a hedge: both attempts are children, the second one a resend', async () => {
    const { fetch, clock, spans } = bench([200], { hedge: { delayMs: 100 } })
    const work = fetch(TARGET)
    await clock.advance(1000)
    await work
    const attempts = spans().filter(({ kind }) => kind === SpanKind.CLIENT)
    expect(
      attempts.map(({ attributes }) => [
        attributes['http.request.resend_count'],
        attributes['holdfast.hedge'],
      ]),
    ).toEqual(
      expect.arrayContaining([
        [undefined, undefined],
        [1, true],
      ]),
    )
    expect(attempts).toHaveLength(2)
  })

  test('of two attempts that a policy of the user sends side by side: both end, each has a context of its own', async () => {
    const race: Policy<Response> = {
      name: 'race',
      wrap: (next) => (attempt) => Promise.race([next(attempt), next(attempt)]),
    }
    const { fetch, clock, sent, spans } = bench([200], { policies: [race] })
    await finish(clock, fetch(TARGET))
    const attempts = spans().filter(({ kind }) => kind === SpanKind.CLIENT)
    expect(attempts.map((span) => span.spanContext().spanId)).toEqual(
      sent.map((headers) => headers.get('traceparent')?.split('-')[2]),
    )
    expect(attempts).toHaveLength(2)
  })

  test('a call that was rejected at once has no attempts, and its code as error.type', async () => {
    const { fetch, spans } = bench([200])
    fetch.circuits.get('https://api.test:8443').isolate()
    await failureOf(fetch(TARGET))
    expect(spans()).toMatchObject([
      {
        name: 'holdfast GET',
        status: { code: SpanStatusCode.ERROR },
        attributes: { 'error.type': 'ERR_CIRCUIT_OPEN', 'holdfast.attempts': 0 },
      },
    ])
  })

  test('a network error is named by its code', async () => {
    const error = new TypeError('fetch failed', {
      cause: Object.assign(new Error('x'), { code: 'ECONNRESET' }),
    })
    const { fetch, clock, spans } = bench([error], { retry: false })
    await failureOf(finish(clock, fetch(TARGET)))
    expect(spans().map(({ attributes }) => attributes['error.type'])).toEqual(['ECONNRESET', 'ECONNRESET'])
  })

  test('a method that anybody made up is _OTHER, and stands beside it', async () => {
    const { fetch, clock, spans } = bench([200])
    await finish(clock, fetch(TARGET, { method: 'PURGE' }))
    expect(spans().map(({ name }) => name)).toEqual(['HTTP', 'holdfast HTTP'])
    const methods = { 'http.request.method': '_OTHER', 'http.request.method_original': 'PURGE' }
    for (const { attributes } of spans()) expect(attributes).toMatchObject(methods)
  })

  test('end with the call that is aborted', async () => {
    const { fetch, clock, spans } = bench([200])
    const controller = new AbortController()
    const work = failureOf(fetch(TARGET, { signal: controller.signal }))
    await clock.advance(10)
    controller.abort()
    await work
    expect(spans().map(({ attributes }) => attributes['error.type'])).toEqual(['AbortError', 'AbortError'])
  })

  test('are none with `tracer: false`, nor is there a traceparent', async () => {
    const { fetch, clock, sent } = scripted([200])
    const { meter, spans } = bench([200])
    await finish(clock, instrument(fetch, { tracer: false, meter })(TARGET))
    expect(spans()).toEqual([])
    expect(sent[0]?.has('traceparent')).toBe(false)
  })
})

describe('metrics', () => {
  test('of attempts and calls: durations in seconds', async () => {
    const { fetch, clock, collect } = bench([503, 200])
    await finish(clock, fetch(TARGET))
    const points = await collect()
    expect(points.find(({ name }) => name === 'http.client.request.duration')?.unit).toBe('s')
    const scheme = { 'url.scheme': 'https' }
    expect(pick(points, 'http.client.request.duration')).toEqual([
      [
        expect.objectContaining({ count: 1, sum: 0.25 }),
        { ...GET, ...scheme, 'http.response.status_code': 503, 'error.type': '503' },
      ],
      [
        expect.objectContaining({ count: 1, sum: 0.25 }),
        { ...GET, ...scheme, 'http.response.status_code': 200 },
      ],
    ])
    expect(pick(points, 'holdfast.client.call.duration')).toEqual([
      [
        expect.objectContaining({ count: 1, sum: 1.5 }),
        { ...GET, 'holdfast.source': 'network', 'http.response.status_code': 200 },
      ],
    ])
  })

  test('of retries, replays and what an uncertain end is', async () => {
    const { fetch, clock, collect } = bench([503, replayed(), new TypeError('fetch failed')])
    await finish(clock, fetch(TARGET, WRITE))
    await failureOf(finish(clock, fetch(TARGET, { ...WRITE, holdfast: { retry: false } })))
    const points = await collect()
    expect(pick(points, 'holdfast.client.retries')).toEqual([
      [1, { ...POST, 'http.response.status_code': 503, 'error.type': '503' }],
    ])
    expect(pick(points, 'holdfast.client.idempotent_replays')).toEqual([[1, POST]])
    expect(pick(points, 'holdfast.client.uncertain_calls')).toEqual([[1, POST]])
  })

  test('of circuits and budgets: as they are when they are collected', async () => {
    const { fetch, clock, collect } = bench([503], { circuitBreaker: { consecutive: 6 } })
    const key = { 'holdfast.key': 'https://api.test:8443' }
    await finish(clock, fetch(TARGET))
    expect(pick(await collect(), 'holdfast.client.circuit.state')).toEqual([[0, key]])
    expect(pick(await collect(), 'holdfast.client.retry_budget.tokens')).toEqual([
      [expect.closeTo(6.3, 0), key],
    ])
    await failureOf(finish(clock, fetch(TARGET)))
    const points = await collect()
    expect(pick(points, 'holdfast.client.circuit.state')).toEqual([[2, key]])
    expect(pick(points, 'holdfast.client.circuit.transitions')).toEqual([
      [1, { ...key, 'holdfast.state': 'open' }],
    ])
  })

  test('of give-ups, timeouts and fallbacks: with their reason', async () => {
    const { fetch, clock, collect } = bench([200], {
      retry: false,
      timeout: { attemptMs: 100 },
      fallback: () => new Response('substitute'),
    })
    await finish(clock, fetch(TARGET))
    const points = await collect()
    expect(pick(points, 'holdfast.client.timeouts')).toEqual([[1, { ...GET, 'holdfast.kind': 'attempt' }]])
    expect(pick(points, 'holdfast.client.fallbacks')).toEqual([[1, { ...GET, 'holdfast.reason': 'timeout' }]])
    expect(pick(points, 'holdfast.client.call.duration').map(([, attributes]) => attributes)).toMatchObject([
      { 'holdfast.source': 'fallback' },
    ])
  })

  test('are none with `meter: false`', async () => {
    const { collect, tracer } = bench([200])
    const { fetch, clock } = scripted([200])
    await finish(clock, instrument(fetch, { tracer, meter: false })(TARGET))
    expect(await collect()).toEqual([])
  })

  test('of the server half: what happened to keys, and how long runs took', async () => {
    const { meter, collect } = bench([])
    const listener = idempotencyListener({ meter })
    for (const event of SERVER_EVENTS) listener(event)
    const points = await collect()
    expect(pick(points, 'holdfast.server.events')).toEqual([
      [1, { 'holdfast.event': 'acquired' }],
      [1, { 'holdfast.event': 'completed' }],
      [2, { 'holdfast.event': 'replayed' }],
      [1, { 'holdfast.event': 'rejected', 'holdfast.code': 'request-in-flight' }],
      [1, { 'holdfast.event': 'store-error', 'holdfast.code': 'complete' }],
      [1, { 'holdfast.event': 'waited', 'holdfast.code': 'answered' }],
    ])
    expect(pick(points, 'holdfast.server.execution.duration')).toEqual([
      [
        expect.objectContaining({ count: 1, sum: 0.04 }),
        { 'http.request.method': 'POST', 'http.response.status_code': 201 },
      ],
    ])
  })
})

test('no secret is in any attribute, event or status', async () => {
  const { fetch, clock, spans, collect, meter } = bench([
    503,
    new TypeError(SECRET),
    Object.assign(new Error(SECRET), { cause: SECRET }),
    400,
  ])
  await finish(clock, fetch(TARGET, WRITE))
  const listener = idempotencyListener({ meter })
  for (const event of SERVER_EVENTS) listener(event)
  const told = spans().map(({ name, attributes, events, status }) => ({ name, attributes, events, status }))
  expect(told.length).toBeGreaterThan(3)
  expect(JSON.stringify([told, await collect()])).not.toContain(SECRET)
})

describe('instrument()', () => {
  test('takes the registered providers where none is given', async () => {
    const exporter = new InMemorySpanExporter()
    const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] })
    trace.setGlobalTracerProvider(provider)
    try {
      const { fetch, clock } = scripted([200])
      await finish(clock, instrument(fetch)(TARGET))
      expect(exporter.getFinishedSpans()).toHaveLength(2)
    } finally {
      trace.disable()
    }
  })

  test.each([
    [{ tracer: 7 }, 'tracer should be a Tracer, with startSpan, got 7'],
    [{ meter: {} }, 'meter should be a Meter, with createCounter, got an object with no keys'],
    [{ tracr: false }, 'tracr'],
    [
      { api: {} },
      'api.trace should be that of @opentelemetry/api, with getTracer and setSpan, got undefined',
    ],
  ])('refuses %o', (options, message) => {
    expect(() => instrument(scripted([]).fetch, options as never)).toThrow(message)
  })

  test('refuses a fetch that is none of ours', () => {
    expect(() => instrument(globalThis.fetch as never)).toThrow(
      'what instrument() is given should be a fetch that createFetch has made, got a function',
    )
  })
})
