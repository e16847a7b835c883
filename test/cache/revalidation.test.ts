import { afterEach, describe, expect, test, vi } from 'vitest'
import { createFetch, outcomeOf, type Policy, type Transport } from '../../src/index.ts'
import { expectNoUnhandledRejections } from '../client/support/unhandled.ts'
import { finish, until } from '../client/support/wait.ts'
import { deferred, watch } from '../support/operations.ts'
import { bench, type Bench, type BenchOptions, type Handler } from './support.ts'

expectNoUnhandledRejections()
afterEach(() => vi.unstubAllGlobals())

/** Answers 304 to a request that has the validator. */
const validating =
  (
    header: 'etag' | 'last-modified',
    value: string,
    extra: () => Record<string, string> = () => ({}),
  ): Handler =>
  ({ headers }) => {
    const given = headers.get(header === 'etag' ? 'if-none-match' : 'if-modified-since')
    const own = { 'cache-control': 'max-age=60', [header]: value, ...extra() }
    return given === value
      ? new Response(null, { status: 304, headers: own })
      : new Response('body', { headers: own })
  }

const lastRequest = ({ server }: Bench) => server.requests.at(-1)?.headers ?? {}

const DATE = 'Thu, 01 Jan 2026 00:00:00 GMT'

describe('a stored response with a validator', () => {
  test.each([
    ['a strong ETag', 'etag', '"v1"', 'if-none-match'],
    ['a weak ETag', 'etag', 'W/"v1"', 'if-none-match'],
    ['Last-Modified', 'last-modified', DATE, 'if-modified-since'],
  ] as const)('%s: is confirmed by a 304, and served as what it is', async (_, header, value, sent) => {
    const b = await bench()
    b.origin.answer = validating(header, value)
    await b.warm('/a')
    await b.clock.advance(90_000)
    const response = await b.fetch(b.url('/a'))
    expect(lastRequest(b)[sent]).toBe(value)
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('body')
    expect(response.url).toBe(b.url('/a'))
    expect(response.headers.get('age')).toBe('0')
    expect(response.headers.get('cache-status')).toBe('holdfast; fwd=bypass; fwd-status=304; ttl=60')
    expect(outcomeOf(response)).toMatchObject({ source: 'network', attempts: 1 })
    expect(b.hits()).toMatchObject([{ kind: 'revalidated', ageMs: 0 }])
  })

  test('the 304’s headers replace the stored ones, and it is as fresh as they say', async () => {
    let version = 0
    const b = await bench({ cache: { staleIfErrorMs: 0 } })
    b.origin.answer = validating('etag', '"v1"', () => ({
      'x-version': String(++version),
      'content-type': 'text/plain',
      'x-new': version > 1 ? 'yes' : '',
    }))
    await b.warm('/a')
    await b.clock.advance(50_000)
    const confirmed = await b.fetch(b.url('/a'))
    expect(confirmed.headers.get('x-version')).toBe('2')
    expect(confirmed.headers.get('x-new')).toBe('yes')
    await b.stored(2)
    b.down()
    await b.clock.advance(59_000)
    const response = await b.fetch(b.url('/a'))
    expect(await response.text()).toBe('body')
    expect(response.headers.get('x-version')).toBe('2')
    await b.clock.advance(1000)
    expect((await b.fetch(b.url('/a'))).status).toBe(503)
  })

  test('its age is the 304’s, not the one that it arrived with', async () => {
    let age: Record<string, string> = { age: '40' }
    const b = await bench()
    b.origin.answer = validating('etag', '"v1"', () => age)
    await b.warm('/a')
    age = {}
    expect((await b.fetch(b.url('/a'))).headers.get('age')).toBe('0')
  })

  test('a cookie that comes with the 304 reaches the caller, and is not kept', async () => {
    const b = await bench()
    b.origin.answer = validating('etag', '"v1"', () => ({ 'set-cookie': 'session=2' }))
    await b.warm('/a')
    expect((await b.fetch(b.url('/a'))).headers.getSetCookie()).toEqual(['session=2'])
    await b.stored(2)
    b.down()
    expect((await b.fetch(b.url('/a'))).headers.getSetCookie()).toEqual([])
  })

  test('a 304 that forbids storing is the last that is seen of it', async () => {
    const b = await bench()
    let forbids = false
    b.origin.answer = validating('etag', '"v1"', () => (forbids ? { 'cache-control': 'no-store' } : {}))
    await b.warm('/a')
    forbids = true
    expect(await (await b.fetch(b.url('/a'))).text()).toBe('body')
    await b.passed()
    b.down()
    expect((await b.fetch(b.url('/a'))).status).toBe(503)
  })

  test('another answer replaces it', async () => {
    const b = await bench()
    b.origin.answer = validating('etag', '"v1"')
    await b.warm('/a')
    b.origin.answer = () => new Response('other', { headers: { etag: '"v2"' } })
    await b.warm('/a')
    b.down()
    expect(await (await b.fetch(b.url('/a'))).text()).toBe('other')
  })

  test('what must be revalidated is, and is still not served when it can’t be', async () => {
    const b = await bench()
    b.origin.answer = validating('etag', '"v1"', () => ({ 'cache-control': 'no-cache' }))
    await b.warm('/a')
    expect(await (await b.fetch(b.url('/a'))).text()).toBe('body')
    expect(b.hits()).toMatchObject([{ kind: 'revalidated' }])
    b.down()
    expect((await b.fetch(b.url('/a'))).status).toBe(503)
  })

  test('every retry carries the validators', async () => {
    const b = await bench({ client: { retry: { maxRetries: 1, baseDelayMs: 0 } } })
    b.origin.answer = validating('etag', '"v1"')
    await b.warm('/a')
    b.down()
    await finish(b.clock, b.fetch(b.url('/a')))
    expect(b.server.requests.slice(-2).map(({ headers }) => headers['if-none-match'])).toEqual([
      '"v1"',
      '"v1"',
    ])
  })
})

describe('a 304 that can’t be for the stored response', () => {
  /** 304 to whoever brings a validator, whatever it is; what is asked without one gets a body. */
  const trusting = async (confirmation: ResponseInit, options?: BenchOptions) => {
    const b = await bench(options)
    let body = 'body'
    b.origin.answer = ({ headers }) =>
      headers.has('if-none-match')
        ? new Response(null, { ...confirmation, status: 304 })
        : new Response(body, { headers: { etag: '"v1"', 'last-modified': DATE } })
    await b.warm('/a')
    body = 'whole'
    return b
  }

  test.each([
    ['another ETag', { etag: '"v2"' }],
    ['another Last-Modified', { 'last-modified': 'Fri, 02 Jan 2026 00:00:00 GMT' }],
  ])('%s: it is asked again, for all of it', async (_, headers) => {
    const b = await trusting({ headers })
    const response = await b.fetch(b.url('/a'))
    expect(await response.text()).toBe('whole')
    expect(outcomeOf(response)?.attempts).toBe(2)
    expect(lastRequest(b)).not.toHaveProperty('if-none-match')
    expect(b.hits()).toEqual([])
  })

  test('one without any validator confirms the only one that was asked for', async () => {
    const b = await trusting({})
    expect(await (await b.fetch(b.url('/a'))).text()).toBe('body')
  })

  describe('is asked again within the time that the call has left', () => {
    const HEADERS = { etag: '"v1"', 'cache-control': 'no-cache' }
    /** The first answer is stored; the next one is a 304 of another tag, 9 s later; then come these. */
    const slow = async (...answers: (() => Promise<Response>)[]) => {
      let calls = 0
      const requests: (string | null)[] = []
      const fetch: Transport = async (_, init) => {
        requests.push(new Headers(init?.headers).get('if-none-match'))
        calls++
        if (calls === 1) return new Response('body', { headers: HEADERS })
        if (calls > 2) return answers.shift()?.() ?? new Promise(() => {})
        await new Promise<void>((resolve) => void b.clock.schedule(resolve, 9000))
        return new Response(null, { status: 304, headers: { etag: '"v2"' } })
      }
      const b = await bench({
        client: { fetch, retry: { maxRetries: 3, jitter: 'none' }, timeout: { totalMs: 10_000 } },
      })
      await b.warm('/a')
      return { ...b, requests }
    }
    const timeouts = (b: Bench) => b.events.filter(({ type }) => type === 'timeout')

    test('which ends it', async () => {
      const b = await slow()
      const call = watch(b.fetch(b.url('/a')))
      await until(() => b.clock.pendingDelaysMs.includes(9000))
      await b.clock.advance(9000)
      await until(() => b.requests.length === 3)
      await b.clock.advance(999)
      expect(call.error).toBeUndefined()
      await b.clock.advance(1)
      await until(() => call.settled)
      expect(call.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT', timeoutMs: 10_000 })
      expect(timeouts(b)).toMatchObject([{ kind: 'total', timeoutMs: 10_000 }])
      expect([b.requests, b.clock.pending]).toEqual([[null, '"v1"', null], 0])
    })

    test('and no wait is begun that would outlast it', async () => {
      const b = await slow(async () => new Response('busy', { status: 503 }))
      const call = watch(b.fetch(b.url('/a')))
      await until(() => b.clock.pendingDelaysMs.includes(9000))
      await b.clock.advance(9000)
      await until(() => call.settled)
      expect(call.value?.status).toBe(503)
      expect([b.clock.sleeps, b.clock.pending]).toEqual([[], 0])
    })

    test('and what comes too late, since a policy has held it, is let go', async () => {
      const gate = deferred()
      const cancel = vi.fn<() => void>()
      const holding: Policy<Response> = {
        name: 'holding',
        wrap: (next) => async (context) => {
          const response = await next(context)
          if (response.status === 201) await gate.promise
          return response
        },
      }
      const b = await slow(async () => new Response(new ReadableStream({ cancel }), { status: 201 }))
      const call = watch(b.fetch.with({ policies: [holding] })(b.url('/a')))
      await until(() => b.clock.pendingDelaysMs.includes(9000))
      await b.clock.advance(9000)
      await until(() => b.requests.length === 3)
      await b.clock.advance(1000)
      await until(() => call.settled)
      expect(call.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
      gate.resolve()
      await b.clock.settle()
      expect(cancel).toHaveBeenCalledOnce()
    })

    test('of which nothing is left of its timers once it is answered', async () => {
      const b = await slow(async () => new Response('whole', { headers: HEADERS }))
      const call = watch(b.fetch(b.url('/a')))
      await until(() => b.clock.pendingDelaysMs.includes(9000))
      await b.clock.advance(9000)
      await until(() => call.settled)
      expect([await call.value?.text(), b.clock.pending]).toEqual(['whole', 0])
    })
  })

  test('beforeAttempt has made it somebody else’s request', async () => {
    let token = 'A'
    const b = await trusting(
      { headers: { etag: '"v1"' } },
      { client: { beforeAttempt: ({ headers }) => headers.set('authorization', token) } },
    )
    // Stored for A, and found by a caller who says A while the hook says B.
    token = 'B'
    const response = await b.fetch(b.url('/a'), { headers: { authorization: 'A' } })
    expect(b.server.requests.map(({ headers }) => headers['if-none-match'])).toContain('"v1"')
    expect(await response.text()).toBe('whole')
  })
})

describe('a 304 from elsewhere', () => {
  test('after a redirect to another resource', async () => {
    const b = await bench()
    let target = '/one'
    b.origin.answer = (request) => {
      const { pathname } = new URL(request.url)
      if (pathname === '/from') return new Response(null, { status: 302, headers: { location: target } })
      return request.headers.has('if-none-match')
        ? new Response(null, { status: 304 })
        : new Response(pathname, { headers: { etag: '"1"' } })
    }
    await b.warm('/from')
    target = '/two'
    expect(await (await b.fetch(b.url('/from'))).text()).toBe('/two')
  })

  test('for who has signed in meanwhile', async () => {
    const current = { user: 'ann' }
    const b = await bench({ cache: { identity: () => current.user } })
    b.origin.answer = ({ headers }) => {
      if (!headers.has('if-none-match'))
        return new Response(`for ${current.user}`, { headers: { etag: '"1"' } })
      current.user = 'bob'
      return new Response(null, { status: 304 })
    }
    await b.warm('/a')
    expect(await (await b.fetch(b.url('/a'))).text()).toBe('for bob')
  })
})

describe('no validators', () => {
  test.each(['if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'range'])(
    'where the caller sends %s: such a request passes by the cache',
    async (name) => {
      const b = await bench()
      b.origin.answer = validating('etag', '"v1"')
      await b.warm('/a')
      const value = name === 'range' ? 'bytes=0-1' : '"own"'
      await b.fetch(b.url('/a'), { headers: { [name]: value } })
      expect(lastRequest(b)[name]).toBe(value)
      if (name !== 'if-none-match') expect(lastRequest(b)).not.toHaveProperty('if-none-match')
      b.down()
      expect((await b.fetch(b.url('/a'), { headers: { [name]: value } })).status).toBe(503)
    },
  )

  test('the caller’s own 304 is the caller’s', async () => {
    const b = await bench()
    b.origin.answer = validating('etag', '"v1"')
    await b.warm('/a')
    expect((await b.fetch(b.url('/a'), { headers: { 'if-none-match': '"v1"' } })).status).toBe(304)
  })

  test('in a browser to another origin, since they would need a preflight', async () => {
    const b = await bench()
    b.origin.answer = validating('etag', '"v1"')
    await b.warm('/a')
    vi.stubGlobal('location', new URL('https://page.test/'))
    expect(await (await b.fetch(b.url('/a'))).text()).toBe('body')
    expect(lastRequest(b)).not.toHaveProperty('if-none-match')
    b.down()
    expect(await (await b.fetch(b.url('/a'))).text()).toBe('body')
  })

  test('but to the page’s own origin', async () => {
    const b = await bench()
    b.origin.answer = validating('etag', '"v1"')
    await b.warm('/a')
    vi.stubGlobal('location', new URL(b.url('/page')))
    await b.fetch(b.url('/a'))
    expect(lastRequest(b)['if-none-match']).toBe('"v1"')
  })

  test('nor a copy of the headers where there is nothing to add', async () => {
    const sent: unknown[] = []
    const b = await bench()
    const transport = async (_url: string, init?: RequestInit) => (
      sent.push(init?.headers),
      new Response('x')
    )
    await createFetch({ ...b.options, fetch: transport })(b.url('/a'))
    expect(sent).toEqual([undefined])
  })
})

describe('serveFresh', () => {
  const fresh = { cache: { serveFresh: true } }

  test('a fresh response is served without asking', async () => {
    const { warm, fetch, url, server, hits, clock } = await bench(fresh)
    await warm('/a')
    await clock.advance(59_999)
    const response = await fetch(url('/a'))
    expect(await response.text()).toBe('fresh')
    expect(outcomeOf(response)).toMatchObject({ source: 'cache', attempts: 0 })
    expect(response.headers.get('cache-status')).toBe('holdfast; hit; ttl=0')
    expect(server.requests).toHaveLength(1)
    expect(hits()).toMatchObject([{ kind: 'fresh', ageMs: 59_999 }])
  })

  test('a stale one is asked for', async () => {
    const { warm, fetch, url, server, clock } = await bench(fresh)
    await warm('/a')
    await clock.advance(60_000)
    await fetch(url('/a'))
    expect(server.requests).toHaveLength(2)
  })

  const DATED = { date: 'Thu, 01 Jan 2026 00:00:00 GMT', expires: 'Thu, 01 Jan 2026 00:00:30 GMT' }

  test.each([
    ['of two of a kind, the first', { 'cache-control': 'max-age=30, max-age=600' }],
    ['immutable, which lengthens nothing', { ...DATED, 'cache-control': 'immutable' }],
  ])('what the response says counts: %s', async (_, headers) => {
    const { warm, fetch, url, server, clock, origin } = await bench(fresh)
    origin.answer = () => new Response('body', { headers })
    await warm('/a')
    await clock.advance(29_999)
    await fetch(url('/a'))
    expect(server.requests).toHaveLength(1)
    await clock.advance(1)
    await fetch(url('/a'))
    expect(server.requests).toHaveLength(2)
  })

  test('must-revalidate forbids the stale only', async () => {
    const { warm, fetch, url, server, origin } = await bench(fresh)
    origin.answer = () =>
      new Response('body', { headers: { 'cache-control': 'max-age=60, must-revalidate' } })
    await warm('/a')
    await fetch(url('/a'))
    expect(server.requests).toHaveLength(1)
  })

  test('a redirect is always asked for, since nothing is known of its own lifetime', async () => {
    const { warm, fetch, url, server, origin } = await bench(fresh)
    origin.answer = (request) =>
      request.url.endsWith('/from')
        ? new Response(null, { status: 302, headers: { location: '/to' } })
        : new Response('body', { headers: { 'cache-control': 'max-age=60' } })
    await warm('/from')
    await fetch(url('/from'))
    expect(server.requests).toHaveLength(4)
  })

  test.each([
    [{ 'cache-control': 'no-cache' }, 2],
    [{ pragma: 'no-cache' }, 2],
    [{ 'cache-control': 'max-age=0' }, 2],
    [{ 'cache-control': 'max-age=30' }, 1],
    [{ 'cache-control': 'max-age=5' }, 2],
    [{ 'cache-control': 'min-fresh=40' }, 1],
    [{ 'cache-control': 'min-fresh=55' }, 2],
  ])('the request’s own %o is respected', async (headers, requests) => {
    const { warm, fetch, url, server, clock } = await bench(fresh)
    await warm('/a')
    await clock.advance(10_000)
    await fetch(url('/a'), { headers: headers as Record<string, string> })
    expect(server.requests).toHaveLength(requests)
  })
})

describe('when the origin fails, the request’s own', () => {
  test.each([
    ['no-cache', 1000, 503],
    ['no-store', 1000, 503],
    ['max-age=0', 1000, 503],
    ['max-age=0, stale-if-error=5', 1000, 200],
    ['max-age=5', 1000, 200],
    ['max-stale=30', 80_000, 200],
    ['max-stale=10', 80_000, 503],
    ['max-stale', 80_000, 200],
    ['stale-if-error=30', 80_000, 200],
    ['stale-if-error=10', 80_000, 503],
  ])('%s after %d ms: %d', async (cacheControl, afterMs, expected) => {
    const { warm, fetch, url, down, clock } = await bench()
    await warm('/a')
    down()
    await clock.advance(afterMs)
    expect((await fetch(url('/a'), { headers: { 'cache-control': cacheControl } })).status).toBe(expected)
  })

  test('stale-if-error never overrules must-revalidate', async () => {
    const { warm, fetch, url, down, clock, origin } = await bench()
    origin.answer = () => new Response('x', { headers: { 'cache-control': 'max-age=60, must-revalidate' } })
    await warm('/a')
    down()
    await clock.advance(60_000)
    const headers = { 'cache-control': 'stale-if-error=600, max-stale' }
    expect((await fetch(url('/a'), { headers })).status).toBe(503)
  })
})
