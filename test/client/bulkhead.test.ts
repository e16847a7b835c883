import { describe, expect, onTestFinished, test } from 'vitest'
import { callOf } from '../../src/client/call.ts'
import {
  BulkheadFullError,
  concurrencyLimit,
  createFetch,
  outcomeOf,
  type FetchOptions,
  type HoldfastEvent,
  type HoldfastFetch,
  type HoldfastInit,
} from '../../src/index.ts'
import { endless, faultServer, status, type Fault } from '../../src/testing/index.ts'
import { deferred, watch, type Deferred } from '../support/operations.ts'
import { testClock } from './support/clock.ts'
import { expectNoUnhandledRejections } from './support/unhandled.ts'
import { failureOf, finish, until } from './support/wait.ts'

expectNoUnhandledRejections()

/** A server that answers each request when it is told to, and knows how many it had at once. */
async function heldServer(faults: readonly Fault[] = []) {
  const arrived: string[] = []
  const held: Deferred<void>[] = []
  const counts = { now: 0, most: 0 }
  const server = await faultServer({
    faults,
    async handler({ url }) {
      arrived.push(new URL(url).pathname)
      counts.most = Math.max(counts.most, ++counts.now)
      const gate = deferred()
      held.push(gate)
      await gate.promise
      counts.now--
      return Response.json({ ok: true })
    },
  })
  onTestFinished(async () => {
    for (const gate of held) gate.resolve()
    await server.close()
  })
  return { server, arrived, held, counts }
}

async function bench(options: FetchOptions = {}, faults: readonly Fault[] = []) {
  const clock = testClock()
  const events: HoldfastEvent[] = []
  const held = await heldServer(faults)
  const fetch = createFetch({ clock, random: () => 0.5, onEvent: (event) => events.push(event), ...options })
  const call = (path: string, init: HoldfastInit = {}, by: HoldfastFetch = fetch): Promise<number> =>
    by(held.server.url + path, init).then(async (response) => (await response.text(), response.status))
  /** That many calls are under way at the server, and stay so until the test ends. */
  const occupy = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index++) void watch(call(`/busy${index}`))
    await until(() => held.arrived.length === count)
  }
  return { ...held, clock, events, fetch, call, occupy }
}

describe('a bulkhead in a client', () => {
  test('keeps its limit under 50 parallel calls, all of which are served', async () => {
    const { call, held, counts } = await bench({ bulkhead: { maxConcurrent: 4 } })
    const calls = Promise.all(Array.from({ length: 50 }, (_, index) => call(`/${index}`)))
    for (let served = 0; served < 50; served++) {
      // All places are taken before one is given back, or the limit might never be reached.
      await until(() => held.length >= Math.min(served + 4, 50))
      held[served]?.resolve()
    }
    expect(await calls).toEqual(Array.from({ length: 50 }, () => 200))
    expect(counts.most).toBe(4)
  })

  test('is off unless it is given', async () => {
    const { occupy, counts, fetch } = await bench()
    await occupy(20)
    expect(counts.most).toBe(20)
    expect(fetch.describe()).not.toContain('bulkhead')
  })

  test('serves those who wait in the order in which they came', async () => {
    const { call, held, arrived, occupy } = await bench({ bulkhead: { maxConcurrent: 1 } })
    await occupy(1)
    const calls = ['/a', '/b', '/c'].map((path) => call(path))
    for (let served = 0; served < 4; served++) {
      await until(() => held.length > served)
      held[served]?.resolve()
    }
    await Promise.all(calls)
    expect(arrived).toEqual(['/busy0', '/a', '/b', '/c'])
  })

  test('an abort in the queue rejects with its reason and gives the place in line to the next', async () => {
    const { call, held, arrived, occupy } = await bench({ bulkhead: { maxConcurrent: 1, maxQueued: 1 } })
    await occupy(1)
    const controller = new AbortController()
    const waiting = failureOf(call('/a', { signal: controller.signal }))
    expect(await failureOf(call('/b'))).toBeInstanceOf(BulkheadFullError)
    const reason = new Error('left')
    controller.abort(reason)
    expect(await waiting).toBe(reason)
    const next = call('/c')
    held[0]?.resolve()
    await until(() => held.length === 2)
    held[1]?.resolve()
    expect(await next).toBe(200)
    expect(arrived).toEqual(['/busy0', '/c'])
  })

  test('the total timeout ends a call in the queue, the attempt timeout does not count the wait', async () => {
    const { call, clock, occupy, arrived, held } = await bench({
      bulkhead: { maxConcurrent: 1 },
      timeout: { attemptMs: false, totalMs: false },
    })
    await occupy(1)
    const timeout = { attemptMs: 50, totalMs: 100 }
    const cut = watch(call('/a', { holdfast: { timeout } }))
    const patient = call('/b', { holdfast: { timeout: { attemptMs: 50, totalMs: 1000 } } })
    await clock.advance(99)
    expect(cut.settled).toBe(false)
    await clock.advance(1)
    expect(cut.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT', timeoutMs: 100 })
    held[0]?.resolve()
    await until(() => held.length === 2)
    held[1]?.resolve()
    expect(await patient).toBe(200)
    expect(arrived).toEqual(['/busy0', '/b'])
  })

  test('a refusal is told with its numbers, costs no attempt, no retry and no failure of the circuit', async () => {
    const { call, clock, server, fetch, events, occupy } = await bench({
      bulkhead: { maxConcurrent: 1, maxQueued: 0 },
      circuitBreaker: { minimumCalls: 1 },
    })
    await occupy(1)
    const error = await failureOf(call('/a', { method: 'POST', body: '{}' }))
    expect(error).toMatchObject({ name: 'BulkheadFullError', code: 'ERR_BULKHEAD_FULL', key: server.url })
    expect((error as Error).message).toBe(
      `bulkhead "${server.url}" is full: 1 running (at most 1), 0 waiting (at most 0)`,
    )
    expect(outcomeOf(error)).toMatchObject({ attempts: 0, uncertain: false, delaysMs: [] })
    expect(clock.sleeps).toEqual([])
    expect(fetch.circuits.get(server.url).state).toBe('closed')
    expect(events.filter(({ type }) => type === 'give-up' || type === 'retry')).toEqual([])
    expect(events.at(-1)).toMatchObject({ type: 'call-end', attempts: 0, error })
  })

  test('a refusal after a failed attempt has that as its cause', async () => {
    const { call, clock, server } = await bench({ bulkhead: { maxConcurrent: 1, maxQueued: 0 } }, [
      status(503),
    ])
    const refused = failureOf(call('/a'))
    await until(() => clock.wakeInMs !== undefined)
    void watch(call('/busy'))
    await until(() => server.requests.length === 2)
    const error = await finish(clock, refused)
    expect(error).toMatchObject({ code: 'ERR_BULKHEAD_FULL', cause: { status: 503 } })
    expect(outcomeOf(error)).toMatchObject({ attempts: 1 })
  })

  test('a call that sleeps between attempts holds no place', async () => {
    const { call, clock, held } = await bench({ bulkhead: { maxConcurrent: 1, maxQueued: 0 } }, [status(503)])
    const sleeping = call('/a')
    await until(() => clock.wakeInMs !== undefined)
    const between = call('/b')
    await until(() => held.length === 1)
    held[0]?.resolve()
    expect(await between).toBe(200)
    const ended = finish(clock, sleeping)
    await until(() => held.length === 2)
    held[1]?.resolve()
    expect(await ended).toBe(200)
  })

  test('what an open circuit rejects frees its place for the next in line', async () => {
    const { fetch, server, call } = await bench({ bulkhead: { maxConcurrent: 1 } })
    fetch.circuits.get(server.url).isolate()
    const calls = await Promise.all([failureOf(call('/a')), failureOf(call('/b'))])
    expect(calls).toMatchObject([{ code: 'ERR_CIRCUIT_OPEN' }, { code: 'ERR_CIRCUIT_OPEN' }])
  })

  test('a place is free once the headers are there, however long the body', async () => {
    const { fetch, call, server, held } = await bench({ bulkhead: { maxConcurrent: 1, maxQueued: 0 } }, [
      endless(),
    ])
    const controller = new AbortController()
    const response = await fetch(server.url, { signal: controller.signal })
    const next = call('/b')
    await until(() => held.length === 1)
    held[0]?.resolve()
    expect(await next).toBe(200)
    expect(response.bodyUsed).toBe(false)
    controller.abort()
  })

  test('a fallback is told the reason, and answers', async () => {
    const reasons: string[] = []
    const { fetch, server, occupy } = await bench({
      bulkhead: { maxConcurrent: 1, maxQueued: 0 },
      fallback({ reason }) {
        reasons.push(reason)
        return new Response('stored')
      },
    })
    await occupy(1)
    const response = await fetch(server.url)
    expect(await response.text()).toBe('stored')
    expect(outcomeOf(response)?.source).toBe('fallback')
    expect(reasons).toEqual(['bulkhead'])
  })

  test('a cache is told that the call has failed', async () => {
    const stored = new Response('stored')
    const { fetch, server, occupy } = await bench({
      bulkhead: { maxConcurrent: 1, maxQueued: 0 },
      cache: {
        policy: () => ({
          name: 'cache',
          wrap:
            <T extends Response>(next: (context: never) => Promise<T>) =>
            (context) =>
              next(context as never).catch((error: unknown) => {
                if (callOf(context).hasFailed({ ok: false, error })) return stored as T
                throw error
              }),
        }),
      },
    })
    await occupy(1)
    expect(await (await fetch(server.url)).text()).toBe('stored')
  })
})

describe('its places', () => {
  test('are those of a circuit key', async () => {
    const { fetch, call, occupy, counts } = await bench({ bulkhead: { maxConcurrent: 1, maxQueued: 0 } })
    await occupy(1)
    expect(await failureOf(call('/a'))).toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
    void watch(call('/b', {}, fetch.with({ circuitBreaker: { key: 'other' } })))
    await until(() => counts.now === 2)
  })

  test('are shared by all fetches of a client; it can be switched off for one and for a call', async () => {
    const { fetch, call, occupy, counts } = await bench({ bulkhead: { maxConcurrent: 1, maxQueued: 0 } })
    await occupy(1)
    const derived = fetch.with({ retry: false })
    expect(await failureOf(call('/a', {}, derived))).toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
    const alike: HoldfastInit = { holdfast: { retry: { maxRetries: 1 } } }
    expect(await failureOf(call('/b', alike))).toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
    void watch(call('/c', { holdfast: { bulkhead: false } }))
    await until(() => counts.now === 2)
    void watch(call('/d', {}, fetch.with({ bulkhead: false })))
    await until(() => counts.now === 3)
  })

  test('can only be set in createFetch, and the message says so', async () => {
    const { fetch, call } = await bench({ bulkhead: { maxConcurrent: 1 } })
    const message =
      'bulkhead should be false, since places are shared: set them in createFetch, got an object with maxConcurrent'
    const changes = { bulkhead: { maxConcurrent: 2 } } as never
    expect(() => fetch.with(changes)).toThrow(`fetch.with ${message}`)
    expect(await failureOf(call('/a', { holdfast: changes }))).toMatchObject({
      message: `holdfast ${message}`,
    })
  })

  test('are guarded when everything else is off', async () => {
    const off = { retry: false, circuitBreaker: false, idempotency: false, timeout: false } as const
    const { call, occupy } = await bench({
      ...off,
      retryBudget: false,
      onEvent: false,
      bulkhead: { maxConcurrent: 1, maxQueued: 0 },
    })
    await occupy(1)
    expect(await failureOf(call('/a'))).toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
  })

  test('stand between own policies and the circuit breaker', () => {
    const mine = { name: 'mine', wrap: (next: never) => next } as const
    const described = createFetch({ bulkhead: { maxQueued: 0 }, policies: [mine] }).describe()
    const names = described.split('\n').map((line) => /[\w-]+/.exec(line)?.[0])
    const first = names.indexOf('retry')
    expect(names.slice(first, first + 4)).toEqual(['retry', 'mine', 'bulkhead', 'circuit-breaker'])
    expect(described).toContain('bulkhead  maxConcurrent 10 · maxQueued 0')
  })
})

describe('a concurrency limit among the policies of a client', () => {
  test('is one for each origin', async () => {
    const { fetch, call, occupy, server } = await bench({
      policies: [concurrencyLimit({ initialLimit: 2, maxQueued: 0 })],
    })
    await occupy(2)
    const error = await failureOf(call('/a'))
    expect(error).toMatchObject({ code: 'ERR_BULKHEAD_FULL', key: server.url })
    expect(outcomeOf(error)).toMatchObject({ attempts: 0, delaysMs: [] })
    await using other = await faultServer()
    expect((await fetch(other.url)).status).toBe(200)
  })

  test('is reached by fetches derived from it, too, and a fallback is told', async () => {
    const reasons: string[] = []
    const { fetch, call, occupy } = await bench({
      policies: [concurrencyLimit({ initialLimit: 1 })],
      fallback: ({ reason }) => (reasons.push(reason), new Response('stored', { status: 203 })),
    })
    await occupy(1)
    expect(await call('/a', {}, fetch.with({ retry: false }))).toBe(203)
    expect(reasons).toEqual(['bulkhead'])
  })

  test('shrinks when attempts time out', async () => {
    const policy = concurrencyLimit()
    const { clock, call, arrived, server } = await bench({
      policies: [policy],
      retry: false,
      timeout: { attemptMs: 1000 },
    })
    const calls = Array.from({ length: 20 }, (_, index) => failureOf(call(`/${index}`)))
    await until(() => arrived.length === 20)
    await clock.advance(1000)
    expect(await calls[0]).toMatchObject({ code: 'ERR_ATTEMPT_TIMEOUT' })
    await Promise.all(calls)
    expect(policy.places(server.url)).toEqual({ running: 0, queued: 0, limit: 15 })
  })

  test('cannot stand outside a bulkhead: one of them is enough', () => {
    expect(() => createFetch({ bulkhead: {}, policies: [concurrencyLimit()] })).toThrow(
      'createFetch: concurrency-limit stands outside bulkhead; the wait for a free place',
    )
  })
})
