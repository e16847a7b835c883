import { describe, expect, test, vi } from 'vitest'
import {
  createFetch,
  outcomeOf,
  type HoldfastEvent,
  type RetryInput,
  type Transport,
} from '../../src/index.ts'
import { endless, faultServer, ok, reset, status, times } from '../../src/testing/index.ts'
import { refusingPort } from '../support/refusing.ts'
import { testClock } from './support/clock.ts'
import { failureOf, finish, until } from './support/wait.ts'

const half = (): number => 0.5

const giveUps = (events: readonly HoldfastEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'give-up' ? [event.reason] : []))

/** A transport that answers with these, then with 200s. */
function answers(...responses: Response[]): Transport {
  return async () => responses.shift() ?? new Response('done')
}

describe('delays', () => {
  test('are 1, 2, 4 and 8 s as the server sees them', async () => {
    const clock = testClock()
    await using server = await faultServer({ clock, faults: [times(4, status(503))] })
    const response = await finish(clock, createFetch({ clock, random: half })(server.url))
    expect(response.status).toBe(200)
    expect(server.requests.map(({ atMs }) => atMs)).toEqual([0, 1000, 3000, 7000, 15_000])
    expect(outcomeOf(response)?.delaysMs).toEqual([1000, 2000, 4000, 8000])
  })

  test.each([
    [0, [750, 1500, 3000, 6000]],
    [1, [1250, 2500, 5000, 10_000]],
  ])('are spread by a quarter: chance %d', async (chance, delays) => {
    const clock = testClock()
    const fetch = createFetch({
      clock,
      random: () => chance,
      fetch: async () => new Response('', { status: 500 }),
    })
    await finish(clock, fetch('http://x.test/'))
    expect(clock.sleeps).toEqual(delays)
  })

  test('follow baseDelayMs, factor and maxDelayMs', async () => {
    const clock = testClock()
    const retry = { baseDelayMs: 10, factor: 3, maxDelayMs: 80, maxRetries: 4, jitter: 'none' } as const
    const fetch = createFetch({ clock, retry, fetch: async () => new Response('', { status: 500 }) })
    await finish(clock, fetch('http://x.test/'))
    expect(clock.sleeps).toEqual([10, 30, 80, 80])
  })

  test.each([
    ['none', 0.5, [1000, 2000, 4000]],
    ['full', 0.5, [500, 1000, 2000]],
    ['equal', 0.5, [750, 1500, 3000]],
    ['decorrelated', 1, [3000, 9000, 27_000]],
  ] as const)('have the jitter of the option: %s', async (jitter, chance, delays) => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(4, status(503))] })
    const fetch = createFetch({ clock, random: () => chance, retry: { jitter, maxRetries: 3 } })
    await finish(clock, fetch(server.url))
    expect(clock.sleeps).toEqual(delays)
  })

  test.each([NaN, -1, Infinity, '5', undefined])(
    'of %s from a jitter are an error, not a storm',
    async (delay) => {
      const clock = testClock()
      await using server = await faultServer({ faults: [times(9, status(503))] })
      const fetch = createFetch({ clock, retry: { jitter: () => delay as number } })
      const error = await finish(clock, failureOf(fetch(server.url)))
      expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION' })
      expect(server.requests).toHaveLength(1)
    },
  )

  test('stay finite however many retries there are', async () => {
    const clock = testClock()
    const fetch = createFetch({
      clock,
      random: half,
      timeout: false,
      circuitBreaker: false,
      retryBudget: false,
      retry: { maxRetries: 40, factor: 1e10, maxDelayMs: 5 },
      fetch: async () => new Response('', { status: 500 }),
    })
    const response = await finish(clock, fetch('http://x.test/'))
    expect(outcomeOf(response)?.attempts).toBe(41)
    expect(new Set(clock.sleeps)).toEqual(new Set([5]))
  })

  test('that would pass the deadline are not begun', async () => {
    const clock = testClock()
    const events: HoldfastEvent[] = []
    await using server = await faultServer({ faults: [times(9, status(503))] })
    const fetch = createFetch({
      clock,
      random: half,
      timeout: { totalMs: 3000 },
      onEvent: (event) => events.push(event),
    })
    const response = await finish(clock, fetch(server.url))
    expect(await response.text()).toMatch('503')
    expect(clock.sleeps).toEqual([1000])
    expect(giveUps(events)).toEqual(['deadline'])
  })
})

describe('what is tried again', () => {
  test.each([500, 501, 502, 503, 504, 599, 408, 425, 429])('%d', async (code) => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(code)] })
    expect((await finish(clock, createFetch({ clock })(server.url))).status).toBe(200)
    expect(server.requests).toHaveLength(2)
  })

  test.each([200, 204, 301, 304, 400, 401, 403, 404, 409, 410, 418, 422, 451])('not %d', async (code) => {
    await using server = await faultServer({ faults: [status(code, { body: '' })] })
    const response = await createFetch()(server.url)
    expect(response.status).toBe(code)
    expect(server.requests).toHaveLength(1)
  })

  test('a reset connection', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [reset()] })
    expect((await finish(clock, createFetch({ clock })(server.url))).status).toBe(200)
    expect(server.requests).toHaveLength(2)
  })

  test('a server that refuses connections, until it is back', async () => {
    const clock = testClock()
    await using server = await faultServer()
    await server.outage()
    const work = createFetch({ clock, random: half })(server.url)
    await until(() => clock.wakeInMs !== undefined)
    await server.recover()
    expect((await finish(clock, work)).status).toBe(200)
  })

  test('an attempt that timed out', async () => {
    const clock = testClock()
    let calls = 0
    const transport: Transport = () =>
      calls++ === 0 ? new Promise(() => {}) : Promise.resolve(new Response())
    const work = createFetch({ clock, random: half, fetch: transport })('http://x.test/')
    await clock.advance(31_000)
    expect(outcomeOf(await work)?.attempts).toBe(2)
  })

  test('any rejection of the transport, whatever it is called', async () => {
    const clock = testClock()
    const transport = vi.fn<Transport>()
    transport
      .mockRejectedValueOnce(new Error('odd'))
      .mockRejectedValueOnce('text')
      .mockResolvedValue(new Response())
    const response = await finish(clock, createFetch({ clock, fetch: transport })('http://x.test/'))
    expect(outcomeOf(response)?.attempts).toBe(3)
  })

  test('a transport that throws before it returns a promise', async () => {
    const clock = testClock()
    let calls = 0
    const transport: Transport = () => {
      if (calls++ === 0) throw new Error('at once')
      return Promise.resolve(new Response())
    }
    const response = await finish(clock, createFetch({ clock, fetch: transport })('http://x.test/'))
    expect(outcomeOf(response)?.attempts).toBe(2)
  })

  test('retry.statuses instead of the default ones', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(404), status(418), status(503)] })
    const fetch = createFetch({ clock, retry: { statuses: [418, '4xx'] } })
    expect((await finish(clock, fetch(server.url))).status).toBe(503)
    expect(server.requests).toHaveLength(3)
  })

  test('retry.methods only, in whatever case', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(3, status(503))] })
    const fetch = createFetch({ clock, retry: { methods: ['put'] } })
    expect((await finish(clock, fetch(server.url))).status).toBe(503)
    expect(server.requests).toHaveLength(1)
    expect((await finish(clock, fetch(server.url, { method: 'PUT' }))).status).toBe(200)
  })

  test('nothing with retry: false or maxRetries: 0', async () => {
    await using server = await faultServer({ faults: [times(9, status(503))] })
    expect((await createFetch({ retry: false })(server.url)).status).toBe(503)
    expect((await createFetch({ retry: { maxRetries: 0 } })(server.url)).status).toBe(503)
    expect(server.requests).toHaveLength(2)
  })
})

test('an AbortError of the transport’s own is no failed attempt', async () => {
  const reason = Object.assign(new Error('left'), { name: 'AbortError' })
  const transport = vi.fn<Transport>().mockRejectedValue(reason)
  const fetch = createFetch({ circuitBreaker: { minimumCalls: 1 }, fetch: transport })
  expect(await failureOf(fetch('http://x.test/'))).toBe(reason)
  expect(transport).toHaveBeenCalledOnce()
  expect(fetch.circuits.get('http://x.test').state).toBe('closed')
})

describe('when retries are exhausted', () => {
  test('the last response comes back as it is', async () => {
    const clock = testClock()
    const events: HoldfastEvent[] = []
    const last = new Response('last', { status: 502, headers: { 'x-a': '1' } })
    const first = Array.from({ length: 4 }, () => new Response('x', { status: 503 }))
    const fetch = createFetch({
      clock,
      fetch: answers(...first, last),
      onEvent: (event) => events.push(event),
    })
    const response = await finish(clock, fetch('http://x.test/'))
    expect(response).toBe(last)
    expect(await response.text()).toBe('last')
    expect(giveUps(events)).toEqual(['exhausted'])
  })

  test('the last error comes back as it is', async () => {
    const clock = testClock()
    const errors = Array.from({ length: 5 }, (_, index) => new TypeError(`${index}`))
    let calls = 0
    const fetch = createFetch({ clock, fetch: async () => Promise.reject(errors[calls++]) })
    expect(await finish(clock, failureOf(fetch('http://x.test/')))).toBe(errors[4])
    expect(calls).toBe(5)
  })

  test('the platform’s own error with its cause', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(5, reset())] })
    const error = await finish(clock, failureOf(createFetch({ clock })(server.url)))
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ cause: { code: expect.stringMatching(/ECONNRESET|UND_ERR_SOCKET/) } })
    expect(outcomeOf(error)).toMatchObject({ attempts: 5, uncertain: false })
  })
})

describe('the retry budget', () => {
  const failing = times(40, status(503))

  test.each([
    ['with a breaker', {}],
    ['without a breaker', { circuitBreaker: false }],
  ] as const)('empty, leaves the last response as it is: %s', async (_, options) => {
    const clock = testClock()
    const events: HoldfastEvent[] = []
    await using server = await faultServer({ faults: failing })
    const fetch = createFetch({
      clock,
      ...options,
      retryBudget: { capacity: 2, perMinute: 0 },
      onEvent: (event) => events.push(event),
    })
    const response = await finish(clock, fetch(server.url))
    expect(response.status).toBe(503)
    expect(await response.text()).toMatch('503')
    expect(server.requests).toHaveLength(3)
    expect(giveUps(events)).toEqual(['budget'])
    // Checked before sleeping.
    expect(clock.sleeps).toHaveLength(2)
    await finish(clock, fetch(server.url))
    expect(server.requests).toHaveLength(4)
  })

  test('has ten tokens by default', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: failing })
    const fetch = createFetch({ clock, circuitBreaker: false, retry: { maxRetries: 20, baseDelayMs: 0 } })
    await finish(clock, fetch(server.url))
    expect(server.requests).toHaveLength(11)
  })

  test('is each origin’s own', async () => {
    const clock = testClock()
    await using one = await faultServer({ faults: failing })
    await using other = await faultServer({ faults: failing })
    const fetch = createFetch({ clock, circuitBreaker: false, retryBudget: { capacity: 1, perMinute: 0 } })
    await finish(clock, fetch(one.url))
    await finish(clock, fetch(other.url))
    await finish(clock, fetch(`${one.url}/again`))
    expect([one.requests.length, other.requests.length]).toEqual([3, 2])
  })

  test('is shared by what has the same circuit key', async () => {
    const clock = testClock()
    await using one = await faultServer({ faults: failing })
    await using other = await faultServer({ faults: failing })
    const fetch = createFetch({
      clock,
      circuitBreaker: { key: 'all' },
      retryBudget: { capacity: 1, perMinute: 0 },
    })
    await finish(clock, fetch(one.url))
    await finish(clock, fetch(other.url))
    expect([one.requests.length, other.requests.length]).toEqual([2, 1])
  })

  test('gets back what a call that succeeds in the end has cost', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [1, 2, 3].flatMap(() => [status(503), ok()]) })
    const fetch = createFetch({ clock, retryBudget: { capacity: 1, perMinute: 0, perSuccess: 0 } })
    for (let call = 0; call < 3; call++) {
      expect((await finish(clock, fetch(server.url))).status).toBe(200)
    }
  })

  test('gets nothing back from a call that fails in the end', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: failing })
    const fetch = createFetch({
      clock,
      retry: { maxRetries: 1 },
      retryBudget: { capacity: 1, perMinute: 0 },
    })
    await finish(clock, fetch(server.url))
    await finish(clock, fetch(server.url))
    expect(server.requests).toHaveLength(3)
  })

  test('earns a tenth with each success', async () => {
    const clock = testClock()
    await using server = await faultServer({
      faults: [times(2, status(503)), times(10, ok()), times(2, status(503))],
    })
    const fetch = createFetch({
      clock,
      retry: { maxRetries: 1 },
      retryBudget: { capacity: 1, perMinute: 0 },
    })
    await finish(clock, fetch(server.url))
    for (let call = 0; call < 10; call++) await fetch(server.url)
    await finish(clock, fetch(server.url))
    expect(server.requests).toHaveLength(14)
  })

  test('earns a token a minute', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: failing })
    const fetch = createFetch({
      clock,
      circuitBreaker: false,
      retry: { maxRetries: 1 },
      retryBudget: { capacity: 1 },
    })
    await finish(clock, fetch(server.url))
    await clock.advance(60_000)
    await finish(clock, fetch(server.url))
    expect(server.requests).toHaveLength(4)
  })

  test('earns nothing with a failure that is not tried again', async () => {
    const clock = testClock()
    await using server = await faultServer({
      faults: [
        times(2, status(503)),
        times(12, status(500, { headers: { 'x-should-retry': 'false' } })),
        status(503),
      ],
    })
    const fetch = createFetch({
      clock,
      circuitBreaker: false,
      retry: { maxRetries: 1 },
      retryBudget: { capacity: 1, perMinute: 0 },
    })
    await finish(clock, fetch(server.url))
    for (let call = 0; call < 12; call++) await fetch(server.url)
    expect((await finish(clock, fetch(server.url))).status).toBe(503)
  })
})

describe('bodies of failed attempts', () => {
  test('never-ending ones keep no socket', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(5, endless({ status: 503, intervalMs: 10 }))] })
    const fetch = createFetch({ clock, retry: { maxRetries: 5 } })
    const response = await finish(clock, fetch(server.url))
    expect(await response.json()).toEqual({ ok: true })
    await until(() => server.stats.openSockets <= 1)
    expect(server.requests.slice(0, 5).every(({ outcome }) => outcome === 'cut')).toBe(true)
  })

  test('are not waited for: the headers decide', async () => {
    const clock = testClock()
    const silent = endless({ status: 503, body: '', intervalMs: 60_000 })
    await using server = await faultServer({ faults: [silent] })
    const response = await finish(clock, createFetch({ clock })(server.url))
    expect(response.status).toBe(200)
    expect(server.requests).toHaveLength(2)
  })

  test('are not awaited when they are cancelled', async () => {
    const clock = testClock()
    const cancel = vi.fn<() => Promise<void>>(() => new Promise(() => {}))
    const stuck = new Response(new ReadableStream({ cancel }), { status: 503 })
    const fetch = createFetch({ clock, fetch: answers(stuck) })
    await expect(finish(clock, fetch('http://x.test/'))).resolves.toHaveProperty('status', 200)
    expect(cancel).toHaveBeenCalledOnce()
  })

  test('may fail when they are cancelled', async () => {
    const clock = testClock()
    const cancel = (): Promise<void> => Promise.reject(new Error('cannot'))
    const stuck = new Response(new ReadableStream({ cancel }), { status: 503 })
    const fetch = createFetch({ clock, fetch: answers(stuck) })
    await expect(finish(clock, fetch('http://x.test/'))).resolves.toHaveProperty('status', 200)
  })

  test('may be read by shouldRetry, which locks nothing for good', async () => {
    const clock = testClock()
    const shouldRetry = async ({ response }: RetryInput): Promise<boolean> =>
      (await response?.text()) === 'again'
    const fetch = createFetch({
      clock,
      retry: { shouldRetry },
      fetch: answers(new Response('again'), new Response('again')),
    })
    const response = await finish(clock, fetch('http://x.test/'))
    expect(outcomeOf(response)?.attempts).toBe(3)
  })
})

describe('the server’s advice', () => {
  test.each(['x-should-retry', 'stripe-should-retry'])(
    '%s: true makes any answer transient',
    async (name) => {
      const clock = testClock()
      await using server = await faultServer({ faults: [status(400, { headers: { [name]: 'true' } })] })
      expect((await finish(clock, createFetch({ clock })(server.url))).status).toBe(200)
    },
  )

  test.each(['x-should-retry', 'stripe-should-retry'])('%s: false makes it final', async (name) => {
    await using server = await faultServer({ faults: [status(503, { headers: { [name]: 'false' } })] })
    expect((await createFetch()(server.url)).status).toBe(503)
    expect(server.requests).toHaveLength(1)
  })

  test('goes for a POST without a key too', async () => {
    const clock = testClock()
    await using server = await faultServer({
      faults: [status(503, { headers: { 'x-should-retry': 'true' } })],
    })
    const fetch = createFetch({ clock, idempotency: false })
    expect((await finish(clock, fetch(server.url, { method: 'POST' }))).status).toBe(200)
  })

  test('that is neither true nor false says nothing', async () => {
    const clock = testClock()
    const headers = { 'x-should-retry': 'maybe' }
    await using server = await faultServer({ faults: [status(503, { headers }), status(400, { headers })] })
    expect((await finish(clock, createFetch({ clock })(server.url))).status).toBe(400)
  })
})

describe('shouldRetry', () => {
  test('is told of the request, the attempt and how it ended', async () => {
    const clock = testClock()
    const seen: RetryInput[] = []
    const broken = new Error('broken')
    const transport = vi.fn<Transport>().mockRejectedValueOnce(broken)
    const answer = new Response('', { status: 503 })
    transport.mockResolvedValueOnce(answer).mockResolvedValue(new Response())
    const shouldRetry = (input: RetryInput): undefined => void seen.push(input)
    const fetch = createFetch({ clock, retry: { shouldRetry }, fetch: transport })
    await finish(clock, fetch('http://x.test/a?b#c', { method: 'put' }))
    const request = { method: 'PUT', url: 'http://x.test/a?b#c' }
    expect(seen.slice(0, 2)).toEqual([
      { request, attempt: 1, error: broken },
      { request, attempt: 2, response: answer },
    ])
  })

  test.each([
    ['at once', () => true],
    ['later', async () => true],
  ])('says yes %s to what would be final', async (_, shouldRetry) => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(2, status(404))] })
    const fetch = createFetch({ clock, retry: { shouldRetry, maxRetries: 2 } })
    await finish(clock, fetch(server.url))
    expect(server.requests).toHaveLength(3)
  })

  test.each([
    ['at once', () => false],
    ['later', async () => false],
  ])('says no %s to what would be tried again', async (_, shouldRetry) => {
    const events: HoldfastEvent[] = []
    await using server = await faultServer({ faults: [status(503)] })
    const fetch = createFetch({ retry: { shouldRetry }, onEvent: (event) => events.push(event) })
    expect((await fetch(server.url)).status).toBe(503)
    expect(giveUps(events)).toEqual(['final'])
  })

  test('leaves it to the rules with undefined', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503), status(404)] })
    const fetch = createFetch({ clock, retry: { shouldRetry: async () => undefined } })
    expect((await finish(clock, fetch(server.url))).status).toBe(404)
    expect(server.requests).toHaveLength(2)
  })

  test('overrules what protects a POST without a key', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503)] })
    const fetch = createFetch({
      clock,
      idempotency: false,
      retry: { shouldRetry: () => true, maxRetries: 1 },
    })
    expect((await finish(clock, fetch(server.url, { method: 'POST' }))).status).toBe(200)
  })

  test('that throws ends the call with its own error, after one attempt', async () => {
    const clock = testClock()
    const bug = new Error('bug')
    const shouldRetry = (): boolean => {
      throw bug
    }
    await using server = await faultServer({ faults: [status(503)] })
    const fetch = createFetch({ clock, retry: { shouldRetry } })
    expect(await finish(clock, failureOf(fetch(server.url)))).toBe(bug)
    expect(server.requests).toHaveLength(1)
  })
})

test('a shouldRetry that throws is no case for a fallback, and lets go of the response', async () => {
  const bug = new Error('bug')
  const cancel = vi.fn<() => void>()
  const fallback = vi.fn<() => Response>(() => new Response('instead'))
  const shouldRetry = (): boolean => {
    throw bug
  }
  const fetch = createFetch({
    fallback,
    retry: { shouldRetry },
    fetch: answers(new Response(new ReadableStream({ cancel }), { status: 503 })),
  })
  expect(await failureOf(fetch('http://x.test/'))).toBe(bug)
  expect(fallback).not.toHaveBeenCalled()
  expect(cancel).toHaveBeenCalledOnce()
})

test('a jitter that throws lets go of the response', async () => {
  const bug = new Error('bug')
  const cancel = vi.fn<() => void>()
  const jitter = (): number => {
    throw bug
  }
  const fetch = createFetch({
    retry: { jitter },
    fetch: answers(new Response(new ReadableStream({ cancel }), { status: 503 })),
  })
  expect(await failureOf(fetch('http://x.test/'))).toBe(bug)
  expect(cancel).toHaveBeenCalledOnce()
})

describe('a request that cannot be built', () => {
  const spent = async (): Promise<RequestInit> => {
    const body = new Blob(['x']).stream()
    await new Response(body).text()
    const init: RequestInit & { duplex: 'half' } = { method: 'POST', body, duplex: 'half' }
    return init
  }

  test.each<[string, string, () => RequestInit | Promise<RequestInit>]>([
    ['a GET with a body', '/', () => ({ body: 'x' })],
    ['a HEAD with a body', '/', () => ({ method: 'HEAD', body: 'x' })],
    ['a header name with a space', '/', () => ({ headers: { 'a b': '1' } })],
    ['a header value with a line break', '/', () => ({ headers: { a: '1\n2' } })],
    ['a forbidden method', '/', () => ({ method: 'TRACE' })],
    ['a method that is no token', '/', () => ({ method: 'G T' })],
    ['an unknown redirect mode', '/', () => ({ redirect: 'bounce' as never })],
    ['an unknown credentials mode', '/', () => ({ credentials: 'some' as never })],
    ['credentials in the URL', 'user:secret@', () => ({})],
    ['a stream without duplex', '/', () => ({ method: 'POST', body: new Blob(['x']).stream() })],
    ['a stream that has been read', '/', spent],
  ])('%s', async (_, part, init) => {
    const clock = testClock()
    await using server = await faultServer()
    const url = part === '/' ? server.url : server.url.replace('//', `//${part}`)
    const bare = await failureOf(globalThis.fetch(url, await init()))
    const fetch = createFetch({ clock, circuitBreaker: { minimumCalls: 1 } })
    const error = await finish(clock, failureOf(fetch(url, await init())))
    expect(error).toBeInstanceOf(TypeError)
    expect((error as Error).message).toBe((bare as Error).message)
    expect(clock.sleeps).toEqual([])
    expect(server.requests).toHaveLength(0)
    expect(fetch.circuits.get(server.url).state).toBe('closed')
    expect(outcomeOf(error)?.uncertain ?? false).toBe(false)
    // The same answer again, so no breaker has opened in between.
    expect(await failureOf(fetch(url, await init()))).toBeInstanceOf(TypeError)
  })

  test('a Request whose body has been read', async () => {
    await using server = await faultServer()
    const request = new Request(server.url, { method: 'POST', body: 'x' })
    await request.text()
    const fetch = createFetch({ circuitBreaker: { minimumCalls: 1 } })
    expect(await failureOf(fetch(request))).toBeInstanceOf(TypeError)
    expect(fetch.circuits.get(server.url).state).toBe('closed')
    expect(server.requests).toHaveLength(0)
  })

  test.each(['ftp://x.test/', 'nonsense', 'http://', 'unknown:x'])('the URL %s', async (url) => {
    const fetch = createFetch()
    expect(await failureOf(fetch(url))).toBeInstanceOf(TypeError)
    expect([...fetch.circuits]).toEqual([])
  })
})

describe('outcomeOf', () => {
  test('tells what it took to get a response', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503)] })
    const response = await finish(clock, createFetch({ clock, random: half })(`${server.url}/a?b`))
    expect(outcomeOf(response)).toEqual({
      attempts: 2,
      source: 'network',
      uncertain: false,
      idempotencyKey: undefined,
      circuit: server.url,
      delaysMs: [1000],
    })
  })

  test('tells what it took to get an error', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(2, reset())] })
    const fetch = createFetch({
      clock,
      random: half,
      retry: { maxRetries: 1 },
      circuitBreaker: { key: 'orders' },
    })
    const init = { method: 'POST', holdfast: { idempotencyKey: 'k-1' } }
    const error = await finish(clock, failureOf(fetch(server.url, init)))
    expect(outcomeOf(error)).toEqual({
      attempts: 2,
      source: 'network',
      uncertain: true,
      idempotencyKey: 'k-1',
      circuit: 'orders',
      delaysMs: [1000],
    })
  })

  test.each<[string, number, string, boolean]>([
    ['a write answered by 503 in the end', 503, 'POST', true],
    ['a write answered by 400', 400, 'POST', false],
    ['a write refused by 429', 429, 'POST', false],
    ['a read answered by 503', 503, 'GET', false],
    ['a DELETE answered by 500', 500, 'DELETE', true],
  ])('is uncertain or not: %s', async (_, code, method, uncertain) => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(9, status(code))] })
    const response = await finish(
      clock,
      createFetch({ clock, retry: { maxRetries: 1 } })(server.url, { method }),
    )
    expect(outcomeOf(response)?.uncertain).toBe(uncertain)
  })

  test('stays uncertain where a refusal follows an unknown end', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503), times(9, status(429))] })
    const fetch = createFetch({ clock, retry: { maxRetries: 1 } })
    const response = await finish(clock, fetch(server.url, { method: 'POST' }))
    expect(response.status).toBe(429)
    expect(outcomeOf(response)?.uncertain).toBe(true)
  })

  test('is certain where a server that was never reached is all there was', async () => {
    const clock = testClock()
    const refusing = `http://127.0.0.1:${await refusingPort()}`
    const error = await finish(clock, failureOf(createFetch({ clock })(refusing, { method: 'POST' })))
    expect(outcomeOf(error)).toMatchObject({ attempts: 5, uncertain: false })
  })

  test.each([undefined, null, 1, {}, new Response(), new Error('x')])('knows nothing of %s', (value) => {
    expect(outcomeOf(value)).toBeUndefined()
  })
})
