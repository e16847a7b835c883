import { Readable } from 'node:stream'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createFetch, type FetchOptions, type HoldfastFetch, type Transport } from '../../src/index.ts'
import { faultServer, status, type FaultServer } from '../../src/testing/index.ts'
import { testClock } from './support/clock.ts'
import { failureOf, finish } from './support/wait.ts'

type Fetch = typeof globalThis.fetch
type Init = RequestInit & { duplex?: 'half' }
type Arguments = [input: Parameters<Fetch>[0], init?: Init | undefined]

const OFF = {
  retry: false,
  circuitBreaker: false,
  idempotency: false,
  timeout: false,
  retryBudget: false,
} as const

/** Answers with what shows how a request went: `/redirect/<status>` leads to `/target`. */
function answer(request: Request): Response {
  const { pathname } = new URL(request.url)
  const code = Number(/^\/redirect\/(\d+)/.exec(pathname)?.[1] ?? 200)
  if (code !== 200) return new Response(null, { status: code, headers: { location: '/target' } })
  const headers = [
    ['x-answer', 'yes'],
    ['set-cookie', 'a=1'],
    ['set-cookie', 'b=2'],
  ] as [string, string][]
  return pathname === '/empty' ? new Response(null, { status: 204 }) : new Response('answer', { headers })
}

const recorder = (): Promise<FaultServer> => faultServer({ recordBodies: true, handler: answer })

const withoutBoundary = (text: string): string => text.replaceAll(/-{4,}[\w-]+/g, 'BOUNDARY')

/** What a server saw, and what came back. */
async function trace(fetch: Fetch, make: (url: string) => Arguments | Promise<Arguments>): Promise<unknown> {
  await using server = await recorder()
  const args = await make(server.url)
  const result = await fetch(...args).then(describeResponse, describeError)
  const requests = server.requests.map(({ method, path, headers, body }) => {
    const { host: _host, 'idempotency-key': _key, ...given } = headers
    const rest: Record<string, string> = given
    const text = Buffer.from(body ?? []).toString('latin1')
    if (rest['content-type'] !== undefined) rest['content-type'] = withoutBoundary(rest['content-type'])
    return { method, path, headers: rest, body: withoutBoundary(text) }
  })
  const [input] = args
  const used = input instanceof Request ? input.bodyUsed : undefined
  const { host } = new URL(server.url)
  const text = JSON.stringify({ requests, result, used })
  return JSON.parse(text.replaceAll(host, 'HOST').replaceAll(/blob:[\w:-]+/g, 'BLOB'))
}

async function describeResponse(response: Response): Promise<unknown> {
  const { url, status, statusText, type, redirected, ok } = response
  const headers = [...response.headers].filter(([name]) => name !== 'date')
  return { url, status, statusText, type, redirected, ok, headers, body: await response.text() }
}

function describeError(error: unknown): unknown {
  const { name, message, cause } = error as Error
  return { name, message, cause: (cause as Error | undefined)?.message }
}

function form(): FormData {
  const data = new FormData()
  data.append('a', '1')
  data.append('a', 'zwei')
  data.append('file', new Blob(['content'], { type: 'text/css' }), 'a.css')
  return data
}

const stream = (): ReadableStream => new Blob(['streamed']).stream()

const post = (url: string, init: Init = {}): Request =>
  new Request(url, { method: 'POST', body: 'data', ...init })

const USES: [string, (url: string) => Arguments | Promise<Arguments>][] = [
  ['a string', (url) => [url]],
  ['a string with a query and a hash', (url) => [`${url}/a/../b?c=%20d&e=ü#hash`]],
  ['a URL object', (url) => [new URL('/path?a=1', url)]],
  ['something that turns into a URL', (url) => [{ toString: () => `${url}/made` } as unknown as string]],
  ['a Request', (url) => [new Request(`${url}/request?a`)]],
  ['init null-ish', (url) => [url, undefined]],
  ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PURGE'].map((method) => use(method)),
  ...['get', 'post', 'patch', 'Put', 'delete', 'purge'].map((method) => use(method)),
  ['headers as an object', (url) => [url, { headers: { 'X-A': '1', 'x-b': '' } }]],
  ['headers as pairs, one name twice', (url) => [url, { headers: [['x-a', '1'], ['x-a', '2']] }]], // oxfmt-ignore
  ['headers as Headers', (url) => [url, { headers: new Headers({ 'x-a': '1' }) }]],
  ['headers as a Map', (url) => [url, { headers: new Map([['x-a', '1']]) as never }]],
  [
    'headers of the platform’s, overridden',
    (url) => [url, { headers: { accept: 'a/b', 'user-agent': 'me' } }],
  ],
  ['headers in latin 1', (url) => [url, { headers: { 'x-a': 'grün' } }]],
  ['a string body', (url) => [url, { method: 'POST', body: 'zwölf' }]],
  [
    'a string body with a type',
    (url) => [url, { method: 'PUT', body: '{}', headers: { 'content-type': 'a/json' } }],
  ],
  ['an empty body', (url) => [url, { method: 'POST', body: '' }]],
  ['a body of null', (url) => [url, { method: 'POST', body: null }]],
  ['a number as body', (url) => [url, { method: 'POST', body: 5 as never }]],
  ['an object as body', (url) => [url, { method: 'POST', body: { toString: () => 'own' } as never }]],
  ['a Blob', (url) => [url, { method: 'POST', body: new Blob(['b'], { type: 'a/b' }) }]],
  ['bytes', (url) => [url, { method: 'POST', body: new Uint8Array([0, 255, 128]) }]],
  ['an ArrayBuffer', (url) => [url, { method: 'POST', body: new Uint8Array([1, 2]).buffer }]],
  ['words', (url) => [url, { method: 'POST', body: new Uint16Array([1, 2]) }]],
  ['URLSearchParams', (url) => [url, { method: 'POST', body: new URLSearchParams('a=1&a=2&b=%20') }]],
  ['a form', (url) => [url, { method: 'POST', body: form() }]],
  ['a stream', (url) => [url, { method: 'POST', body: stream(), duplex: 'half' }]],
  [
    'a Node stream',
    (url) => [url, { method: 'POST', body: Readable.from([Buffer.from('n')]) as never, duplex: 'half' }],
  ],
  ...[301, 302, 303, 307, 308].flatMap((code) => [redirected(code, 'GET'), redirected(code, 'POST')]),
  ['a redirect that is followed by name', (url) => [`${url}/redirect/302`, { redirect: 'follow' }]],
  ['a redirect by hand', (url) => [`${url}/redirect/302`, { redirect: 'manual' }]],
  [
    'a redirected stream',
    (url) => [`${url}/redirect/307`, { method: 'PUT', body: stream(), duplex: 'half' }],
  ],
  ...(['omit', 'same-origin', 'include'] as const).map(
    (credentials): [string, (url: string) => Arguments] => [
      `credentials: ${credentials}`,
      (url) => [url, { credentials, headers: { authorization: 'Bearer x', cookie: 'a=1' } }],
    ],
  ),
  ...(['cors', 'same-origin', 'no-cors'] as const).map((mode): [string, (url: string) => Arguments] => [
    `mode: ${mode}`,
    (url) => [url, { mode }],
  ]),
  ...(['default', 'no-store', 'reload', 'no-cache', 'force-cache'] as const).map(
    (cache): [string, (url: string) => Arguments] => [`cache: ${cache}`, (url) => [url, { cache }]],
  ),
  ['keepalive', (url) => [url, { method: 'POST', body: 'x', keepalive: true }]],
  ['a referrer', (url) => [url, { referrer: `${url}/from`, referrerPolicy: 'unsafe-url' }]],
  [
    'integrity that holds',
    (url) => [url, { integrity: 'sha256-DbUvQHbAglGEEq/T3TV24ssMY3A/1/7V4jreYO/vMdk=' }],
  ],
  ['an answer without a body', (url) => [`${url}/empty`]],
  ['a Request with a body', (url) => [post(url)]],
  ['a Request with a form', (url) => [new Request(url, { method: 'POST', body: form() })]],
  ['a Request with an empty body', (url) => [new Request(url, { method: 'POST', body: '' })]],
  ['a Request without a body', (url) => [new Request(url, { method: 'DELETE' })]],
  ['a Request with headers', (url) => [new Request(url, { headers: { 'x-a': '1' } })]],
  ['a Request by hand', (url) => [new Request(`${url}/redirect/302`, { redirect: 'manual' })]],
  ['a Request and another method', (url) => [post(url), { method: 'PUT' }]],
  [
    'a Request and other headers',
    (url) => [post(url, { headers: { 'x-a': '1' } }), { headers: { 'x-b': '2' } }],
  ],
  ['a Request and another body', (url) => [post(url), { body: 'other' }]],
  ['a Request and no headers', (url) => [post(url, { headers: { 'x-a': '1' } }), { headers: {} }]],
  ['a Request and another mode', (url) => [new Request(`${url}/redirect/302`), { redirect: 'manual' }]],
  ['a Request and a body of null', (url) => [post(url), { body: null }]],
  ['a clone of a Request', (url) => [post(url).clone()]],
  [
    'a Request as init',
    (url) => [url, post('http://else.test/', { method: 'PUT', headers: { 'x-a': '1' } })],
  ],
  ['a Request twice', (url) => [post(url), post('http://else.test/', { method: 'PUT', body: 'second' })]],
  ['an init that is frozen', (url) => [url, Object.freeze({ method: 'POST', body: 'x', headers: Object.freeze({ a: '1' }) })]], // oxfmt-ignore
  ['a signal of null', (url) => [url, { signal: null }]],
  ['a signal', (url) => [url, { signal: new AbortController().signal }]],
  ['a signal that is none', (url) => [url, { signal: {} as never }]],
  ['a signal that has been aborted', (url) => [url, { signal: AbortSignal.abort() }]],
  ['a data: URL', () => ['data:text/plain,hello']],
  ['a blob: URL', () => [URL.createObjectURL(new Blob(['hello']))]],
  ['an unknown scheme', () => ['unknown:x']],
  ['a relative URL', () => ['/path']],
  ['an empty URL', () => ['']],
  ['credentials in the URL', (url) => [url.replace('//', '//me:secret@')]],
  ['a GET with a body', (url) => [url, { body: 'x' }]],
  ['a method that is no token', (url) => [url, { method: 'A B' }]],
  ['a method that is forbidden', (url) => [url, { method: 'CONNECT' }]],
  ['a stream without duplex', (url) => [url, { method: 'POST', body: stream() }]],
  ['a header that is none', (url) => [url, { headers: { 'a b': '1' } }]],
  ['a header beyond latin 1', (url) => [url, { headers: { 'x-a': 'ключ' } }]],
  [
    'a Request that is used up',
    async (url) => {
      const request = post(url)
      await request.text()
      return [request]
    },
  ],
  [
    'a Request that is used up, and another body',
    async (url) => {
      const request = post(url)
      await request.text()
      return [request, { body: 'other' }]
    },
  ],
]

function use(method: string): [string, (url: string) => Arguments] {
  return [`method: ${method}`, (url) => [`${url}/${method}`, { method }]]
}

function redirected(code: number, method: string): [string, (url: string) => Arguments] {
  const body = method === 'GET' ? {} : { body: 'moved' }
  return [`${method}, redirected by ${code}`, (url) => [`${url}/redirect/${code}`, { method, ...body }]]
}

describe('does what a bare fetch does', () => {
  test.each(USES)('%s', async (_, make) => {
    const bare = await trace(globalThis.fetch, make)
    expect(await trace(createFetch(), make)).toEqual(bare)
    expect(await trace(createFetch({ retry: false }), make)).toEqual(bare)
    expect(await trace(createFetch(OFF), make)).toEqual(bare)
  })

  test.each(USES)('through a transport: %s', async (name, make) => {
    // A flattened Request loses what no init can say; these differ on purpose.
    if (/used up|as init|Request twice/.test(name)) return expect(name).toMatch('Request')
    const transport: Transport = (url, init) => globalThis.fetch(url, init)
    const bare = await trace(globalThis.fetch, make)
    expect(await trace(createFetch({ fetch: transport }), make)).toEqual(bare)
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
    expect(seen[0]?.[0]).toBeUndefined()
    expect(seen[0]?.[2]).not.toHaveProperty('holdfast')
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
