import { gzipSync } from 'node:zlib'
import { parseList, Token } from 'structured-headers'
import { describe, expect, test, vi } from 'vitest'
import { createFetch, outcomeOf } from '../../src/index.ts'
import { hang, reset, status, truncate, type Fault } from '../../src/testing/index.ts'
import type { CacheStore } from '../../src/cache/index.ts'
import { deferred } from '../support/operations.ts'
import { expectNoUnhandledRejections } from '../client/support/unhandled.ts'
import { failureOf, finish, tick, until } from '../client/support/wait.ts'
import { answer, bench, MapStore } from './support.ts'

expectNoUnhandledRejections()

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** What `Cache-Status` says of this cache: the last member, parsed. */
function cacheStatus(response: Response): Record<string, unknown> {
  const [name, parameters] = parseList(response.headers.get('cache-status') ?? '').at(-1) ?? []
  expect(name).toEqual(new Token('holdfast'))
  return Object.fromEntries([...(parameters ?? [])].map(([key, value]) => [key, plain(value)]))
}

const plain = (value: unknown): unknown => (value instanceof Token ? value.toString() : value)

describe('while the origin answers', () => {
  test('every GET goes to it, and gets its answer untouched', async () => {
    const { warm, server, fetch, url, hits } = await bench()
    await warm('/a')
    const response = await fetch(url('/a'))
    expect(await response.text()).toBe('fresh')
    expect(outcomeOf(response)).toMatchObject({ source: 'network', attempts: 1 })
    expect(response.headers.has('cache-status')).toBe(false)
    expect(response.url).toBe(url('/a'))
    expect(server.requests).toHaveLength(2)
    expect(hits()).toEqual([])
  })

  test('no timer is left behind, and none is started for a store that answers at once', async () => {
    const { warm, clock, down, fetch, url } = await bench({ client: { timeout: false } })
    await warm('/a')
    down()
    await fetch(url('/a'))
    expect(clock.pending).toBe(0)
    expect(clock.pendingDelaysMs).toEqual([])
  })
})

test.each([
  [100, 10],
  [87_600, 24],
])('what was changed %d h ago and says no more is fresh for %d h', async (changedHours, freshHours) => {
  const { warm, fetch, url, server, origin, clock } = await bench({ cache: { serveFresh: true } })
  const now = clock.wallNow()
  const headers = {
    date: new Date(now).toUTCString(),
    'last-modified': new Date(now - changedHours * HOUR).toUTCString(),
  }
  origin.answer = answer('a', headers)
  await warm('/a')
  await clock.advance(freshHours * HOUR - 1000)
  await (await fetch(url('/a'))).text()
  expect(server.requests).toHaveLength(1)
  await clock.advance(2000)
  await (await fetch(url('/a'))).text()
  expect(server.requests).toHaveLength(2)
})

describe('when the call fails for good', () => {
  const failures: [string, Fault][] = [
    ['a 503', status(503)],
    ['a 500', status(500)],
    ['a 429', status(429)],
    ['a reset connection', reset()],
  ]
  test.each(failures)('%s: the stored response is served', async (_, fault) => {
    const { warm, origin, fetch, url, hits, clock, events } = await bench()
    await warm('/a')
    origin.fault = fault
    await clock.advance(10_000)
    const response = await fetch(url('/a'))
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('fresh')
    expect(outcomeOf(response)).toMatchObject({ source: 'cache', attempts: 1 })
    expect(hits()).toMatchObject([{ type: 'cache-hit', kind: 'fresh', ageMs: 10_000 }])
    expect(events.at(-1)).toMatchObject({ type: 'call-end', source: 'cache', status: 200 })
  })

  test('an open circuit: at once, without an attempt', async () => {
    const { warm, fetch, url, server } = await bench()
    await warm('/a')
    fetch.circuits.get(server.url).isolate()
    const response = await fetch(url('/a'))
    expect(await response.text()).toBe('fresh')
    expect(outcomeOf(response)).toMatchObject({ source: 'cache', attempts: 0 })
    expect(cacheStatus(response)).toEqual({ hit: true, ttl: 60 })
    expect(server.requests).toHaveLength(1)
  })

  test.each([
    ['attemptMs', { attemptMs: 100 }],
    ['totalMs', { totalMs: 100 }],
  ])('a timeout: %s', async (_, timeout) => {
    const { warm, origin, fetch, url, server, clock } = await bench({ client: { timeout } })
    await warm('/a')
    origin.fault = hang()
    const work = fetch(url('/a'))
    await until(() => server.requests.length === 2)
    await clock.advance(100)
    expect(await (await work).text()).toBe('fresh')
  })

  test('a rejection by a full bulkhead', async () => {
    const { warm, origin, options, url, server } = await bench()
    await warm('/a')
    const fetch = createFetch({ ...options, bulkhead: { maxConcurrent: 1, maxQueued: 0 } })
    origin.fault = ({ path }) => (path === '/slow' ? hang() : status(200))
    const controller = new AbortController()
    const slow = failureOf(fetch(url('/slow'), { signal: controller.signal }))
    await until(() => server.requests.length === 2)
    const response = await fetch(url('/a'))
    expect(await response.text()).toBe('fresh')
    expect(outcomeOf(response)?.source).toBe('cache')
    controller.abort()
    await slow
  })

  test('cache hits are not sampled by the breaker', async () => {
    const { warm, fetch, url, server } = await bench({ cache: { serveFresh: true } })
    await warm('/a')
    const circuit = fetch.circuits.get(server.url)
    const before = circuit.snapshot()
    for (let hit = 0; hit < 20; hit++) await (await fetch(url('/a'))).text()
    expect(server.requests).toHaveLength(1)
    expect(circuit.snapshot()).toEqual(before)
  })

  test('a response that is still on its way into the store is waited for', async () => {
    const set = deferred()
    const store = new MapStore()
    const slow: CacheStore = {
      get: (key) => store.get(key),
      set: async (...entry) => {
        await set.promise
        store.set(...entry)
      },
      delete: (key) => store.delete(key),
      clear: () => store.clear(),
    }
    const { fetch, url } = await bench({ cache: { store: slow } })
    expect(await (await fetch(url('/a'))).text()).toBe('fresh')
    fetch.circuits.get(new URL(url('/')).origin).isolate()
    const rescued = fetch(url('/a'))
    await tick(10)
    set.resolve()
    expect(outcomeOf(await rescued)?.source).toBe('cache')
  })

  test('only after the retries', async () => {
    const { warm, down, options, url, clock, server } = await bench()
    await warm('/a')
    down()
    const fetch = createFetch({ ...options, retry: { maxRetries: 2 } })
    const response = await finish(clock, fetch(url('/a')))
    expect(outcomeOf(response)).toMatchObject({ source: 'cache', attempts: 3 })
    expect(server.requests).toHaveLength(4)
  })

  test('the response that is replaced is let go', async () => {
    const cancel = vi.fn<() => void>()
    const { warm, options, url } = await bench()
    await warm('/a')
    const body = new ReadableStream({ cancel })
    const fetch = createFetch({ ...options, fetch: async () => new Response(body, { status: 503 }) })
    expect((await fetch(url('/a'))).status).toBe(200)
    expect(cancel).toHaveBeenCalledOnce()
  })

  test('where nothing is stored, the failure is the very one that came', async () => {
    const { down, fetch, url, options } = await bench()
    down()
    const response = await fetch(url('/a'))
    expect(response.status).toBe(503)
    expect(response.headers.has('cache-status')).toBe(false)
    const error = new TypeError('mine')
    const failing = createFetch({ ...options, fetch: () => Promise.reject(error) })
    expect(await failureOf(failing(url('/a')))).toBe(error)
  })

  test('a 404 is an answer, and no failure', async () => {
    const { warm, origin, fetch, url } = await bench()
    await warm('/a')
    origin.fault = status(404)
    expect((await fetch(url('/a'))).status).toBe(404)
  })

  test('a hook that throws is a bug, and no failure', async () => {
    const { warm, options, url } = await bench()
    await warm('/a')
    const bug = new Error('bug')
    const fetch = createFetch({ ...options, beforeAttempt: () => Promise.reject(bug) })
    expect(await failureOf(fetch(url('/a')))).toBe(bug)
  })

  test('malformed headers are the platform’s to refuse', async () => {
    const { fetch, url, server } = await bench()
    expect(await failureOf(fetch(url('/a'), { headers: { 'no header': '1' } }))).toBeInstanceOf(TypeError)
    expect(server.requests).toHaveLength(0)
  })

  test('never after the caller’s abort', async () => {
    const { warm, origin, fetch, url, server, hits } = await bench()
    await warm('/a')
    origin.fault = hang()
    const controller = new AbortController()
    const work = failureOf(fetch(url('/a'), { signal: controller.signal }))
    await until(() => server.requests.length === 2)
    const reason = new Error('mine')
    controller.abort(reason)
    expect(await work).toBe(reason)
    await tick()
    expect(hits()).toEqual([])
  })

  test('nor when the abort comes while the store is asked', async () => {
    const controller = new AbortController()
    const reason = new Error('mine')
    const { warm, fetch, url, store, hits, cache: _, options, clock } = await bench({ cache: {} })
    await warm('/a')
    const get = store.get.bind(store)
    store.get = (key) => (controller.abort(reason), get(key))
    fetch.circuits.get(new URL(url('/')).origin).isolate()
    expect(await failureOf(fetch(url('/a'), { signal: controller.signal }))).toBe(reason)
    await clock.settle()
    await tick()
    expect(hits()).toEqual([])
    expect(options.cache).toBeDefined()
  })
})

test('nor when it comes while the store is asked after the failure', async () => {
  const { warm, down, fetch, url, store, hits } = await bench()
  await warm('/a')
  down()
  const controller = new AbortController()
  const reason = new Error('mine')
  const get = store.get.bind(store)
  let gets = 0
  // What is known of the URL, then the response; and both again when the call has failed.
  store.get = (key) => {
    if (++gets === 4) controller.abort(reason)
    return get(key)
  }
  expect(await failureOf(fetch(url('/a'), { signal: controller.signal }))).toBe(reason)
  await tick()
  expect(gets).toBe(4)
  expect(hits()).toEqual([])
})

describe('how long', () => {
  const served = async (headers: Record<string, string>, afterMs: number, staleIfErrorMs?: number) => {
    const cache = staleIfErrorMs === undefined ? {} : { staleIfErrorMs }
    const { origin, fetch, url, clock, down, store, passed } = await bench({ cache })
    origin.answer = answer('body', headers)
    await (await fetch(url('/a'))).text()
    await passed()
    down()
    await clock.advance(afterMs)
    const response = await fetch(url('/a'))
    return response.status === 200
      ? `${outcomeOf(response)?.source}`
      : // One is the barrier's.
        `not (${store.stored - 1} stored)`
  }

  test.each([
    ['max-age=60', 60_000 + DAY - 1, 'cache'],
    ['max-age=60', 60_000 + DAY, 'not (1 stored)'],
    ['max-age=60, stale-if-error=600', 60_000 + 600_000 - 1, 'cache'],
    ['max-age=60, stale-if-error=600', 60_000 + 600_000, 'not (1 stored)'],
    ['max-age=60, stale-if-error=9999999', 60_000 + DAY, 'not (1 stored)'],
    ['max-age=60, stale-if-error=nonsense', 60_000, 'not (1 stored)'],
    ['max-age=60, must-revalidate', 59_999, 'cache'],
    ['max-age=60, must-revalidate', 60_000, 'not (1 stored)'],
    ['max-age=60, Must-Revalidate', 60_000, 'not (1 stored)'],
    ['max-age=60, proxy-revalidate', 60_000, 'not (1 stored)'],
    ['max-age=60, must-revalidate, stale-if-error=600', 60_000, 'not (1 stored)'],
    ['no-cache', 0, 'not (0 stored)'],
    ['no-cache, max-age=60', 0, 'not (0 stored)'],
    ['no-cache="set-cookie", max-age=60', 0, 'not (0 stored)'],
    ['no-store', 0, 'not (0 stored)'],
    ['private, max-age=60', 61_000, 'cache'],
    ['max-age=0', DAY - 1, 'cache'],
    ['max-age=60, s-maxage=1', 59_000, 'cache'],
  ])('%s, %d ms later: %s', async (cacheControl, afterMs, expected) => {
    expect(await served({ 'cache-control': cacheControl }, afterMs)).toBe(expected)
  })

  test('what says nothing of its freshness is stale at once, and served for a day', async () => {
    expect(await served({}, DAY - 1)).toBe('cache')
    expect(await served({}, DAY)).toBe('not (1 stored)')
  })

  test('the age that it arrived with counts', async () => {
    expect(await served({ 'cache-control': 'max-age=60, must-revalidate', age: '50' }, 9_999)).toBe('cache')
    expect(await served({ 'cache-control': 'max-age=60, must-revalidate', age: '50' }, 10_000)).toMatch(
      /^not/,
    )
  })

  test('staleIfErrorMs, where it is shorter than what the response allows', async () => {
    const headers = { 'cache-control': 'max-age=60, stale-if-error=600' }
    expect(await served(headers, 60_999, 1000)).toBe('cache')
    expect(await served(headers, 61_000, 1000)).toBe('not (1 stored)')
  })

  test('staleIfErrorMs: 0 serves fresh ones only', async () => {
    expect(await served({ 'cache-control': 'max-age=60' }, 59_999, 0)).toBe('cache')
    expect(await served({ 'cache-control': 'max-age=60' }, 60_000, 0)).toMatch(/^not/)
  })

  test('Pragma: no-cache counts where there is no Cache-Control', async () => {
    expect(await served({ pragma: 'no-cache' }, 0)).toMatch(/^not/)
  })

  test('a wall clock that jumps back makes nothing young again', async () => {
    const { origin, warm, fetch, url, clock, down } = await bench()
    origin.answer = answer('body', { 'cache-control': 'max-age=60, must-revalidate' })
    await warm('/a')
    down()
    await clock.advance(61_000)
    clock.jumpWall(-HOUR)
    expect((await fetch(url('/a'))).status).toBe(503)
  })

  test('nor is a response served whose age another machine’s clock leaves unknown', async () => {
    const { warm, options, url, down, clock } = await bench()
    await warm('/a')
    down()
    const skewed = (ms: number) =>
      createFetch({ ...options, clock: { ...clock, wallNow: () => clock.wallNow() + ms } })
    expect((await skewed(-30_000)(url('/a'))).status).toBe(200)
    expect((await skewed(-HOUR)(url('/a'))).status).toBe(503)
  })

  test('a wall clock that jumps ahead makes it as old as it says', async () => {
    const { origin, warm, fetch, url, clock, down } = await bench()
    origin.answer = answer('body', { 'cache-control': 'max-age=60, must-revalidate' })
    await warm('/a')
    down()
    clock.jumpWall(61_000)
    expect((await fetch(url('/a'))).status).toBe(503)
  })

  test('a store is told how long it is of use', async () => {
    const { warm, store } = await bench({ cache: { staleIfErrorMs: 5000 } })
    await warm('/a')
    const [key] = store.responses[0] ?? []
    expect(store.ttls.get(key ?? '')).toBe(65_000)
  })

  test.each(['max-age=99999999999999999999', 'max-age=2147483648'])(
    '%s is 2^31 s, a number that any store can take',
    async (cacheControl) => {
      const { store, warm, origin } = await bench({ cache: { staleIfErrorMs: 0 } })
      origin.answer = answer('x', { 'cache-control': cacheControl })
      await warm('/a')
      expect([...store.ttls.values()]).toEqual([2 ** 32 * 1000, 2 ** 31 * 1000])
    },
  )
})

describe('what is served', () => {
  test('says that it comes from a cache, how old it is, and where it came from first', async () => {
    const { origin, fetch, url, clock, down, stored } = await bench()
    origin.answer = (request) =>
      new URL(request.url).pathname === '/from'
        ? new Response(null, { status: 302, headers: { location: '/to' } })
        : new Response('body', {
            status: 203,
            statusText: 'Transformed',
            headers: {
              'cache-control': 'max-age=60',
              'content-type': 'text/x-own',
              'cache-status': 'CDN; hit',
            },
          })
    const first = await fetch(url('/from'))
    const [date] = [first.headers.get('date')]
    await first.text()
    await stored(1)
    down()
    await clock.advance(90_500)
    const response = await fetch(url('/from#fragment'))
    expect(response).toMatchObject({
      status: 203,
      statusText: 'Transformed',
      redirected: true,
      url: url('/to'),
    })
    expect(response.type).toBe(first.type)
    expect(response.headers.get('content-type')).toBe('text/x-own')
    expect(response.headers.get('date')).toBe(date)
    expect(response.headers.get('age')).toBe('90')
    expect(response.headers.get('cache-status')).toMatch(/^CDN; hit, holdfast; /)
    expect(cacheStatus(response)).toEqual({ fwd: 'stale', 'fwd-status': 503, ttl: -31 })
    expect(await response.text()).toBe('body')
  })

  test('Cache-Status tells a fresh one apart, and a failure without an answer', async () => {
    const { warm, fetch, url, origin } = await bench()
    await warm('/a')
    origin.fault = reset()
    expect(cacheStatus(await fetch(url('/a')))).toEqual({ fwd: 'bypass', ttl: 60 })
  })

  test('has no cookie, nothing of a connection, and nothing of a coding that fetch has undone', async () => {
    const gzip = gzipSync('plain text')
    const { origin, fetch, url, down, stored, store } = await bench()
    origin.answer = () =>
      new Response(gzip, {
        headers: { 'content-encoding': 'gzip', 'set-cookie': 'secret=1', connection: 'x-hop', 'x-hop': '1' },
      })
    const first = await fetch(url('/a'))
    expect(first.headers.getSetCookie()).toEqual(['secret=1'])
    expect(await first.text()).toBe('plain text')
    await stored(1)
    expect(JSON.stringify(store.responses)).not.toContain('secret')
    down()
    const response = await fetch(url('/a'))
    expect(await response.text()).toBe('plain text')
    for (const name of [
      'set-cookie',
      'content-encoding',
      'content-length',
      'connection',
      'x-hop',
      'keep-alive',
    ])
      expect(response.headers.has(name), name).toBe(false)
  })

  test('a body for each: reading one, or changing its bytes, spoils no other', async () => {
    const { warm, down, fetch, url } = await bench()
    await warm('/a')
    down()
    const bytes = await (await fetch(url('/a'))).arrayBuffer()
    new Uint8Array(bytes).fill(0)
    expect(await (await fetch(url('/a'))).text()).toBe('fresh')
  })

  test('a response without a body', async () => {
    const { origin, fetch, url, down, stored } = await bench()
    origin.answer = answer(null, { 'x-own': '1' }, { status: 204 })
    await fetch(url('/a'))
    await stored(1)
    down()
    const response = await fetch(url('/a'))
    expect(response.status).toBe(204)
    expect(response.body).toBeNull()
    expect(response.headers.get('x-own')).toBe('1')
  })

  test('a missing Date becomes when it arrived', async () => {
    const { options, url, stored, clock } = await bench()
    let isDown = false
    const transport = async () => (isDown ? new Response(null, { status: 503 }) : new Response('x'))
    const fetch = createFetch({ ...options, fetch: transport })
    const date = new Date(clock.wallNow()).toUTCString()
    await (await fetch(url('/a'))).text()
    await stored(1)
    isDown = true
    await clock.advance(HOUR)
    expect((await fetch(url('/a'))).headers.get('date')).toBe(date)
  })
})

describe('with a fallback', () => {
  const withFallback = async () => {
    const fallback = vi.fn<() => Response>(() => new Response('substitute'))
    const b = await bench({ client: { fallback } })
    return { ...b, fallback }
  }

  test('the stored response goes first', async () => {
    const { warm, down, fetch, url, fallback } = await withFallback()
    await warm('/a')
    down()
    expect(await (await fetch(url('/a'))).text()).toBe('fresh')
    expect(fallback).not.toHaveBeenCalled()
  })

  test('the fallback answers where nothing is stored, or nothing that may be used', async () => {
    const { warm, down, fetch, url, clock } = await withFallback()
    await warm('/a')
    down()
    expect(await (await fetch(url('/b'))).text()).toBe('substitute')
    await clock.advance(60_000 + DAY)
    const response = await fetch(url('/a'))
    expect(await response.text()).toBe('substitute')
    expect(outcomeOf(response)?.source).toBe('fallback')
  })

  test('a single call can do without the cache', async () => {
    const { warm, down, fetch, url } = await withFallback()
    await warm('/a')
    down()
    expect(await (await fetch(url('/a'), { holdfast: { cache: false } })).text()).toBe('substitute')
  })

  test('a substitute is never stored', async () => {
    const { down, fetch, url, passed, store } = await withFallback()
    down()
    await (await fetch(url('/a'))).text()
    await passed()
    expect(store.responses).toEqual([])
  })
})

test('a truncated body is never stored', async () => {
  const { origin, fetch, url, passed, store } = await bench()
  origin.answer = answer('x'.repeat(1000), { 'cache-control': 'max-age=60' })
  origin.fault = truncate({ afterBytes: 500 })
  await failureOf((await fetch(url('/a'))).text())
  await passed()
  expect(store.responses).toEqual([])
})
