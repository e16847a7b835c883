import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  createFetch,
  outcomeOf,
  type Fallback,
  type FetchOptions,
  type HoldfastEvent,
} from '../../src/index.ts'
import { endless, faultServer, hang, reset, status, type Fault } from '../../src/testing/index.ts'
import { deferred } from '../support/operations.ts'
import { testClock } from './support/clock.ts'
import { expectNoUnhandledRejections } from './support/unhandled.ts'
import { failureOf, finish, tick, until } from './support/wait.ts'

expectNoUnhandledRejections()

/** A server that always does the same, and a client with a fallback. */
async function bench(fault: Fault, options: FetchOptions = {}) {
  const clock = testClock()
  const events: HoldfastEvent[] = []
  const server = await faultServer({ faults: () => fault })
  onTestFinished(() => server.close())
  const respond = vi.fn<Fallback>(() => new Response('substitute'))
  const fetch = createFetch({
    clock,
    random: () => 0.5,
    retry: { maxRetries: 1 },
    fallback: respond,
    onEvent: (event) => events.push(event),
    ...options,
  })
  const get = (init: RequestInit = {}): Promise<Response> => finish(clock, fetch(`${server.url}/a?b=c`, init))
  return { clock, events, server, respond, fetch, get }
}

describe('when a fallback answers', () => {
  test('exhausted with a response', async () => {
    const { get, respond, server, events } = await bench(status(503, { body: 'down' }))
    const response = await get()
    expect(await response.text()).toBe('substitute')
    expect(outcomeOf(response)).toMatchObject({ source: 'fallback', attempts: 2, delaysMs: [1000] })
    expect(respond).toHaveBeenCalledExactlyOnceWith({
      request: { method: 'GET', url: `${server.url}/a?b=c` },
      reason: 'exhausted',
      response: expect.objectContaining({ status: 503 }) as Response,
      idempotencyKey: undefined,
      uncertain: false,
    })
    expect(events).toContainEqual(expect.objectContaining({ type: 'fallback', reason: 'exhausted' }))
    expect(events.at(-1)).toMatchObject({ type: 'call-end', source: 'fallback', status: 200 })
  })

  test('exhausted with an error', async () => {
    const { get, respond } = await bench(reset())
    expect(await (await get()).text()).toBe('substitute')
    const [input] = respond.mock.calls[0] ?? []
    expect(input).toMatchObject({ reason: 'exhausted', error: expect.any(TypeError) as TypeError })
    expect(input).not.toHaveProperty('response')
  })

  test('an open circuit, without an attempt', async () => {
    const { get, respond, server, fetch } = await bench(status(503))
    fetch.circuits.get(server.url).isolate()
    const response = await get()
    expect(await response.text()).toBe('substitute')
    expect(outcomeOf(response)).toMatchObject({ source: 'fallback', attempts: 0 })
    expect(respond.mock.calls[0]?.[0]).toMatchObject({
      reason: 'circuit-open',
      error: { code: 'ERR_CIRCUIT_OPEN' },
    })
    expect(server.requests).toHaveLength(0)
  })

  test.each([
    ['the attempts', { attemptMs: 100 }, 'ERR_ATTEMPT_TIMEOUT'],
    ['the whole call', { totalMs: 100 }, 'ERR_TOTAL_TIMEOUT'],
  ])('a timeout of %s', async (_, timeout, code) => {
    const { fetch, respond, server, clock } = await bench(hang(), { timeout, retry: false })
    const work = fetch(server.url)
    await until(() => server.requests.length === 1)
    await clock.advance(100)
    expect(await (await work).text()).toBe('substitute')
    expect(respond.mock.calls[0]?.[0]).toMatchObject({ reason: 'timeout', error: { code } })
  })

  test('without retries too', async () => {
    const { get } = await bench(status(500), { retry: false })
    expect(await (await get()).text()).toBe('substitute')
  })

  test('HEAD as well', async () => {
    const { get, respond } = await bench(status(503))
    await get({ method: 'HEAD' })
    expect(respond).toHaveBeenCalledOnce()
  })

  test('the substitute can take its time', async () => {
    const { get } = await bench(status(503), {
      fallback: async () => {
        await Promise.resolve()
        return new Response('later')
      },
    })
    expect(await (await get()).text()).toBe('later')
  })

  test('a single call can have its own, or none', async () => {
    const { fetch, server, clock } = await bench(status(503))
    const own = fetch(server.url, { holdfast: { fallback: () => new Response('own') } })
    expect(await (await finish(clock, own)).text()).toBe('own')
    const none = fetch(server.url, { holdfast: { fallback: false } })
    expect((await finish(clock, none)).status).toBe(503)
  })
})

describe('when it does not', () => {
  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('%s by default', async (method) => {
    const { get, respond } = await bench(status(503))
    const response = await get({ method })
    expect(response.status).toBe(503)
    expect(await response.text()).toBe('503, on purpose\n')
    expect(outcomeOf(response)).toMatchObject({ source: 'network' })
    expect(respond).not.toHaveBeenCalled()
  })

  test('with methods: for those, in any case, and no others', async () => {
    const respond = vi.fn<Fallback>(() => new Response('queued', { status: 202 }))
    const { get } = await bench(status(503), { fallback: { methods: ['post'], respond } })
    const response = await get({ method: 'POST', headers: { 'idempotency-key': 'order-1' } })
    expect(response.status).toBe(202)
    expect(respond.mock.calls[0]?.[0]).toMatchObject({
      request: { method: 'POST' },
      idempotencyKey: 'order-1',
      uncertain: true,
    })
    expect((await get()).status).toBe(503)
    expect(respond).toHaveBeenCalledOnce()
  })

  test.each([200, 304, 400, 401, 404, 409, 422])('%d is no failure', async (code) => {
    const { get, respond } = await bench(status(code, { body: code === 304 ? '' : 'own' }))
    expect((await get()).status).toBe(code)
    expect(respond).not.toHaveBeenCalled()
  })

  test.each([
    ['during an attempt', hang(), 0],
    ['during a backoff', status(503), 1],
  ])('the caller’s abort %s', async (_, fault, sleeps) => {
    const { fetch, server, respond, clock, events } = await bench(fault)
    const controller = new AbortController()
    const work = failureOf(fetch(server.url, { signal: controller.signal }))
    await until(() => server.requests.length === 1 && clock.sleeps.length === sleeps)
    const reason = new Error('mine')
    controller.abort(reason)
    expect(await work).toBe(reason)
    await clock.settle()
    expect(respond).not.toHaveBeenCalled()
    expect(events.map(({ type }) => type)).not.toContain('fallback')
  })

  test('a hook that throws', async () => {
    const bug = new Error('bug')
    const { get, respond } = await bench(status(503), {
      beforeAttempt() {
        throw bug
      },
    })
    expect(await failureOf(get())).toBe(bug)
    expect(respond).not.toHaveBeenCalled()
  })

  test('a request that cannot be built', async () => {
    const { fetch, server, respond } = await bench(status(503))
    expect(await failureOf(fetch(server.url, { headers: { 'no header': '1' } }))).toBeInstanceOf(TypeError)
    expect(respond).not.toHaveBeenCalled()
  })

  test('undefined lets a response stand, unread', async () => {
    const { get, events } = await bench(status(503, { body: 'whole' }), { fallback: () => undefined })
    const response = await get()
    expect(response.status).toBe(503)
    expect(await response.text()).toBe('whole')
    expect(outcomeOf(response)).toMatchObject({ source: 'network' })
    expect(events.map(({ type }) => type)).not.toContain('fallback')
  })

  test('undefined lets an error stand, the same object', async () => {
    let seen: unknown
    const { get } = await bench(reset(), { fallback: ({ error }) => void (seen = error) })
    expect(await failureOf(get())).toBe(seen)
  })
})

describe('a fallback that throws', () => {
  test('surfaces its own error, with the failed response as the cause', async () => {
    const bug = new Error('no cache either')
    const { get } = await bench(status(503), {
      fallback() {
        throw bug
      },
    })
    expect(await failureOf(get())).toBe(bug)
    expect(bug.cause).toMatchObject({ status: 503 })
    expect(outcomeOf(bug)).toMatchObject({ source: 'network', attempts: 2 })
  })

  test('with the original error as the cause', async () => {
    const bug = new Error('no cache either')
    const { get } = await bench(reset(), { fallback: () => Promise.reject(bug) })
    expect(await failureOf(get())).toBe(bug)
    expect(bug.cause).toBeInstanceOf(TypeError)
  })

  test('a cause of its own stays, a frozen error is left alone, a primitive too', async () => {
    const own = new Error('bug', { cause: 'own' })
    const frozen = Object.freeze(new Error('bug'))
    for (const bug of [own, frozen, 'bug']) {
      const { get } = await bench(reset(), { fallback: () => Promise.reject(bug) })
      expect(await failureOf(get())).toBe(bug)
    }
    expect(own.cause).toBe('own')
  })
})

describe('what it replaces', () => {
  test.each(['throws', 'rejects'])('a fallback that %s leaves the failed response to nobody', async (how) => {
    const bug = new Error('no cache either')
    const { get, server } = await bench(endless({ status: 503, intervalMs: 2 }), {
      retry: false,
      fallback() {
        if (how === 'throws') throw bug
        return Promise.reject(bug)
      },
    })
    expect(await failureOf(get())).toBe(bug)
    await until(() => server.requests[0]?.outcome === 'cut')
  })

  test('the body of the replaced response is discarded', async () => {
    const { get, server } = await bench(endless({ status: 503, intervalMs: 2 }), { retry: false })
    expect(await (await get()).text()).toBe('substitute')
    await until(() => server.requests[0]?.outcome === 'cut')
    expect(server.requests).toHaveLength(1)
  })

  test('the failed response itself can be the answer', async () => {
    const { get } = await bench(status(503, { body: 'whole' }), { fallback: ({ response }) => response })
    const response = await get()
    expect(response.status).toBe(503)
    expect(await response.text()).toBe('whole')
  })

  test('the fallback can read the failed response', async () => {
    const { get } = await bench(status(503, { body: 'down' }), {
      fallback: async ({ response }) => new Response(`was: ${await response?.text()}`),
    })
    expect(await (await get()).text()).toBe('was: down')
  })

  test('an abort while the fallback works rejects with the reason, its late answer is discarded', async () => {
    const gate = deferred<Response>()
    const { fetch, server, respond } = await bench(status(503), { retry: false })
    respond.mockReturnValue(gate.promise)
    const controller = new AbortController()
    const work = failureOf(fetch(server.url, { signal: controller.signal }))
    await until(() => respond.mock.calls.length === 1)
    controller.abort('mine')
    expect(await work).toBe('mine')
    const cancel = vi.fn<() => void>()
    gate.resolve(new Response(new ReadableStream({ cancel })))
    await tick()
    expect(cancel).toHaveBeenCalledOnce()
  })

  test('a substitute is not sampled: the circuit counts the failures behind it', async () => {
    const { fetch, server } = await bench(status(503), {
      retry: false,
      circuitBreaker: { minimumCalls: 3 },
    })
    for (let call = 0; call < 3; call++) await fetch(server.url)
    expect(fetch.circuits.get(server.url).state).toBe('open')
  })

  test('bodyIdleMs does not watch a substitute', async () => {
    const substitute = new Response('substitute')
    const { get } = await bench(status(503), {
      timeout: { bodyIdleMs: 5 },
      fallback: () => substitute,
    })
    expect(await get()).toBe(substitute)
  })
})
