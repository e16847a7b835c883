import { describe, expect, onTestFinished, test } from 'vitest'
import { createFetch, outcomeOf, type CallOptions, type DerivedOptions } from '../../src/index.ts'
import { faultServer, status } from '../../src/testing/index.ts'
import { testClock } from './support/clock.ts'
import { failureOf, finish } from './support/wait.ts'

describe('init is read as the platform reads it', () => {
  test('a member that it inherits', async () => {
    await using server = await faultServer({ recordBodies: true })
    await createFetch()(server.url, Object.create({ method: 'POST', body: 'inherited' }) as RequestInit)
    expect(server.requests[0]).toMatchObject({ method: 'POST' })
    expect(Buffer.from(server.requests[0]?.body ?? []).toString()).toBe('inherited')
  })

  test('a member of its class', async () => {
    class Own {
      get method(): string {
        return 'PUT'
      }
    }
    await using server = await faultServer()
    await createFetch()(server.url, new Own())
    expect(server.requests[0]).toMatchObject({ method: 'PUT' })
  })

  test.each([[[['x-a']]], [[['x-a', '1', '2']]], [null]])('headers that are none: %j', async (headers) => {
    await using server = await faultServer()
    const bare = await failureOf(globalThis.fetch(server.url, { headers: headers as never }))
    const error = await failureOf(createFetch()(server.url, { headers: headers as never }))
    expect(String(error)).toBe(String(bare))
    expect(server.requests).toHaveLength(0)
  })
})

test.each([307, 308])('the body of a Request survives a redirect by %d', async (code) => {
  const clock = testClock()
  await using server = await faultServer({
    recordBodies: true,
    handler: ({ url }) =>
      url.endsWith('/target')
        ? new Response('done')
        : new Response(null, { status: code, headers: { location: '/target' } }),
  })
  const request = (): Request => new Request(server.url, { method: 'POST', body: 'data' })
  expect((await globalThis.fetch(request())).status).toBe(200)
  const response = await finish(clock, createFetch({ clock })(request()))
  expect(response.status).toBe(200)
  expect(Buffer.from(server.requests.at(-1)?.body ?? []).toString()).toBe('data')
})

describe('an origin is read as the platform reads it', () => {
  const fetch = createFetch({ fetch: async () => new Response() })

  test.each([
    ['http://x.test', 'http://x.test'],
    ['http://x.tes/', 'http://x.tes'],
    ['HTTP://X.TEST/a', 'http://x.test'],
    ['http://x.test:80?a=//b', 'http://x.test'],
    ['http://x.test:8080#a', 'http://x.test:8080'],
    ['http://x.test\\@y.test/', 'http://x.test'],
    ['http://x.test@y.test/', 'http://y.test'],
    [' http://x.test/', 'http://x.test'],
    ['http://ä.test/', 'http://xn--4ca.test'],
    ['http://2130706433/', 'http://127.0.0.1'],
    ['http://[::1]/', 'http://[::1]'],
  ])('%j', async (url, origin) => {
    // Known by now, or not.
    for (let call = 0; call < 2; call++)
      expect(outcomeOf(await fetch(url))).toMatchObject({ circuit: origin })
    expect(origin).toBe(new URL(url).origin)
  })

  test.each(['http://x.test:99999/', 'http://1.2.3.4.5/', '/path', 'x.test'])('%j is none', async (url) => {
    for (let call = 0; call < 2; call++) expect(outcomeOf(await fetch(url))).toBeUndefined()
  })
})

describe('the request is what it was when fetch was called', () => {
  test('plain headers that the caller changes', async () => {
    const clock = testClock()
    const seen: unknown[] = []
    const fetch = createFetch({
      clock,
      fetch: async (_, init) => {
        seen.push(new Headers(init?.headers).get('x-a'))
        return new Response(null, { status: seen.length === 1 ? 503 : 200 })
      },
    })
    const headers = { 'x-a': 'before' }
    const work = fetch('http://x.test/', { method: 'POST', headers })
    headers['x-a'] = 'after'
    await finish(clock, work)
    expect(seen).toEqual(['before', 'before'])
  })

  test('a URL object that the caller changes', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503)] })
    const url = new URL('/before', server.url)
    const work = createFetch({ clock })(url)
    url.pathname = '/after'
    await finish(clock, work)
    expect(server.requests.map(({ path }) => path)).toEqual(['/before', '/before'])
  })

  test('a Request whose headers the caller changes', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503)] })
    const request = new Request(server.url, { headers: { 'x-a': 'before' } })
    const work = createFetch({ clock })(request)
    request.headers.set('x-a', 'after')
    await finish(clock, work)
    expect(server.requests.map(({ headers }) => headers['x-a'])).toEqual(['before', 'before'])
  })
})

test.each([null, 'x'])(
  'circuitBreaker of a call or of fetch.with that is no object: %j',
  async (circuitBreaker) => {
    const fetch = createFetch({ fetch: async () => new Response() })
    const changes = { circuitBreaker } as unknown as CallOptions & DerivedOptions
    const invalid = expect.objectContaining({ code: 'ERR_INVALID_OPTION' })
    expect(await failureOf(fetch('http://x.test/', { holdfast: changes }))).toEqual(invalid)
    expect(() => fetch.with(changes)).toThrow(invalid)
  },
)

test('a signal used by a call that bypasses the pipeline does not make later calls bypass it', async () => {
  const clock = testClock()
  const client = createFetch({ clock })
  const before = globalThis.fetch
  onTestFinished(() => void (globalThis.fetch = before))
  let calls = 0
  globalThis.fetch = async () => new Response('', { status: calls++ === 1 ? 503 : 200 })
  const { signal } = new AbortController()
  await client('data:,hello', { signal })
  const response = await finish(clock, client('http://127.0.0.1:9/', { signal }))
  expect(response.status).toBe(200)
  expect(calls).toBe(3)
})

test('holdfast.body that gives the same stream again is the caller’s mistake, not the service’s failure', async () => {
  const clock = testClock()
  await using server = await faultServer({ faults: [status(503)] })
  const fetch = createFetch({ clock, circuitBreaker: { minimumCalls: 2 } })
  const stream = new Blob(['once']).stream()
  const holdfast = { body: () => stream }
  const error = await finish(clock, failureOf(fetch(server.url, { method: 'PUT', holdfast })))
  expect(String(error)).toContain('holdfast.body returned a stream that is used up')
  expect(server.requests).toHaveLength(1)
  expect(fetch.circuits.get(new URL(server.url).origin).state).toBe('closed')
})

test('another client that a wrapper of the global fetch uses keeps its pipeline', async () => {
  const clock = testClock()
  const before = globalThis.fetch
  onTestFinished(() => void (globalThis.fetch = before))
  let sent = 0
  const telemetry = createFetch({
    clock,
    fetch: async () => new Response('', { status: ++sent === 1 ? 503 : 200 }),
  })
  const answers: Promise<Response>[] = []
  globalThis.fetch = async () => {
    answers.push(telemetry('http://telemetry.test/'))
    return new Response()
  }
  await createFetch({ clock })('http://x.test/')
  await clock.advance(2000)
  expect((await answers[0])?.status).toBe(200)
  expect(sent).toBe(2)
})

test('a response that comes after the total timeout is discarded, whatever held it up', async () => {
  const clock = testClock()
  const answer = new Response('late')
  const fetch = createFetch({
    clock,
    timeout: { totalMs: 1000 },
    retry: { shouldRetry: () => new Promise((resolve) => void clock.schedule(() => resolve(false), 2000)) },
    fetch: async () => answer,
  })
  const work = failureOf(fetch('http://x.test/'))
  await clock.advance(3000)
  expect(await work).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
  await expect(answer.text()).rejects.toThrow(TypeError)
})

test('an abort by whoever hears of the attempt comes before it is sent', async () => {
  const controller = new AbortController()
  let sent = 0
  const fetch = createFetch({
    onEvent: ({ type }) => void (type === 'attempt-start' && controller.abort('heard')),
    fetch: async () => {
      sent++
      return new Response()
    },
  })
  expect(await failureOf(fetch('http://x.test/', { signal: controller.signal }))).toBe('heard')
  expect(sent).toBe(0)
})
