import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { httpCache, type HttpCacheOptions } from '../../src/cache/index.ts'
import { createFetch, type FetchOptions } from '../../src/index.ts'
import { testClock } from '../client/support/clock.ts'
import { expectNoUnhandledRejections } from '../client/support/unhandled.ts'
import { failureOf, finish, until } from '../client/support/wait.ts'
import { deferred } from '../support/operations.ts'
import { bench, MapStore, type Bench, type BenchOptions } from './support.ts'

expectNoUnhandledRejections()
afterEach(() => vi.unstubAllGlobals())

/** An origin that tells everybody who they are, which they believe for a minute. */
async function whoami(options?: BenchOptions): Promise<Bench> {
  const b = await bench(options)
  b.origin.answer = ({ headers }) =>
    new Response(`for ${headers.get('authorization')}`, { headers: { 'cache-control': 'max-age=60' } })
  return b
}

const as = (authorization: string): RequestInit => ({ headers: { authorization } })

describe('nobody sees what was meant for another', () => {
  test.each(['authorization', 'cookie', 'x-api-key', 'proxy-authorization', 'x-tenant'])(
    '%s tells them apart',
    async (name) => {
      const { warm, down, fetch, url } = await bench({ cache: { identityHeaders: ['X-Tenant'] } })
      await warm('/a', { headers: { [name]: 'A' } })
      down()
      expect((await fetch(url('/a'), { headers: { [name]: 'B' } })).status).toBe(503)
      expect((await fetch(url('/a'))).status).toBe(503)
      expect((await fetch(url('/a'), { headers: { [name]: 'A' } })).status).toBe(200)
    },
  )

  test('sites that one address serves by their Host are told apart, whoever asks', async () => {
    const { warm, down, fetch, url } = await bench({ cache: { identity: () => 'ann' } })
    const from = (host: string): RequestInit => ({ headers: { host } })
    await warm('/a', from('a.example'))
    down()
    expect((await fetch(url('/a'), from('b.example'))).status).toBe(503)
    expect((await fetch(url('/a'), from('a.example'))).status).toBe(200)
  })

  test('two names with each other’s values are two identities', async () => {
    const { warm, down, fetch, url } = await bench()
    await warm('/a', { headers: { cookie: 'x', 'x-api-key': 'y' } })
    down()
    expect((await fetch(url('/a'), { headers: { cookie: 'y', 'x-api-key': 'x' } })).status).toBe(503)
  })

  test('no secret is in the store, neither in keys nor in entries', async () => {
    const { warm, store, origin } = await bench()
    origin.answer = () => new Response('x', { headers: { vary: 'authorization, x-own' } })
    await warm('/a?token=s3cr3t', {
      headers: { authorization: 's3cr3t', cookie: 's3cr3t', 'x-own': 's3cr3t' },
    })
    // The final URL is stored, since a response has it.
    expect(JSON.stringify([...store.entries]).replaceAll('?token=s3cr3t', '')).not.toContain('s3cr3t')
  })
})

describe('a token that beforeAttempt adds', () => {
  const signing = async (cache: HttpCacheOptions = {}) => {
    const user = { token: 'A' }
    const beforeAttempt: FetchOptions['beforeAttempt'] = ({ headers }) =>
      headers.set('authorization', user.token)
    return { user, ...(await whoami({ cache, client: { beforeAttempt } })) }
  }

  test('is part of the identity', async () => {
    const { user, warm, down, fetch, url } = await signing()
    expect(await warm('/a')).toBe('for A')
    down()
    user.token = 'B'
    expect((await fetch(url('/a'))).status).toBe(503)
    user.token = 'A'
    expect(await (await fetch(url('/a'))).text()).toBe('for A')
  })

  test('is not known without an attempt: then nothing is served', async () => {
    const { warm, fetch, url, server } = await signing()
    await warm('/a')
    fetch.circuits.get(server.url).isolate()
    expect(await failureOf(fetch(url('/a')))).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
  })

  test('the token of the attempt that was answered counts', async () => {
    const b = await whoami()
    let attempts = 0
    const fetch = createFetch({
      ...b.options,
      retry: { maxRetries: 1, shouldRetry: () => attempts === 1 },
      beforeAttempt: ({ headers }) => headers.set('authorization', ['A', 'B'][attempts++] ?? 'B'),
    })
    expect(await (await finish(b.clock, fetch(b.url('/a')))).text()).toBe('for B')
    await b.stored(1)
    b.down()
    expect((await b.fetch(b.url('/a'), as('A'))).status).toBe(503)
    expect(await (await b.fetch(b.url('/a'), as('B'))).text()).toBe('for B')
  })

  test('also of two that run side by side', async () => {
    const b = await whoami()
    const first = deferred<Response>()
    const sent: (string | null)[] = []
    const fetch = createFetch({
      ...b.options,
      hedge: { delayMs: 100 },
      beforeAttempt: ({ headers }) => headers.set('authorization', sent.length === 0 ? 'A' : 'B'),
      fetch(_, init) {
        sent.push(new Headers(init?.headers).get('authorization'))
        return sent.length === 1 ? first.promise : new Promise<Response>(() => {})
      },
    })
    const work = fetch(b.url('/a'))
    await until(() => sent.length === 1)
    await b.clock.advance(100)
    await until(() => sent.length === 2)
    first.resolve(new Response('for A'))
    expect(await (await work).text()).toBe('for A')
    await b.stored(1)
    expect(sent).toEqual(['A', 'B'])
    b.down()
    expect((await b.fetch(b.url('/a'), as('B'))).status).toBe(503)
    expect(await (await b.fetch(b.url('/a'), as('A'))).text()).toBe('for A')
  })

  test('a header that it adds and the response varies by is known after an attempt', async () => {
    const user = { language: 'de' }
    const b = await bench({
      client: { beforeAttempt: ({ headers }) => headers.set('accept-language', user.language) },
    })
    b.origin.answer = ({ headers }) =>
      new Response(headers.get('accept-language'), { headers: { vary: 'Accept-Language' } })
    await b.warm('/a')
    b.down()
    expect(await (await b.fetch(b.url('/a'))).text()).toBe('de')
    user.language = 'fr'
    expect((await b.fetch(b.url('/a'))).status).toBe(503)
    b.fetch.circuits.get(b.server.url).isolate()
    expect(await failureOf(b.fetch(b.url('/a')))).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
  })

  test('identity() names the user instead: tokens may rotate, and an open circuit knows who asks', async () => {
    const current = { user: 'ann' }
    const { user, warm, fetch, url, server, origin } = await signing({ identity: () => current.user })
    origin.answer = () => new Response('for ann', { headers: { vary: 'Authorization' } })
    await warm('/a')
    user.token = 'rotated'
    fetch.circuits.get(server.url).isolate()
    expect(await (await fetch(url('/a'))).text()).toBe('for ann')
    current.user = 'bob'
    expect(await failureOf(fetch(url('/a')))).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
  })
})

describe('identity()', () => {
  test('gets a request of its own, as the caller made it', async () => {
    const identity = vi.fn<NonNullable<HttpCacheOptions['identity']>>(({ headers }) => {
      headers.set('x-touched', '1')
      return 'ann'
    })
    const { warm, url, server } = await bench({ cache: { identity } })
    await warm('/a?b#c', { headers: { 'x-own': '1' } })
    const [input] = identity.mock.calls[0] ?? []
    expect(input).toMatchObject({ method: 'GET', url: url('/a?b#c') })
    expect(input?.headers.get('x-own')).toBe('1')
    expect(server.requests[0]?.headers).not.toHaveProperty('x-touched')
  })

  test('undefined leaves it to the headers', async () => {
    const { warm, down, fetch, url } = await bench({ cache: { identity: () => undefined } })
    await warm('/a', as('A'))
    down()
    expect((await fetch(url('/a'), as('B'))).status).toBe(503)
    expect((await fetch(url('/a'), as('A'))).status).toBe(200)
  })

  test('who signs in while a call is under way gets nothing of it stored, nor served', async () => {
    const current = { user: 'ann' }
    const b = await bench({ cache: { identity: () => current.user } })
    await b.warm('/a')
    b.origin.answer = () => {
      current.user = 'bob'
      return new Response('x', { status: 503 })
    }
    expect((await b.fetch(b.url('/a'))).status).toBe(503)
    b.origin.answer = () => {
      current.user = 'ann'
      return new Response('for whom?')
    }
    const before = b.store.stored
    await (await b.fetch(b.url('/b'))).text()
    await b.passed()
    expect(b.store.stored).toBe(before + 1)
  })

  test('what it throws is thrown, before anything is sent', async () => {
    const bug = new Error('bug')
    const { fetch, url, server } = await bench({
      cache: {
        identity() {
          throw bug
        },
      },
    })
    expect(await failureOf(fetch(url('/a')))).toBe(bug)
    expect(server.requests).toHaveLength(0)
  })

  test('anything but a string is refused: a promise would be one identity for all', async () => {
    const { fetch, url } = await bench({ cache: { identity: (async () => 'ann') as never } })
    expect(await failureOf(fetch(url('/a')))).toMatchObject({ code: 'ERR_INVALID_OPTION' })
  })
})

describe('Vary', () => {
  const byLanguage = async () => {
    const b = await bench()
    b.origin.answer = ({ headers }) =>
      new Response(headers.get('accept-language'), {
        headers: { vary: 'Accept-Language', 'cache-control': 'max-age=60' },
      })
    return b
  }
  const language = (name: string): RequestInit => ({ headers: { 'accept-language': name } })

  test('several variants of a URL are kept beside each other', async () => {
    const { warm, down, fetch, url } = await byLanguage()
    await warm('/a', language('de'))
    await warm('/a', language('fr'))
    down()
    expect(await (await fetch(url('/a'), language('de'))).text()).toBe('de')
    expect(await (await fetch(url('/a'), language('fr'))).text()).toBe('fr')
    expect((await fetch(url('/a'), language('it'))).status).toBe(503)
    expect((await fetch(url('/a'))).status).toBe(503)
  })

  test('answers that vary by different headers are kept beside each other', async () => {
    const { warm, down, fetch, url, origin } = await bench()
    origin.answer = ({ headers }) => {
      const by = headers.has('x-one') ? 'x-one' : 'x-two'
      return new Response(by, { headers: { vary: by } })
    }
    await warm('/a')
    await warm('/a', { headers: { 'x-one': '1' } })
    await warm('/a', { headers: { 'x-two': '2' } })
    down()
    expect(await (await fetch(url('/a'), { headers: { 'x-one': '1' } })).text()).toBe('x-one')
    expect(await (await fetch(url('/a'), { headers: { 'x-two': '2' } })).text()).toBe('x-two')
  })

  test('a response that begins to vary leaves no other to be taken for it', async () => {
    const { warm, down, fetch, url, origin } = await byLanguage()
    const varying = origin.answer
    origin.answer = () => new Response('any')
    await warm('/a', language('de'))
    origin.answer = varying
    await warm('/a', language('fr'))
    down()
    expect((await fetch(url('/a'), language('it'))).status).toBe(503)
    expect(await (await fetch(url('/a'), language('fr'))).text()).toBe('fr')
  })
})

describe('without WebCrypto, as on a page without TLS', () => {
  test('what shows no identity is cached; what shows one is not', async () => {
    const platform = crypto
    vi.stubGlobal('crypto', {
      getRandomValues: (bytes: Uint8Array<ArrayBuffer>) => platform.getRandomValues(bytes),
    })
    const b = await bench()
    await b.warm('/a')
    await (await b.fetch(b.url('/b'), as('s3cr3t'))).text()
    await b.passed()
    expect(JSON.stringify([...b.store.entries])).not.toContain('s3cr3t')
    b.down()
    expect((await b.fetch(b.url('/a'))).status).toBe(200)
    expect((await b.fetch(b.url('/b'), as('s3cr3t'))).status).toBe(503)
  })
})

describe('a random life of two users', () => {
  const user = fc.constantFrom('ann', 'bob')
  const path = fc.constantFrom('/1', '/2')
  const get = fc.record({
    do: fc.constant('get' as const),
    user,
    path,
    down: fc.boolean(),
    isolated: fc.boolean(),
  })
  const step = fc.oneof(
    { weight: 8, arbitrary: get },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('write' as const), user, path }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1000, 70_000) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
  )
  const way = fc.record({
    serveFresh: fc.boolean(),
    validator: fc.constantFrom('etag', 'last-modified', 'none'),
    vary: fc.constantFrom(undefined, 'authorization', 'x-other'),
    hook: fc.boolean(),
    identity: fc.boolean(),
  })

  interface Way {
    readonly serveFresh: boolean
    readonly validator: string
    readonly vary: string | undefined
    readonly hook: boolean
    readonly identity: boolean
  }

  /** The worst that a server can do: the same validators for everybody. */
  const answerTo = (url: string, headers: Headers, { validator, vary }: Way): Response => {
    const own: Record<string, string> = { 'cache-control': 'max-age=60' }
    if (validator === 'etag') own.etag = '"same"'
    if (validator === 'last-modified') own['last-modified'] = new Date(0).toUTCString()
    if (vary !== undefined) own.vary = vary
    const asks = headers.has('if-none-match') || headers.has('if-modified-since')
    if (asks) return new Response(null, { status: 304, headers: own })
    return new Response(`for ${headers.get('authorization')} at ${url}`, { headers: own })
  }

  const begin = (way: Way) => {
    const clock = testClock()
    const state = { user: '', down: false }
    const identity = way.identity ? { identity: () => state.user } : {}
    const cache = httpCache({ store: new MapStore(), serveFresh: way.serveFresh, ...identity })
    const fetch = createFetch({
      clock,
      cache,
      retry: false,
      circuitBreaker: { minimumCalls: 1000 },
      beforeAttempt: way.hook && (({ headers }) => headers.set('authorization', state.user)),
      fetch: async (url, init) =>
        state.down ? new Response(null, { status: 503 }) : answerTo(url, new Headers(init?.headers), way),
    })
    return { clock, state, cache, fetch }
  }

  test('neither ever sees the other’s body', async () => {
    let fromCache = 0
    const life = fc.asyncProperty(
      way,
      fc.array(step, { minLength: 12, maxLength: 20 }),
      async (way, steps) => {
        const { clock, state, cache, fetch } = begin(way)
        const circuit = fetch.circuits.get('http://x.test')
        for (const step of steps) {
          if (step.do === 'wait') await clock.advance(step.ms)
          if (step.do === 'clear') await cache.clear()
          if (step.do !== 'get' && step.do !== 'write') continue
          state.user = step.user
          const init: RequestInit = way.hook ? {} : as(step.user)
          const url = `http://x.test${step.path}`
          if (step.do === 'write') await fetch(url, { ...init, method: 'POST' })
          if (step.do !== 'get') continue
          state.down = step.down
          if (step.isolated) circuit.isolate()
          const response = await fetch(url, init).catch(() => undefined)
          circuit.reset()
          state.down = false
          if (response?.status !== 200) continue
          expect(await response.text()).toBe(`for ${step.user} at ${url}`)
          if (step.down || step.isolated) fromCache++
          for (let turn = 0; turn < 5; turn++) await clock.settle()
        }
      },
    )
    await fc.assert(life, { numRuns: 100 })
    expect(fromCache).toBeGreaterThan(20)
  }, 60_000)
})
