import { describe, expect, test } from 'vitest'
import { createFetch, outcomeOf } from '../../src/index.ts'
import { expectNoUnhandledRejections } from '../client/support/unhandled.ts'
import { answer, bench } from './support.ts'

expectNoUnhandledRejections()

const DAY = 86_400_000

describe('init.cache', () => {
  test('no-store: neither read nor stored', async () => {
    const { fetch, url, down, passed, store, warm } = await bench()
    await (await fetch(url('/a'), { cache: 'no-store' })).text()
    await passed()
    expect(store.responses).toEqual([])
    await warm('/a')
    down()
    expect((await fetch(url('/a'), { cache: 'no-store' })).status).toBe(503)
  })

  test('reload: stored, and not read', async () => {
    const { fetch, url, down, warm, server, origin } = await bench({ cache: { serveFresh: true } })
    origin.answer = answer('v1', { 'cache-control': 'max-age=60', etag: '"v1"' })
    await warm('/a')
    origin.answer = answer('v2', { 'cache-control': 'max-age=60', etag: '"v2"' })
    expect(await warm('/a', { cache: 'reload' })).toBe('v2')
    expect(server.requests.at(-1)?.headers).not.toHaveProperty('if-none-match')
    down()
    expect((await fetch(url('/a'), { cache: 'reload' })).status).toBe(503)
    expect(await (await fetch(url('/a'))).text()).toBe('v2')
  })

  test('no-cache: always asks, with the validators, and nothing else will do', async () => {
    const { fetch, url, down, warm, server, origin, hits } = await bench({ cache: { serveFresh: true } })
    origin.answer = ({ headers }) =>
      headers.has('if-none-match')
        ? new Response(null, { status: 304 })
        : new Response('v1', { headers: { 'cache-control': 'max-age=60', etag: '"v1"' } })
    await warm('/a')
    expect(await (await fetch(url('/a'), { cache: 'no-cache' })).text()).toBe('v1')
    expect(server.requests).toHaveLength(2)
    expect(hits()).toMatchObject([{ kind: 'revalidated' }])
    down()
    expect((await fetch(url('/a'), { cache: 'no-cache' })).status).toBe(503)
  })

  test('force-cache: what is stored, however old; else the network, and stored', async () => {
    const { fetch, url, warm, server, clock, origin } = await bench()
    expect(await warm('/a', { cache: 'force-cache' })).toBe('fresh')
    await clock.advance(DAY)
    origin.answer = answer('newer')
    const response = await fetch(url('/a'), { cache: 'force-cache' })
    expect(await response.text()).toBe('fresh')
    expect(outcomeOf(response)).toMatchObject({ source: 'cache', attempts: 0 })
    expect(server.requests).toHaveLength(1)
  })

  test('only-if-cached: what is stored, else a 504, and never the network', async () => {
    const { options, warm, server, url } = await bench()
    const fetch = createFetch({ ...options, retry: { maxRetries: 4 } })
    const init: RequestInit = { cache: 'only-if-cached', mode: 'same-origin' }
    const response = await fetch(url('/a'), init)
    expect(response.status).toBe(504)
    expect(outcomeOf(response)?.attempts).toBe(0)
    expect(response.headers.get('cache-status')).toBe('holdfast; detail=only-if-cached')
    expect(server.requests).toHaveLength(0)
    await warm('/a')
    expect(await (await fetch(url('/a'), init)).text()).toBe('fresh')
    expect((await fetch(url('/b'), { headers: { 'cache-control': 'only-if-cached' } })).status).toBe(504)
    expect(server.requests).toHaveLength(1)
  })

  test.each([
    ['max-age=60', 'only-if-cached', 200],
    ['max-age=60', 'only-if-cached, max-age=5', 504],
    ['max-age=5', 'only-if-cached', 200],
    ['max-age=5', 'only-if-cached, max-stale=5', 504],
    ['max-age=5, stale-if-error=1', 'only-if-cached', 504],
    ['max-age=5, must-revalidate', 'only-if-cached', 504],
    ['no-cache', 'only-if-cached, max-stale', 504],
  ])('%s, asked for by a header 20 s later: %s: %d', async (stored, asked, expected) => {
    const { fetch, url, warm, origin, clock, server } = await bench()
    origin.answer = answer('stored', { etag: '"1"', 'cache-control': stored })
    await warm('/a')
    await clock.advance(20_000)
    expect((await fetch(url('/a'), { headers: { 'cache-control': asked } })).status).toBe(expected)
    expect((await fetch(url('/a'), { cache: 'only-if-cached', mode: 'same-origin' })).status).toBe(200)
    expect(server.requests).toHaveLength(1)
  })

  test('of a Request counts, too', async () => {
    const { fetch, url, down, warm } = await bench()
    await warm('/a')
    down()
    expect((await fetch(new Request(url('/a')))).status).toBe(200)
    expect((await fetch(new Request(url('/a'), { cache: 'no-store' }))).status).toBe(503)
  })
})

describe('which requests', () => {
  test.each(['HEAD', 'OPTIONS', 'POST', 'PUT'])('%s is neither answered nor stored', async (method) => {
    const { fetch, url, down, warm, passed, store } = await bench()
    await warm('/a')
    const before = store.stored
    await (await fetch(url('/b'), { method })).text()
    await passed()
    expect(store.stored).toBe(before + 1)
    down()
    expect((await fetch(url('/a'), { method })).status).toBe(503)
  })

  test('the fragment makes no difference, the query does', async () => {
    const { fetch, url, down, warm } = await bench()
    await warm('/a?x=1#one')
    down()
    expect((await fetch(url('/a?x=1#two'))).status).toBe(200)
    expect((await fetch(url('/a?x=2'))).status).toBe(503)
  })

  test.each([
    ['redirect: manual', { redirect: 'manual' }],
    ['redirect: error', { redirect: 'error' }],
    ['integrity', { integrity: 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' }],
    ['no-cors', { mode: 'no-cors' }],
  ] satisfies [string, RequestInit][])(
    '%s: what the platform checks, nothing stored stands for',
    async (_, init) => {
      const b = await bench()
      await b.warm('/a')
      const fetch = createFetch({ ...b.options, fetch: async () => new Response('x', { status: 503 }) })
      expect((await fetch(b.url('/a'), init)).status).toBe(503)
      expect((await fetch(b.url('/a'))).status).toBe(200)
    },
  )

  test('credentials: include and omit are two requests', async () => {
    const { fetch, url, down, warm } = await bench()
    await warm('/a', { credentials: 'include' })
    down()
    expect((await fetch(url('/a'), { credentials: 'omit' })).status).toBe(503)
    expect((await fetch(url('/a'), { credentials: 'include' })).status).toBe(200)
  })
})

describe('which answers', () => {
  test.each([
    [200, true],
    [203, true],
    [206, false],
    [301, false],
    [304, false],
    [401, false],
    [403, false],
    [404, true],
    [410, true],
    [500, false],
    [501, false],
  ])('%d: %s', async (status, isStored) => {
    const { origin, options, url, passed, store } = await bench()
    origin.answer = answer(status === 304 ? null : 'body', { 'cache-control': 'max-age=60' }, { status })
    await (await createFetch(options)(url('/a'))).text()
    await passed()
    expect(store.responses).toHaveLength(isStored ? 1 : 0)
  })

  test.each([
    ['to a request that says no-store', {}, { 'cache-control': 'no-store' }],
    ['to a request for a part', {}, { range: 'bytes=0-1' }],
    ['that varies by anything', { vary: '*' }, {}],
    ['that varies by anything and more', { vary: 'accept, *' }, {}],
    [
      'that varies by more than 20 headers',
      { vary: Array.from({ length: 21 }, (_, i) => `x-${i}`).join() },
      {},
    ],
    ['that is of no use at all', { 'cache-control': 'max-age=0, must-revalidate' }, {}],
  ] as [string, Record<string, string>, Record<string, string>][])(
    'never one %s',
    async (_, headers, requestHeaders) => {
      const { origin, fetch, url, passed, store } = await bench()
      origin.answer = answer('body', headers)
      await (await fetch(url('/a'), { headers: requestHeaders })).text()
      await passed()
      expect(store.responses).toEqual([])
    },
  )
})
