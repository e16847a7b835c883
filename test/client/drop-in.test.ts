import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createFetch, type FetchOptions, type HoldfastFetch, type Transport } from '../../src/index.ts'
import { faultServer, status } from '../../src/testing/index.ts'
import { testClock } from './support/clock.ts'
import { describeError, recorder, stream, trace, USES, type Fetch, type Init } from './support/uses.ts'
import { failureOf, finish } from './support/wait.ts'

const OFF = {
  retry: false,
  circuitBreaker: false,
  idempotency: false,
  timeout: false,
  retryBudget: false,
} as const

describe('does what a bare fetch does', () => {
  test.each(USES)('%s', async (_, make) => {
    const bare = await trace(globalThis.fetch, make)
    expect(await trace(createFetch(), make)).toEqual(bare)
    expect(await trace(createFetch({ retry: false }), make)).toEqual(bare)
    expect(await trace(createFetch(OFF), make)).toEqual(bare)
  })

  test.each(USES)('through a transport: %s', async (name, make) => {
    const transport: Transport = (url, init) => globalThis.fetch(url, init)
    const bare = await trace(globalThis.fetch, make)
    const flattened = await trace(createFetch({ fetch: transport }), make)
    // It is refused in other words: an init does not tell that its body was a Request's.
    const result: unknown = expect.objectContaining({ name: 'TypeError' })
    expect(flattened).toEqual(name === 'a Request that is used up' ? { ...Object(bare), result } : bare)
  })
})

test('a Request with a stream goes out with its length, since it was read to be sent again', async () => {
  const clock = testClock()
  await using server = await faultServer({ recordBodies: true, faults: [status(503)] })
  const init: Init = { method: 'POST', body: stream(), duplex: 'half' }
  expect((await finish(clock, createFetch({ clock })(new Request(server.url, init)))).status).toBe(200)
  expect(server.requests.map(({ body }) => Buffer.from(body ?? []).toString())).toEqual([
    'streamed',
    'streamed',
  ])
  expect(server.requests.map(({ headers }) => headers['content-length'])).toEqual(['8', '8'])
})

describe('a redirect that is an error', () => {
  test('has the platform’s own error', async () => {
    await using server = await recorder()
    const init: Init = { redirect: 'error' }
    const bare = await failureOf(globalThis.fetch(`${server.url}/redirect/302`, init))
    const clock = testClock()
    const error = await finish(clock, failureOf(createFetch({ clock })(`${server.url}/redirect/302`, init)))
    expect(describeError(error)).toEqual(describeError(bare))
  })
})

describe('with everything off', () => {
  test('the transport gets the very arguments, as a plain function', async () => {
    const seen: unknown[][] = []
    const answer = new Response()
    const transport = function (this: unknown, ...args: unknown[]): Promise<Response> {
      seen.push([this, ...args])
      return Promise.resolve(answer)
    }
    const fetch = createFetch({ fetch: transport, ...OFF })
    const init = { method: 'POST', body: 'x' }
    expect(await fetch('http://x.test/a', init)).toBe(answer)
    await fetch('http://x.test/a')
    expect(seen[0]?.[1]).toBe('http://x.test/a')
    expect(seen[0]?.[2]).toBe(init)
    expect(seen).toEqual([
      [undefined, 'http://x.test/a', init],
      [undefined, 'http://x.test/a', undefined],
    ])
  })

  test.each([new TypeError('own'), 'text', undefined, 5])('an error passes as it is: %s', async (reason) => {
    const transport: Transport = () => Promise.reject(reason)
    expect(await failureOf(createFetch({ fetch: transport, ...OFF })('http://x.test/'))).toBe(reason)
  })

  test('the global fetch gets the very Request', async () => {
    const before = globalThis.fetch
    onTestFinished(() => void (globalThis.fetch = before))
    const seen: unknown[] = []
    globalThis.fetch = async (...args) => (seen.push(...args), new Response())
    const request = new Request('http://x.test/')
    const init = { headers: { a: '1' } }
    await createFetch(OFF)(request, init)
    expect(seen[0]).toBe(request)
    expect(seen[1]).toBe(init)
  })

  test('holdfast is not passed on', async () => {
    const transport = vi.fn<Transport>(async () => new Response())
    await createFetch({ fetch: transport, ...OFF })('http://x.test/', { method: 'PUT', holdfast: {} })
    expect(transport.mock.calls[0]?.[1]).toHaveProperty('method', 'PUT')
    expect(transport.mock.calls[0]?.[1]).not.toHaveProperty('holdfast')
    await createFetch({ fetch: transport, ...OFF })('data:,', { holdfast: {} })
    expect(transport.mock.calls[1]?.[1]).not.toHaveProperty('holdfast')
  })
})

describe('a transport of the user’s', () => {
  test('is called as a plain function, without holdfast', async () => {
    const seen: unknown[][] = []
    const transport = function (this: unknown, ...args: unknown[]): Promise<Response> {
      seen.push([this, ...args])
      return Promise.resolve(new Response())
    }
    await createFetch({ fetch: transport })('http://x.test/', { holdfast: { retry: false } })
    const without: unknown = expect.not.objectContaining({ holdfast: expect.anything() })
    expect(seen).toEqual([[undefined, 'http://x.test/', without]])
  })

  test.each<[string, FetchOptions]>([
    ['with everything off', OFF],
    ['with everything on', {}],
  ])('gets a Request as URL and init: %s', async (_, options) => {
    const transport = vi.fn<Transport>(async () => new Response())
    const request = new Request('http://x.test/a?b', {
      method: 'PUT',
      headers: { 'x-a': '1' },
      redirect: 'manual',
      credentials: 'omit',
      cache: 'no-store',
      integrity: 'sha256-x',
      keepalive: true,
      referrer: 'http://x.test/from',
      referrerPolicy: 'no-referrer',
    })
    const fetch = createFetch({ fetch: transport, ...options })
    await fetch(request)
    await fetch(request, { credentials: 'include' })
    const [url, init] = transport.mock.calls[0] ?? []
    expect(url).toBe('http://x.test/a?b')
    expect(init).toMatchObject({
      method: 'PUT',
      redirect: 'manual',
      credentials: 'omit',
      cache: 'no-store',
      integrity: 'sha256-x',
      keepalive: true,
      referrer: 'http://x.test/from',
      referrerPolicy: 'no-referrer',
    })
    expect(new Headers(init?.headers).get('x-a')).toBe('1')
    expect(transport.mock.calls[1]?.[1]).toMatchObject({ method: 'PUT', credentials: 'include' })
  })

  test.each([{}, OFF])('gets a URL object as a string', async (options) => {
    const transport = vi.fn<Transport>(async () => new Response())
    await createFetch({ fetch: transport, ...options })(new URL('http://x.test/a'))
    expect(transport.mock.calls[0]?.[0]).toBe('http://x.test/a')
  })

  test('hands back its own response', async () => {
    const answer = new Response('x')
    expect(await createFetch({ fetch: async () => answer })('http://x.test/')).toBe(answer)
  })

  test('gets the fields that no standard knows', async () => {
    const transport = vi.fn<Transport>(async () => new Response())
    const dispatcher = { own: true }
    const init = { dispatcher, next: { revalidate: 5 } }
    await createFetch({ fetch: transport })('http://x.test/', init as RequestInit)
    expect(transport.mock.calls[0]?.[1]).toMatchObject(init)
    expect(Reflect.get(transport.mock.calls[0]?.[1] ?? {}, 'dispatcher')).toBe(dispatcher)
  })

  test('cannot be another holdfast fetch', () => {
    expect(() => createFetch({ fetch: createFetch() })).toThrow(/holdfast fetch/)
    expect(() => createFetch({ fetch: createFetch().with({}) })).toThrow(/holdfast fetch/)
  })
})

describe('the global fetch', () => {
  function replaceGlobal(fetch: Fetch): void {
    const before = globalThis.fetch
    onTestFinished(() => void (globalThis.fetch = before))
    globalThis.fetch = fetch
  }

  test('can be replaced by a holdfast one', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503)] })
    replaceGlobal(createFetch({ clock }))
    const response = await finish(clock, fetch(server.url, { method: 'POST', body: 'x' }))
    expect(response.status).toBe(200)
    expect(server.requests).toHaveLength(2)
  })

  test('is looked up at each call', async () => {
    const client = createFetch()
    replaceGlobal(async () => new Response('mock'))
    expect(await (await client('http://x.test/')).text()).toBe('mock')
  })

  test('of a test that replaces it later gets what the caller gave', async () => {
    const client = createFetch()
    const seen: unknown[] = []
    replaceGlobal(async (...args) => (seen.push(args[0]), new Response()))
    const url = new URL('http://x.test/')
    const request = new Request('http://x.test/')
    await client(url)
    await client(request)
    expect(seen[0]).toBe(url)
    expect(seen[1]).toBe(request)
  })

  test('is not needed where a transport is given', async () => {
    replaceGlobal(undefined as never)
    expect((await createFetch({ fetch: async () => new Response() })('http://x.test/')).status).toBe(200)
  })

  test('that is missing is said so', async () => {
    replaceGlobal(undefined as never)
    const client = createFetch(OFF)
    expect(await failureOf(client('http://x.test/'))).toBeInstanceOf(TypeError)
  })
})

test('is a function of the kind that fetch is', () => {
  const fetch: HoldfastFetch = createFetch()
  const plain: Fetch = fetch
  expect(plain).toBe(fetch)
  expect(fetch.with({})).toBeTypeOf('function')
})

test('never throws at once, whatever it is given', async () => {
  const fetch = createFetch({ fetch: async () => new Response() })
  for (const input of [undefined, null, Symbol.iterator, {}, 5]) {
    const work = (): Promise<unknown> => fetch(input as never).catch(() => 'rejected')
    expect(work).not.toThrow()
    await work()
  }
})
