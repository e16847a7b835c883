/** `holdfast/undici` in every undici that this Node can load, against loopback servers that fail first. */
import { createServer } from 'node:http'
import { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline as join } from 'node:stream/promises'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Dispatcher } from 'undici'
import { interceptor, transport } from '../../../src/adapters/undici/index.ts'
import { systemClock } from '../../../src/primitives/clock.ts'
import { createFetch, outcomeOf, type HoldfastEvent, type Transport } from '../../../src/index.ts'
import { hang, noBackoff, ok, reset, status, times, truncate } from '../../../src/testing/index.ts'
import { testClock } from '../../client/support/clock.ts'
import { resource } from '../../client/support/resource.ts'
import { expectNoUnhandledRejections } from '../../client/support/unhandled.ts'
import { failureOf, until } from '../../client/support/wait.ts'
import { listening } from '../../support/listening.ts'
import { bench, listMade, typesOf } from './support.ts'
import { versions, type UndiciModule } from './versions.ts'

expectNoUnhandledRejections()

const echo = async (request: Request): Promise<Response> =>
  Response.json({ body: await request.text(), type: request.headers.get('content-type') })

/** A mock that knows one request, of another path than the tests ask for. */
function mocked({ MockAgent }: UndiciModule) {
  const agent = new MockAgent()
  onTestFinished(() => agent.close())
  agent.disableNetConnect()
  agent.get('http://mocked.test').intercept({ path: '/' }).reply(200)
  const events: HoldfastEvent[] = []
  return { agent, events, onEvent: (event: HoldfastEvent): void => void events.push(event) }
}

const fetchBy =
  ({ fetch }: UndiciModule, dispatcher: Dispatcher): Transport =>
  (url, init) =>
    fetch(url, { ...init, dispatcher } as never) as unknown as Promise<Response>

function expectNotMatched(error: unknown): void {
  const { code, cause } = error as { code?: string; cause?: { code?: string } }
  expect([code, cause?.code]).toContain('UND_MOCK_ERR_MOCK_NOT_MATCHED')
}

/** What is told of a call that is not tried again. */
const ONCE = ['call-start', 'attempt-start', 'attempt-end', 'give-up', 'call-end']

describe.each(versions)('$name', ({ undici }) => {
  describe('a request that no mock matches', () => {
    test.each(['request', 'fetch'] as const)('fails at once: %s', async (name) => {
      const { agent, events, onEvent } = mocked(undici)
      const dispatcher = agent.compose(interceptor({ onEvent })) as typeof agent
      const work = failureOf(undici[name]('http://mocked.test/other', { dispatcher }))
      expectNotMatched(await work)
      expect(typesOf(events)).toEqual(ONCE)
    })

    test.each(['fetch', 'transport'] as const)('fails at once under createFetch: %s', async (name) => {
      const { agent, events, onEvent } = mocked(undici)
      const send = name === 'fetch' ? fetchBy(undici, agent) : transport({ dispatcher: agent })
      const fetch = createFetch({ fetch: send, onEvent, circuitBreaker: { minimumCalls: 1 } })
      expectNotMatched(await failureOf(fetch('http://mocked.test/other')))
      expect(typesOf(events)).toEqual(ONCE)
    })
  })

  describe('undici.request', () => {
    test('gets its answer in spite of failures, and sees nothing of them', async () => {
      const { api, dispatcher, events } = await bench(undici, { faults: [status(503), reset()] })
      const { statusCode, headers, body } = await undici.request(`${api.url}/a?b=c`, { dispatcher })
      expect(statusCode).toBe(200)
      expect(headers['content-type']).toContain('json')
      expect(await body.json()).toEqual({ ok: true })
      expect(api.requests.map(({ path }) => path)).toEqual(Array(3).fill('/a?b=c'))
      expect(typesOf(events)).toEqual([
        'call-start',
        ...Array.from({ length: 2 }, () => ['attempt-start', 'attempt-end', 'retry']).flat(),
        'attempt-start',
        'attempt-end',
        'call-end',
      ])
    })

    test.each([
      ['a string', (): string => 'bytes'],
      ['a buffer', (): Buffer => Buffer.from('bytes')],
      ['bytes', (): Uint8Array => new TextEncoder().encode('bytes')],
    ])('sends %s again, with one key', async (_, body) => {
      const { api, dispatcher } = await bench(undici, { handler: echo, faults: [reset(), status(500)] })
      const answer = await undici.request(api.url, { dispatcher, method: 'POST', body: body() })
      expect(await answer.body.json()).toMatchObject({ body: 'bytes' })
      const keys = api.requests.map(({ headers }) => headers['idempotency-key'])
      expect(keys).toHaveLength(3)
      expect(new Set(keys).size).toBe(1)
      expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/)
    })

    test.each([
      ['a stream', (): Readable => Readable.from([Buffer.from('by'), Buffer.from('tes')])],
      [
        'a generator',
        (): Readable => {
          function* chunks(): Generator<Buffer> {
            yield Buffer.from('by')
            yield Buffer.from('tes')
          }
          return chunks() as unknown as Readable
        },
      ],
    ])('sends %s once, and says so', async (_, body) => {
      const { api, dispatcher, events } = await bench(undici, {
        handler: echo,
        faults: [status(200), status(503)],
      })
      await (await undici.request(api.url, { dispatcher })).body.dump()
      const answer = await undici.request(api.url, { dispatcher, method: 'POST', body: body() })
      expect(answer.statusCode).toBe(503)
      await answer.body.dump()
      expect(api.requests).toHaveLength(2)
      expect(typesOf(events)).toContain('body-not-replayable')
      const served = await undici.request(api.url, { dispatcher, method: 'POST', body: body() })
      expect(await served.body.json()).toMatchObject({ body: 'bytes' })
    })

    test.each(['content-length', 'Content-Length'])('sends a stream of a known %s again', async (name) => {
      const { api, dispatcher } = await bench(undici, { handler: echo, faults: [status(503)] })
      const answer = await undici.request(api.url, {
        dispatcher,
        method: 'POST',
        headers: { [name]: '5' },
        body: Readable.from([Buffer.from('bytes')]),
      })
      expect(await answer.body.json()).toMatchObject({ body: 'bytes' })
      expect(api.requests).toHaveLength(2)
    })

    test("sends undici's own form with the same bytes each time", async () => {
      const bodies: string[] = []
      const { api, dispatcher } = await bench(undici, {
        handler: async (request) => {
          bodies.push(await request.text())
          return new Response(null, { status: bodies.length < 3 ? 503 : 200 })
        },
      })
      const form = new undici.FormData()
      form.set('name', 'anchor')
      form.set('file', new Blob(['bytes']), 'a.txt')
      await (await undici.request(api.url, { dispatcher, method: 'POST', body: form })).body.dump()
      expect(bodies).toHaveLength(3)
      expect(new Set(bodies).size).toBe(1)
      expect(bodies[0]).toContain('name="file"; filename="a.txt"')
    })

    test('leaves headers as the caller wrote them, and his own key', async () => {
      const { api, dispatcher } = await bench(undici, { faults: [status(503)] })
      const headers = ['X-One', 'a', 'X-One', 'b', 'idempotency-key', 'mine']
      await (await undici.request(api.url, { dispatcher, method: 'POST', headers })).body.dump()
      expect(api.requests.map(({ headers: got }) => [got['x-one'], got['idempotency-key']])).toEqual(
        Array.from({ length: 2 }, () => ['a, b', 'mine']),
      )
    })

    test('takes what beforeAttempt does to headers', async () => {
      const { api, dispatcher } = await bench(
        undici,
        { faults: [status(503)] },
        { beforeAttempt: ({ attempt, headers }) => headers.set('authorization', `token ${attempt}`) },
      )
      const headers = { Authorization: 'stale', 'X-Kept': ['a', 'b'] }
      await (await undici.request(api.url, { dispatcher, headers })).body.dump()
      const seen = api.requests.map(({ headers: got }) => [got['authorization'], got['x-kept']])
      expect(seen).toEqual([
        ['token 1', 'a, b'],
        ['token 2', 'a, b'],
      ])
    })

    test('gets the last response as it is when nothing helps', async () => {
      const { api, dispatcher } = await bench(undici, { faults: () => status(503, { body: 'down' }) })
      const { statusCode, body } = await undici.request(api.url, { dispatcher })
      expect([statusCode, await body.text(), api.requests.length]).toEqual([503, 'down', 5])
    })

    test('gets the last error as it is when nothing helps', async () => {
      const { api, dispatcher } = await bench(undici, { faults: () => reset() })
      const error = await failureOf(undici.request(api.url, { dispatcher }))
      expect((error as { code: string }).code).toMatch(/ECONNRESET|UND_ERR_SOCKET/)
      expect(outcomeOf(error)?.attempts).toBe(5)
    })

    test('waits as Retry-After asks', async () => {
      const clock = testClock()
      const { api, dispatcher } = await bench(
        undici,
        { faults: [status(429, { retryAfter: 7 })] },
        { clock, random: () => 0 },
      )
      const work = undici.request(api.url, { dispatcher })
      await until(() => clock.wakeInMs !== undefined)
      expect(clock.sleeps).toEqual([7000])
      await clock.advance(7000)
      await (await work).body.dump()
    })

    test('fails at once while the circuit is open', async () => {
      const { api, dispatcher } = await bench(
        undici,
        { faults: () => status(500) },
        { retry: false, circuitBreaker: { minimumCalls: 1 } },
      )
      await (await undici.request(api.url, { dispatcher })).body.dump()
      const error = await failureOf(undici.request(api.url, { dispatcher }))
      expect(error).toMatchObject({ code: 'ERR_CIRCUIT_OPEN', key: api.url })
      expect(api.requests).toHaveLength(1)
    })

    test('ends an attempt that takes too long, and tries again', async () => {
      const clock = testClock()
      const { api, dispatcher } = await bench(undici, { faults: [hang()] }, { clock })
      const work = undici.request(api.url, { dispatcher })
      await until(() => api.requests.length === 1)
      await clock.advance(30_000)
      await until(() => clock.wakeInMs !== undefined)
      await clock.advance(2000)
      const { statusCode, body } = await work
      await body.dump()
      expect([statusCode, api.requests.length]).toEqual([200, 2])
    })

    test('a request that undici refuses is not tried again', async () => {
      const { api, dispatcher, events } = await bench(undici, {})
      const error = await failureOf(undici.request(api.url, { dispatcher, headers: { 'bad name': 'x' } }))
      expect(error).toMatchObject({ code: 'UND_ERR_INVALID_ARG' })
      expect(typesOf(events).filter((type) => type === 'attempt-start')).toHaveLength(1)
    })
  })

  describe('a response', () => {
    test('passes on trailers', async () => {
      let requests = 0
      const server = createServer((_request, response) => {
        response.writeHead(++requests === 1 ? 503 : 200, { trailer: 'x-sum', etag: '"v1"' })
        response.write('body')
        response.addTrailers({ 'x-sum': `${requests}` })
        response.end()
      })
      const { port } = (await listening(server)).address() as AddressInfo
      onTestFinished(() => void server.close())
      // What could not be resumed passes untouched.
      const { dispatcher } = await bench(undici, {}, { retry: { resumeBody: true } })
      const answer = await undici.request(`http://127.0.0.1:${port}`, { dispatcher })
      expect(await answer.body.text()).toBe('body')
      expect(answer.trailers).toEqual({ 'x-sum': '2' })
    })

    test('takes no stream, no signal and no Headers on its way', async () => {
      const server = createServer((_request, response) => void response.end('body'))
      const { port } = (await listening(server)).address() as AddressInfo
      onTestFinished(() => void server.close())
      const { dispatcher } = await bench(undici, {})
      const made = listMade('ReadableStream', 'AbortController', 'Headers')
      const { body } = await undici.request(`http://127.0.0.1:${port}`, { dispatcher })
      expect(await body.text()).toBe('body')
      expect(made).toEqual([])
    })

    test.each(['at once', 'after a decision'])('comes at the pace of its reader: %s', async (accepted) => {
      const size = 32 * 1024 * 1024
      let written = 0
      const server = createServer((_request, response) => {
        const chunks = Array.from({ length: 1024 }, () => Buffer.alloc(size / 1024))
        const counted = Readable.from(chunks).on('data', (chunk: Buffer) => (written += chunk.length))
        join(counted, response).catch(() => {})
      })
      const { port } = (await listening(server)).address() as AddressInfo
      onTestFinished(() => void server.close())
      let accept = (_again: boolean): void => {}
      const decision = new Promise<boolean>((resolve) => (accept = resolve))
      const isLate = accepted === 'after a decision'
      const retry = isLate ? { shouldRetry: () => decision } : {}
      const { dispatcher } = await bench(undici, {}, { retry })
      const answer = undici.request(`http://127.0.0.1:${port}`, { dispatcher })
      if (!isLate) await answer
      let before = -1
      let unchanged = 0
      await until(() => {
        unchanged = written === before && written > 0 ? unchanged + 1 : 0
        before = written
        return unchanged === 50
      })
      expect(written).toBeLessThan(size / 2)
      accept(false)
      const { body } = await answer
      let read = 0
      for await (const chunk of body) read += (chunk as Buffer).length
      expect(read).toBe(size)
    })

    test('that is discarded leaves its connection for the next attempt', async () => {
      const sockets = new Set<unknown>()
      let requests = 0
      const server = createServer((request, response) => {
        sockets.add(request.socket)
        response.statusCode = ++requests < 4 ? 503 : 200
        response.end('x'.repeat(10_000))
      })
      const { port } = (await listening(server)).address() as AddressInfo
      onTestFinished(() => void server.close())
      // A real pause, in which the connection becomes free.
      const retry = { baseDelayMs: 5, jitter: 'none' as const }
      const { dispatcher } = await bench(undici, {}, { retry, clock: systemClock })
      await (await undici.request(`http://127.0.0.1:${port}`, { dispatcher })).body.dump()
      expect([requests, sockets.size]).toEqual([4, 1])
    })

    test('that is discarded and never ends is cut off', async () => {
      let requests = 0
      let isCut = false
      const server = createServer((_request, response) => {
        if (++requests > 1) return response.end('served')
        response.writeHead(503)
        const flood = setInterval(() => response.write(Buffer.alloc(10_000)), 1)
        response.once('close', () => {
          clearInterval(flood)
          isCut = true
        })
        return response
      })
      const { port } = (await listening(server)).address() as AddressInfo
      onTestFinished(() => void server.close())
      const { dispatcher } = await bench(undici, {})
      const { body } = await undici.request(`http://127.0.0.1:${port}`, { dispatcher })
      expect(await body.text()).toBe('served')
      await until(() => isCut)
    })

    test('without a body ends', async () => {
      let requests = 0
      const { api, dispatcher } = await bench(undici, {
        handler: () =>
          ++requests === 1 ? new Response(null, { status: 503 }) : new Response(null, { status: 204 }),
      })
      const { statusCode, body } = await undici.request(api.url, { dispatcher, method: 'DELETE' })
      expect([statusCode, await body.text(), requests]).toEqual([204, '', 2])
      const head = await undici.request(api.url, { dispatcher, method: 'HEAD' })
      expect([head.statusCode, await head.body.text()]).toEqual([204, ''])
    })

    test('whose body breaks is an error for its reader', async () => {
      const { api, dispatcher } = await bench(undici, { faults: [truncate({ afterBytes: 5 })] })
      const { body } = await undici.request(api.url, { dispatcher })
      expect(((await failureOf(body.text())) as { code: string }).code).toMatch(/UND_ERR_SOCKET|ECONNRESET/)
      expect(api.requests).toHaveLength(1)
    })

    test('whose body breaks goes on where it broke, with resumeBody', async () => {
      const faults = [truncate({ afterBytes: 5 }), truncate({ afterBytes: 2 }), ok()]
      const server = {
        faults: [...faults, ...faults],
        handler: resource('0123456789', '"v1"', { 'x-own': 'kept' }),
      }
      const { api, dispatcher, events } = await bench(undici, server, { retry: { resumeBody: true } })
      const { statusCode, headers, body } = await undici.request(api.url, { dispatcher })
      expect([statusCode, headers['content-length'], headers['x-own']]).toEqual([200, '10', 'kept'])
      expect(await body.text()).toBe('0123456789')
      const answer = await undici.fetch(api.url, { dispatcher })
      expect([answer.status, await answer.text()]).toEqual([200, '0123456789'])
      const offsets = events.flatMap((event) => (event.type === 'resume' ? [event.offsetBytes] : []))
      const [first, second, third, fourth] = offsets.map((offset) => `bytes=${offset}-`)
      expect(api.requests.map(({ headers: { range } }) => range)).toEqual([
        undefined,
        first,
        second,
        undefined,
        third,
        fourth,
      ])
    })

    test('whose body breaks and has changed since is an error for its reader, with resumeBody', async () => {
      let version = 0
      const { api, dispatcher } = await bench(
        undici,
        {
          faults: [truncate({ afterBytes: 5 })],
          handler: (request) => resource('0123456789', `"v${++version}"`)(request),
        },
        { retry: { resumeBody: true } },
      )
      const { body } = await undici.request(api.url, { dispatcher })
      expect(((await failureOf(body.text())) as { code: string }).code).toMatch(/UND_ERR_SOCKET|ECONNRESET/)
      expect(api.requests).toHaveLength(2)
    })

    test('whose reader leaves while the rest is asked for ends there, with resumeBody', async () => {
      const { api, dispatcher } = await bench(
        undici,
        { faults: [truncate({ afterBytes: 5 }), hang()], handler: resource('0123456789') },
        { retry: { resumeBody: true } },
      )
      const controller = new AbortController()
      const { body } = await undici.request(api.url, { dispatcher, signal: controller.signal })
      const text = failureOf(body.text())
      await until(() => api.requests.length === 2)
      const reason = new Error('enough')
      controller.abort(reason)
      expect(await text).toBe(reason)
      await until(() => api.requests[1]?.outcome === 'cut')
    })

    test('that a rule of the caller reads is told whole nevertheless', async () => {
      const { api, dispatcher } = await bench(
        undici,
        { faults: [status(200, { body: 'not yet' })] },
        {
          retry: {
            shouldRetry: async ({ response }) => (await response?.clone().text()) === 'not yet',
          },
        },
      )
      const { body } = await undici.request(api.url, { dispatcher })
      expect(await body.json()).toEqual({ ok: true })
      expect(api.requests).toHaveLength(2)
    })

    test('that is read on this side waits for what is to come', async () => {
      const server = createServer((_request, response) => {
        response.writeHead(200, { 'content-length': 7 })
        response.write('one ')
        setTimeout(() => response.end('two'), 20)
      })
      const { port } = (await listening(server)).address() as AddressInfo
      onTestFinished(() => void server.close())
      const { dispatcher } = await bench(undici, {}, { timeout: { bodyIdleMs: 60_000 } })
      const { body } = await undici.request(`http://127.0.0.1:${port}`, { dispatcher })
      expect(await body.text()).toBe('one two')
    })

    test('can be a fallback', async () => {
      const { api, dispatcher } = await bench(
        undici,
        { faults: () => status(503) },
        { retry: false, fallback: () => Response.json({ stale: true }, { headers: { 'x-source': 'mine' } }) },
      )
      const { statusCode, headers, body } = await undici.request(api.url, { dispatcher })
      expect([statusCode, headers['x-source'], await body.json()]).toEqual([200, 'mine', { stale: true }])
    })
  })

  describe('undici.fetch', () => {
    test('with a body of known length is sent again', async () => {
      const { api, dispatcher } = await bench(undici, { handler: echo, faults: [status(503), reset()] })
      const response = await undici.fetch(api.url, { dispatcher, method: 'POST', body: 'bytes' })
      expect(await response.json()).toMatchObject({ body: 'bytes' })
      expect(new Set(api.requests.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
      expect(api.requests).toHaveLength(3)
    })

    test('decodes what was encoded, and follows redirects', async () => {
      const { gzipSync } = await import('node:zlib')
      const { api, dispatcher } = await bench(undici, {
        handler: (request) =>
          new URL(request.url).pathname === '/'
            ? new Response(null, { status: 302, headers: { location: '/there' } })
            : new Response(gzipSync('there'), { headers: { 'content-encoding': 'gzip' } }),
        faults: [status(503), status(200), status(503)],
      })
      await (await undici.fetch(api.url, { dispatcher })).text()
      const response = await undici.fetch(api.url, { dispatcher })
      expect([await response.text(), response.redirected, response.status]).toEqual(['there', true, 200])
    })
  })

  test("Node's own fetch goes through it", async () => {
    const { api, dispatcher } = await bench(undici, { handler: echo, faults: [status(503), reset()] })
    const init = { dispatcher, method: 'POST', body: 'bytes' } as RequestInit
    const response = await fetch(api.url, init)
    expect(await response.json()).toMatchObject({ body: 'bytes' })
    expect(api.requests).toHaveLength(3)
  })

  test('undici.stream writes one response', async () => {
    const { api, dispatcher } = await bench(undici, { faults: [status(503), status(500)] })
    const heads: number[] = []
    const chunks: Buffer[] = []
    await undici.stream(api.url, { dispatcher, method: 'GET' }, ({ statusCode }) => {
      heads.push(statusCode)
      return new Writable({
        write(chunk: Buffer, _encoding, done) {
          chunks.push(chunk)
          done()
        },
      })
    })
    expect(heads).toEqual([200])
    expect(Buffer.concat(chunks).toString()).toBe('{"ok":true}')
  })

  test('undici.pipeline sends its stream once', async () => {
    const { api, dispatcher } = await bench(undici, { handler: echo })
    const duplex = undici.pipeline(api.url, { dispatcher, method: 'POST' }, ({ body }) => body)
    const answer = text(duplex)
    duplex.end('bytes')
    expect(JSON.parse(await answer)).toMatchObject({ body: 'bytes' })
  })

  test('a fetch that is there already shares its circuits', async () => {
    const { api } = await bench(undici, { faults: times(2, status(503)) })
    const client = createFetch(noBackoff)
    const agent = new undici.Agent()
    onTestFinished(() => agent.destroy())
    const dispatcher = agent.compose(interceptor(client))
    await (await undici.request(api.url, { dispatcher })).body.dump()
    expect([...client.circuits].map(({ key }) => key)).toEqual([api.url])
    expect(api.requests).toHaveLength(3)
    expect((await client(api.url)).status).toBe(200)
  })

  test('a fetch of Holdfast over it still goes through it', async () => {
    const { api, dispatcher, events } = await bench(undici, { faults: [status(503)] })
    const response = await createFetch({ retry: false })(api.url, { dispatcher } as RequestInit)
    expect([response.status, api.requests.length]).toEqual([200, 2])
    expect(typesOf(events)).toContain('retry')
  })

  test('tells where redirects below it led', async () => {
    const { api } = await bench(undici, {
      handler: ({ url }) =>
        new URL(url).pathname === '/'
          ? new Response(null, { status: 302, headers: { location: '/there' } })
          : new Response('there'),
      faults: [status(200), status(503)],
    })
    const agent = new undici.Agent()
    onTestFinished(() => agent.destroy())
    const redirect = undici.interceptors.redirect({ maxRedirections: 1 })
    const dispatcher = agent.compose(redirect, interceptor(noBackoff))
    await (await undici.request(api.url, { dispatcher })).body.dump()
    const { body, context } = await undici.request(api.url, { dispatcher })
    expect(await body.text()).toBe('there')
    expect((context as { history: readonly URL[] }).history.map(({ pathname }) => pathname)).toContain('/')
  })

  test('a Client has a circuit of its own', async () => {
    const { api } = await bench(undici, { faults: [status(503)] })
    const fetch = createFetch(noBackoff)
    const client = new undici.Client(api.url)
    onTestFinished(() => client.destroy())
    const { body } = await client.compose(interceptor(fetch)).request({ path: '/', method: 'GET' })
    await body.dump()
    expect(api.requests).toHaveLength(2)
    expect(fetch.circuits.size).toBe(1)
  })
})

test('a fetch that another copy of the package has made is refused: it would send past the dispatcher', async () => {
  vi.resetModules()
  const other = await import('../../../src/index.ts')
  expect(() => interceptor(other.createFetch() as never)).toThrow(/createFetch of this copy/)
})

test('wrong options are refused', () => {
  expect(() => interceptor({ retry: { maxRetries: -1 } })).toThrow(/retry\.maxRetries .*-1/)
  expect(() => interceptor({ fetch: globalThis.fetch } as never)).toThrow(
    /^interceptor has no option "fetch"; it has retry, /,
  )
  expect(() => interceptor({ retries: 5 } as never)).toThrow(/^interceptor has no option "retries"; /)
  expect(() => interceptor(null as never)).toThrow('interceptor should be an object, got null')
  expect(() => interceptor(globalThis.fetch as never)).toThrow(
    /^what interceptor\(\) is given should be a fetch that createFetch of this copy has made, got a function/,
  )
  expect(() => interceptor()({} as never)).toThrow(/compose\(\) gives an interceptor .* a function, got/)
})
