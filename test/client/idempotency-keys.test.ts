import { describe, expect, test, vi } from 'vitest'
import {
  createFetch,
  outcomeOf,
  type FetchOptions,
  type HoldfastEvent,
  type HoldfastInit,
  type Transport,
} from '../../src/index.ts'
import {
  faultServer,
  ok,
  reset,
  resetAfter,
  status,
  times,
  type FaultServer,
} from '../../src/testing/index.ts'
import { testClock } from './support/clock.ts'
import { failureOf, finish, until } from './support/wait.ts'

const UUID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/

const keys = (server: FaultServer, header = 'idempotency-key'): (string | undefined)[] =>
  server.requests.map(({ headers }) => headers[header])

/** The key on the wire of one request with these settings. */
async function keyOf(init: HoldfastInit, options: FetchOptions = {}): Promise<string | undefined> {
  await using server = await faultServer()
  await createFetch(options)(server.url, init)
  return keys(server)[0]
}

const IN_FLIGHT = { headers: { 'idempotency-status': 'in-flight' } }

describe('a key', () => {
  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'post', 'delete'])('is a UUID: %s', async (method) => {
    expect(await keyOf({ method })).toMatch(UUID)
  })

  test.each(['GET', 'HEAD', 'OPTIONS', 'get'])('is not put on %s', async (method) => {
    expect(await keyOf({ method })).toBeUndefined()
  })

  test('is the same on every attempt', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503), resetAfter(), status(429), reset()] })
    const response = await finish(clock, createFetch({ clock })(server.url, { method: 'POST' }))
    expect(server.requests).toHaveLength(5)
    expect(new Set(keys(server)).size).toBe(1)
    expect(outcomeOf(response)?.idempotencyKey).toBe(keys(server)[0])
  })

  test('is another one for each call', async () => {
    await using server = await faultServer()
    const fetch = createFetch()
    await Promise.all(Array.from({ length: 20 }, () => fetch(server.url, { method: 'POST' })))
    expect(new Set(keys(server)).size).toBe(20)
  })

  test('leaves the caller’s headers as they are', async () => {
    const headers = new Headers({ a: '1' })
    const plain = { a: '1' }
    const request = new Request('http://x.test/', { method: 'POST', headers })
    const fetch = createFetch({ fetch: async () => new Response() })
    await fetch('http://x.test/', { method: 'POST', headers })
    await fetch('http://x.test/', { method: 'POST', headers: plain })
    await fetch(request)
    expect([...headers]).toEqual([['a', '1']])
    expect(plain).toEqual({ a: '1' })
    expect(request.headers.has('idempotency-key')).toBe(false)
  })

  test.each<[string, HoldfastInit['headers']]>([
    ['an object', { 'idempotency-KEY': 'mine' }],
    ['Headers', new Headers({ 'idempotency-key': 'mine' })],
    ['pairs', [['Idempotency-Key', 'mine']]],
  ])('of the caller’s own in a header wins: %s', async (_, headers = {}) => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503)] })
    const response = await finish(clock, createFetch({ clock })(server.url, { method: 'POST', headers }))
    expect(keys(server)).toEqual(['mine', 'mine'])
    expect(outcomeOf(response)?.idempotencyKey).toBe('mine')
  })

  test('of the caller’s own on a Request wins', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503)] })
    const request = new Request(server.url, { method: 'POST', headers: { 'idempotency-key': 'mine' } })
    await finish(clock, createFetch({ clock })(request))
    expect(keys(server)).toEqual(['mine', 'mine'])
  })

  test.each<[string, (url: string) => Parameters<typeof fetch>]>([
    ['an object', (url) => [url, { method: 'POST', headers: { a: '1', 'idempotency-KEY': '' } }]],
    [
      'Headers, and a signal',
      (url) => [
        url,
        {
          method: 'POST',
          headers: new Headers({ a: '1', 'idempotency-key': '' }),
          signal: new AbortController().signal,
        },
      ],
    ],
    [
      'a Request',
      (url) => [new Request(url, { method: 'POST', headers: { a: '1', 'idempotency-key': '' } })],
    ],
  ])('is none, and none is sent, where the header is empty: %s', async (_, args) => {
    await using server = await faultServer({ faults: [status(503)] })
    const response = await createFetch()(...args(server.url))
    expect(server.requests.map(({ headers }) => headers['a'])).toEqual(['1'])
    expect(keys(server)).toEqual([undefined])
    expect(outcomeOf(response)).toMatchObject({ attempts: 1, idempotencyKey: undefined })
  })

  test('of the caller’s own makes a PATCH safe where none would be made', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503)] })
    const fetch = createFetch({ clock, idempotency: { honoredBy: [] } })
    const init = { method: 'PATCH', headers: { 'idempotency-key': 'mine' } }
    expect((await finish(clock, fetch(server.url, init))).status).toBe(200)
    expect(keys(server)).toEqual(['mine', 'mine'])
  })

  test('by option', async () => {
    expect(await keyOf({ method: 'POST', holdfast: { idempotencyKey: 'option' } })).toBe('option')
  })

  test('by option goes on any method and to any origin', async () => {
    const init = { method: 'GET', holdfast: { idempotencyKey: 'option' } }
    expect(await keyOf(init, { idempotency: { honoredBy: [] } })).toBe('option')
  })

  test.each(['same', '"same"'])('by option and header that agree: %s', async (header) => {
    const init = {
      method: 'POST',
      headers: { 'idempotency-key': header },
      holdfast: { idempotencyKey: 'same' },
    }
    expect(await keyOf(init)).toBe(header)
  })

  test('by option and header that differ is an error, with both', async () => {
    await using server = await faultServer()
    const init = {
      method: 'POST',
      headers: { 'idempotency-key': 'one' },
      holdfast: { idempotencyKey: 'two' },
    }
    const error = await failureOf(createFetch()(server.url, init))
    expect(error).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringMatching(/"one".*"two"/),
    })
    expect(server.requests).toHaveLength(0)
  })

  test('by option where keys are off is an error', async () => {
    const fetch = createFetch({ idempotency: false, fetch: async () => new Response() })
    const error = await failureOf(
      fetch('http://x.test/', { method: 'POST', holdfast: { idempotencyKey: 'k' } }),
    )
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION' })
  })

  test('is not made with idempotency: false, nor is a caller’s own touched', async () => {
    expect(await keyOf({ method: 'POST' }, { idempotency: false })).toBeUndefined()
    const init = { method: 'POST', headers: { 'idempotency-key': 'mine' } }
    expect(await keyOf(init, { idempotency: false })).toBe('mine')
  })

  test('goes into the header of the option', async () => {
    await using server = await faultServer()
    const fetch = createFetch({ idempotency: { header: 'X-Request-Key', generateKey: () => 'made' } })
    await fetch(server.url, { method: 'POST' })
    await fetch(server.url, { method: 'POST', headers: { 'x-request-key': 'mine' } })
    expect(keys(server, 'x-request-key')).toEqual(['made', 'mine'])
    expect(keys(server)).toEqual([undefined, undefined])
  })

  test('is put on idempotency.methods only, in whatever case', async () => {
    const idempotency = { methods: ['put'] }
    expect(await keyOf({ method: 'PUT' }, { idempotency })).toMatch(UUID)
    expect(await keyOf({ method: 'POST' }, { idempotency })).toBeUndefined()
  })

  test('is made by generateKey, once a call', async () => {
    const clock = testClock()
    const generateKey = vi.fn<() => string>(() => 'made')
    await using server = await faultServer({ faults: [status(503)] })
    await finish(clock, createFetch({ clock, idempotency: { generateKey } })(server.url, { method: 'POST' }))
    expect(keys(server)).toEqual(['made', 'made'])
    expect(generateKey).toHaveBeenCalledOnce()
  })

  test.each([
    ['k', '"k"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
  ])('as a structured-field string: %s', async (key, written) => {
    const idempotency = { format: 'sf-string', generateKey: () => key } as const
    expect(await keyOf({ method: 'POST' }, { idempotency })).toBe(written)
  })

  test('of the caller’s own is sent as it was written, and read without its quotes', async () => {
    await using server = await faultServer()
    const init = { method: 'POST', headers: { 'idempotency-key': '"a\\"b"' } }
    const response = await createFetch()(server.url, init)
    expect(keys(server)).toEqual(['"a\\"b"'])
    expect(outcomeOf(response)?.idempotencyKey).toBe('a"b')
  })

  test('reaches only the origins of honoredBy', async () => {
    const clock = testClock()
    await using known = await faultServer({ faults: [status(503)] })
    await using other = await faultServer({ faults: [times(9, status(503))] })
    const fetch = createFetch({ clock, idempotency: { honoredBy: [`${known.url}/some/path`] } })
    expect((await finish(clock, fetch(known.url, { method: 'POST' }))).status).toBe(200)
    expect((await finish(clock, fetch(other.url, { method: 'POST' }))).status).toBe(503)
    expect(keys(known)[0]).toMatch(UUID)
    expect(keys(other)).toEqual([undefined])
  })

  test('is not put on a no-cors request, which is keyless then', async () => {
    const clock = testClock()
    const transport = vi.fn<Transport>().mockRejectedValue(new TypeError('reset'))
    const fetch = createFetch({ clock, fetch: transport })
    await failureOf(fetch('http://x.test/', { method: 'POST', mode: 'no-cors' }))
    await failureOf(fetch(new Request('http://x.test/', { method: 'POST', mode: 'no-cors' })))
    expect(transport).toHaveBeenCalledTimes(2)
    for (const [, init] of transport.mock.calls) {
      expect(new Headers(init?.headers).has('idempotency-key')).toBe(false)
    }
  })
})

describe('an answer on record is final', () => {
  test.each([
    ['idempotent-replayed', 'true'],
    ['idempotency-status', 'stored'],
  ])('%s: %s', async (name, value) => {
    await using server = await faultServer({
      faults: [times(3, status(500, { headers: { [name]: value } }))],
    })
    const fetch = createFetch({ circuitBreaker: { minimumCalls: 1 } })
    const response = await fetch(server.url, { method: 'POST' })
    expect(response.status).toBe(500)
    expect(server.requests).toHaveLength(1)
    expect(outcomeOf(response)?.uncertain).toBe(false)
    // It says nothing of the service's health.
    expect(fetch.circuits.get(server.url).state).toBe('closed')
  })

  test('whatever the server advises besides', async () => {
    const headers = { 'idempotent-replayed': 'true', 'x-should-retry': 'true' }
    await using server = await faultServer({ faults: [status(500, { headers })] })
    expect((await createFetch()(server.url, { method: 'POST' })).status).toBe(500)
  })

  test('not where the marker says otherwise', async () => {
    const clock = testClock()
    await using server = await faultServer({
      faults: [status(500, { headers: { 'idempotent-replayed': 'false' } })],
    })
    expect((await finish(clock, createFetch({ clock })(server.url, { method: 'POST' }))).status).toBe(200)
  })

  test('whether or not the call has a key', async () => {
    const headers = { 'idempotent-replayed': 'true' }
    await using server = await faultServer({ faults: [status(500, { headers })] })
    const fetch = createFetch({ idempotency: false })
    expect((await fetch(server.url, { method: 'PUT' })).status).toBe(500)
    expect(server.requests).toHaveLength(1)
  })

  test('and a replayed success is no news of the service either', async () => {
    const replay = status(200, { headers: { 'idempotent-replayed': 'true' } })
    await using server = await faultServer({ faults: [status(503), times(5, replay), status(503)] })
    const fetch = createFetch({ retry: false, circuitBreaker: { minimumCalls: 2 } })
    for (let call = 0; call < 7; call++) await fetch(server.url, { method: 'POST' })
    expect(fetch.circuits.get(server.url).state).toBe('open')
  })

  test('422 is never tried again', async () => {
    await using server = await faultServer({ faults: [status(422, { retryAfter: 1, ...IN_FLIGHT })] })
    expect((await createFetch()(server.url, { method: 'POST' })).status).toBe(422)
    expect(server.requests).toHaveLength(1)
  })
})

describe('409 while the first attempt is still running', () => {
  test('is waited for, free of retries and tokens', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(6, status(409, IN_FLIGHT))] })
    const fetch = createFetch({
      clock,
      random: () => 0.5,
      retry: { maxRetries: 0 },
      retryBudget: { capacity: 0 },
      circuitBreaker: { minimumCalls: 1 },
    })
    const response = await finish(clock, fetch(server.url, { method: 'POST' }))
    expect(response.status).toBe(200)
    expect(outcomeOf(response)?.delaysMs).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000])
    expect(new Set(keys(server)).size).toBe(1)
  })

  test('leaves the retries of the call whole', async () => {
    const clock = testClock()
    await using server = await faultServer({
      faults: [status(409, IN_FLIGHT), status(503), status(409, IN_FLIGHT), status(503), status(503)],
    })
    const fetch = createFetch({ clock, retry: { maxRetries: 2 } })
    expect((await finish(clock, fetch(server.url, { method: 'POST' }))).status).toBe(503)
    expect(server.requests).toHaveLength(5)
  })

  test('is waited for as long as Retry-After says', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(409, { retryAfter: 7 })] })
    const fetch = createFetch({ clock, random: () => 0 })
    expect((await finish(clock, fetch(server.url, { method: 'POST' }))).status).toBe(200)
    expect(clock.sleeps).toEqual([7000])
  })

  test('is bounded by totalMs, and comes back as it is', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(99, status(409, IN_FLIGHT))] })
    const fetch = createFetch({ clock, timeout: { totalMs: 10_000 } })
    const response = await finish(clock, fetch(server.url, { method: 'POST' }))
    expect(response.status).toBe(409)
    expect(await response.text()).toMatch('409')
    expect(outcomeOf(response)?.uncertain).toBe(true)
  })

  test.each<[string, HoldfastInit, FetchOptions]>([
    ['a GET', {}, {}],
    ['a POST without a key', { method: 'POST' }, { idempotency: false }],
  ])('is an ordinary conflict for %s', async (_, init, options) => {
    await using server = await faultServer({ faults: [status(409, { retryAfter: 1, ...IN_FLIGHT })] })
    expect((await createFetch(options)(server.url, init)).status).toBe(409)
    expect(server.requests).toHaveLength(1)
  })

  test('is an ordinary conflict without a marker', async () => {
    await using server = await faultServer({ faults: [status(409)] })
    expect((await createFetch()(server.url, { method: 'POST' })).status).toBe(409)
  })
})

describe.each(['POST', 'PATCH'])('a %s without a key', (method) => {
  test.each([
    ['reset', reset()],
    ['reset after the effect', resetAfter()],
    ['answered by 503', status(503)],
    ['answered by 408', status(408)],
    ['answered by 500 with Retry-After', status(500, { retryAfter: 1 })],
  ])('is never sent again when %s', async (_, fault) => {
    const clock = testClock()
    await using server = await faultServer({ faults: [fault] })
    const client = createFetch({ clock, idempotency: false })
    const work = client(server.url, { method, body: 'order' })
    const result = await finish(
      clock,
      work.catch((error: unknown) => error),
    )
    expect(server.requests).toHaveLength(1)
    expect(clock.sleeps).toEqual([])
    expect(outcomeOf(result)?.uncertain).toBe(true)
  })

  test('is never sent again when an attempt timed out', async () => {
    const clock = testClock()
    let calls = 0
    const transport: Transport = () => {
      calls++
      return new Promise(() => {})
    }
    const work = failureOf(
      createFetch({ clock, idempotency: false, fetch: transport })('http://x.test/', { method }),
    )
    await clock.advance(30_000)
    const error = await work
    expect(error).toMatchObject({ code: 'ERR_ATTEMPT_TIMEOUT' })
    expect(outcomeOf(error)).toMatchObject({ uncertain: true, attempts: 1 })
    expect(calls).toBe(1)
  })

  test.each([429, 425])('is sent again when refused by %d', async (code) => {
    const clock = testClock()
    await using server = await faultServer({ recordBodies: true, faults: [status(code)] })
    const client = createFetch({ clock, idempotency: false })
    expect((await finish(clock, client(server.url, { method, body: 'order' }))).status).toBe(200)
    expect(server.requests.map(({ body }) => Buffer.from(body ?? []).toString())).toEqual(['order', 'order'])
  })

  test('is sent again when the connection was refused', async () => {
    const clock = testClock()
    await using server = await faultServer()
    await server.outage()
    const work = createFetch({ clock, idempotency: false })(server.url, { method, body: 'order' })
    await until(() => clock.wakeInMs !== undefined)
    await server.recover()
    const response = await finish(clock, work)
    expect(response.status).toBe(200)
    expect(outcomeOf(response)).toMatchObject({ attempts: 2, idempotencyKey: undefined, uncertain: false })
  })
})

test.each(['PUT', 'DELETE', 'GET', 'HEAD', 'OPTIONS'])('%s needs no key to be sent again', async (method) => {
  const clock = testClock()
  await using server = await faultServer({ faults: [reset(), status(503)] })
  const fetch = createFetch({ clock, idempotency: false })
  expect((await finish(clock, fetch(server.url, { method }))).status).toBe(200)
  expect(keys(server)).toEqual([undefined, undefined, undefined])
})

describe('statuses that are not tried again, by the caller’s wish', () => {
  test.each([
    [[500], true],
    [[503, 500], true],
    [[503, 429], true],
    [[503, 404], false],
    [[503, 401], true],
    [[401], false],
    [[503, 409], true],
    [[409], false],
    [[503, 412], true],
    [[412], false],
    [[429], false],
  ])('after %j a write is uncertain: %s', async (codes, uncertain) => {
    const clock = testClock()
    const answers = [...codes]
    const transport: Transport = async () => new Response(null, { status: answers.shift() ?? 200 })
    const fetch = createFetch({ clock, fetch: transport, retry: { statuses: [503] } })
    const response = await finish(clock, fetch('http://x.test/', { method: 'POST' }))
    expect(response.status).toBe(codes.at(-1))
    expect(outcomeOf(response)).toMatchObject({ attempts: codes.length, uncertain })
  })
})

describe('the key’s 23 hours', () => {
  const WINDOW_MS = 23 * 3_600_000

  /** A call whose first attempt fails, at the moment when it begins to wait. */
  async function sleeping(server: FaultServer, init: HoldfastInit = { method: 'POST' }) {
    const clock = testClock()
    const events: HoldfastEvent[] = []
    const fetch = createFetch({
      clock,
      random: () => 0.5,
      timeout: false,
      onEvent: (event) => events.push(event),
    })
    const work = fetch(server.url, init).catch((error: unknown) => error)
    await until(() => clock.wakeInMs !== undefined)
    return { clock, events, work }
  }

  test('end by the wall clock: a laptop that slept sends nothing again', async () => {
    await using server = await faultServer({ faults: [times(3, status(503))] })
    const { clock, work, events } = await sleeping(server)
    clock.jumpWall(WINDOW_MS)
    const error = await finish(clock, work)
    expect(server.requests).toHaveLength(1)
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ cause: { status: 503 } })
    expect(outcomeOf(error)).toMatchObject({ attempts: 1, uncertain: true, idempotencyKey: keys(server)[0] })
    expect(events.flatMap((event) => (event.type === 'give-up' ? [event.reason] : []))).toEqual(['deadline'])
  })

  test('have not ended a moment before', async () => {
    await using server = await faultServer({ faults: [status(503)] })
    const { clock, work } = await sleeping(server)
    clock.jumpWall(WINDOW_MS - 1001)
    expect(await finish(clock, work)).toHaveProperty('status', 200)
    expect(server.requests).toHaveLength(2)
  })

  test('are not shortened by a wall clock that goes back', async () => {
    await using server = await faultServer({ faults: [status(503)] })
    const { clock, work } = await sleeping(server)
    clock.jumpWall(-WINDOW_MS)
    expect(await finish(clock, work)).toHaveProperty('status', 200)
  })

  test('end by the monotonic clock', async () => {
    const clock = testClock()
    let fail = (): void => {}
    const transport = vi.fn<Transport>(
      () => new Promise((_, reject) => (fail = () => reject(new TypeError('late')))),
    )
    const work = failureOf(
      createFetch({ clock, timeout: false, fetch: transport })('http://x.test/', { method: 'POST' }),
    )
    await clock.advance(WINDOW_MS)
    clock.jumpWall(-WINDOW_MS)
    fail()
    const error = await finish(clock, work)
    expect(error).toMatchObject({ message: 'late' })
    expect(outcomeOf(error)).toMatchObject({ attempts: 1, uncertain: true })
    expect(transport).toHaveBeenCalledOnce()
  })

  test('do not matter to a GET', async () => {
    await using server = await faultServer({ faults: [status(503)] })
    const { clock, work } = await sleeping(server, {})
    clock.jumpWall(WINDOW_MS)
    expect(await finish(clock, work)).toHaveProperty('status', 200)
  })

  test('do not matter where no attempt was made yet', async () => {
    const clock = testClock()
    await using server = await faultServer()
    const fetch = createFetch({
      clock,
      policies: [
        {
          name: 'sleepy',
          wrap: (next) => (context) => {
            clock.jumpWall(WINDOW_MS)
            return next(context)
          },
        },
      ],
    })
    expect((await finish(clock, fetch(server.url, { method: 'POST' }))).status).toBe(200)
  })
})

describe('an origin that never showed that it knows keys', () => {
  const told = (events: readonly HoldfastEvent[]): string[] =>
    events.flatMap((event) => (event.type === 'unconfirmed-idempotency' ? [event.origin] : []))

  test.each<[string, HoldfastInit, boolean]>([
    ['a keyed write', { method: 'POST' }, true],
    ['a read', {}, false],
  ])('is told of before the first retry of %s', async (_, init, expected) => {
    const clock = testClock()
    const events: HoldfastEvent[] = []
    await using server = await faultServer({ faults: [times(2, status(503)), ok()] })
    await finish(clock, createFetch({ clock, onEvent: (event) => events.push(event) })(server.url, init))
    expect(told(events)).toEqual(expected ? [server.url] : [])
  })

  test('is trusted once it has', async () => {
    const clock = testClock()
    const events: HoldfastEvent[] = []
    await using server = await faultServer({
      faults: [status(201, { headers: { 'idempotency-status': 'stored' } }), status(503)],
    })
    const fetch = createFetch({ clock, onEvent: (event) => events.push(event) })
    await fetch(server.url, { method: 'POST' })
    await finish(clock, fetch(server.url, { method: 'POST' }))
    expect(told(events)).toEqual([])
  })
})
