import { createServer, type AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { httpCache } from '../../src/cache/index.ts'
import { createFetch, outcomeOf, type FetchOptions, type Policy, type Transport } from '../../src/index.ts'
import { faultServer, status, times } from '../../src/testing/index.ts'
import { refusingPort } from '../support/refusing.ts'
import { listening } from '../support/listening.ts'
import { testClock } from './support/clock.ts'
import { failureOf, finish } from './support/wait.ts'

/** A Request with a stream: the DOM's types do not know `duplex` yet. */
function streamed(body: ReadableStream, init: RequestInit = {}): Request {
  const all: RequestInit & { duplex: 'half' } = { method: 'POST', ...init, body, duplex: 'half' }
  return new Request('http://x.test/', all)
}

const bodyText = (body: Uint8Array | undefined): string => Buffer.from(body ?? []).toString()

describe('the request is what it was when fetch was called', () => {
  test.each([
    ['with retries', {}],
    ['without retries', { retry: false }],
  ] as const)('%s', async (_, options) => {
    await using server = await faultServer({ recordBodies: true })
    const fetch = createFetch({ ...options, idempotency: false })
    const headers: Record<string, string> = { 'x-number': '1' }
    const body = new Uint8Array([65, 65])
    const init = { method: 'PUT', headers, body }
    const response = fetch(server.url, init)
    headers['x-number'] = '2'
    body.fill(66)
    init.method = 'DELETE'
    await response
    expect(server.requests[0]).toMatchObject({ method: 'PUT', headers: { 'x-number': '1' } })
    expect(bodyText(server.requests[0]?.body)).toBe('AA')
  })

  test('also on a later attempt', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503)] })
    const headers = new Headers({ 'x-number': '1' })
    const init = { headers, method: 'PUT' }
    const work = createFetch({ clock })(server.url, init)
    headers.set('x-number', '2')
    init.method = 'DELETE'
    await finish(clock, work)
    expect(server.requests.map(({ method, headers }) => [method, headers['x-number']])).toEqual([
      ['PUT', '1'],
      ['PUT', '1'],
    ])
  })
})

test('a Request as init keeps its method, headers and body', async () => {
  await using server = await faultServer({ recordBodies: true })
  const init = new Request('http://elsewhere.test/', { method: 'PUT', headers: { 'x-a': '1' }, body: 'data' })
  await createFetch()(server.url, init)
  expect(server.requests[0]).toMatchObject({ method: 'PUT', headers: { 'x-a': '1' } })
  expect(bodyText(server.requests[0]?.body)).toBe('data')
})

describe('a body that is gone is never sent again', () => {
  test('409 in flight without retries: a Request’s body is still sent whole', async () => {
    const clock = testClock()
    await using server = await faultServer({
      recordBodies: true,
      faults: [status(409, { headers: { 'idempotency-status': 'in-flight' } })],
    })
    const fetch = createFetch({ clock, retry: { maxRetries: 0 } })
    const response = await finish(clock, fetch(new Request(server.url, { method: 'POST', body: 'hello' })))
    expect(response.status).toBe(200)
    expect(server.requests.map(({ body }) => bodyText(body))).toEqual(['hello', 'hello'])
  })

  test('shouldRetry says yes to a method outside retry.methods', async () => {
    const clock = testClock()
    await using server = await faultServer({ recordBodies: true, faults: [times(9, status(503))] })
    const fetch = createFetch({ clock, retry: { maxRetries: 2, methods: ['GET'], shouldRetry: () => true } })
    const response = await finish(clock, fetch(new Request(server.url, { method: 'POST', body: 'hello' })))
    expect(response.status).toBe(503)
    expect(server.requests.every(({ body }) => bodyText(body) === 'hello')).toBe(true)
  })
})

describe('a keyless POST that a redirect has answered is done', () => {
  test('303, then 429', async () => {
    const clock = testClock()
    let posts = 0
    await using server = await faultServer({
      listener(request, response) {
        if (request.method === 'POST') {
          posts++
          response.writeHead(303, { location: '/done' }).end()
        } else response.writeHead(429).end()
      },
    })
    const fetch = createFetch({ clock, idempotency: false })
    const response = await finish(clock, fetch(server.url, { method: 'POST', body: 'order' }))
    expect(posts).toBe(1)
    expect(response.status).toBe(429)
  })

  test('303, then a server that refuses connections', async () => {
    const clock = testClock()
    const refusing = `http://127.0.0.1:${await refusingPort()}`
    let posts = 0
    await using server = await faultServer({
      listener(_, response) {
        posts++
        response.writeHead(303, { location: refusing }).end()
      },
    })
    const fetch = createFetch({ clock, idempotency: false })
    const error = await finish(clock, failureOf(fetch(server.url, { method: 'POST', body: 'order' })))
    expect(posts).toBe(1)
    expect(outcomeOf(error)?.uncertain).toBe(true)
  })
})

describe('usage errors of streams are not held against the service', () => {
  const stream = (): ReadableStream => new Blob(['x']).stream()

  test('no duplex', async () => {
    const fetch = createFetch({ circuitBreaker: { minimumCalls: 1 } })
    const error = await failureOf(fetch('http://127.0.0.1:9/', { method: 'POST', body: stream() }))
    expect(error).toBeInstanceOf(TypeError)
    expect(fetch.circuits.get('http://127.0.0.1:9').state).toBe('closed')
    expect(outcomeOf(error)?.uncertain).toBe(false)
  })

  test('already read', async () => {
    const body = stream()
    const reader = body.getReader()
    await reader.read()
    reader.releaseLock()
    const fetch = createFetch({ circuitBreaker: { minimumCalls: 1 } })
    const init = { method: 'POST', body, duplex: 'half' } as const
    const error = await failureOf(fetch('http://127.0.0.1:9/', init))
    expect(error).toBeInstanceOf(TypeError)
    expect(fetch.circuits.get('http://127.0.0.1:9').state).toBe('closed')
    // It never was a call: the transport answered by itself.
    expect(outcomeOf(error)).toBeUndefined()
  })
})

describe('transports', () => {
  const OFF = {
    retry: false,
    circuitBreaker: false,
    idempotency: false,
    timeout: false,
    retryBudget: false,
  } as const

  test('a URL object reaches a transport of the user’s as a string', async () => {
    const transport = vi.fn<Transport>(async () => new Response())
    await createFetch({ fetch: transport })(new URL('http://x.test/a'))
    expect(transport).toHaveBeenCalledWith('http://x.test/a', expect.anything())
  })

  test('with everything off a Request’s signal still reaches it', async () => {
    const transport = vi.fn<Transport>(async () => new Response())
    const request = new Request('http://x.test/a')
    await createFetch({ fetch: transport, ...OFF })(request)
    expect(transport.mock.calls[0]?.[1]?.signal).toBe(request.signal)
  })

  test('a second createFetch over a wrapper of the first retries once', async () => {
    const before = globalThis.fetch
    onTestFinished(() => void (globalThis.fetch = before))
    const clock = testClock()
    await using server = await faultServer({ faults: [times(20, status(503))] })
    const first = createFetch({ clock, retry: { maxRetries: 2 } })
    let calls = 0
    globalThis.fetch = (input, init) => {
      if (++calls > 20) throw new Error('recursion')
      return first(input, init)
    }
    const second = createFetch({ clock, retry: { maxRetries: 2 } })
    await finish(clock, second(server.url))
    expect(server.requests).toHaveLength(3)
  })
})

describe('events', () => {
  test.each(['total timeout', 'abort'] as const)(
    'the last attempt has ended before the call: %s',
    async (how) => {
      const clock = testClock()
      const types: string[] = []
      const controller = new AbortController()
      let arrived = false
      await using server = await faultServer({ listener: () => void (arrived = true) })
      const fetch = createFetch({
        clock,
        timeout: { totalMs: 1000 },
        onEvent: ({ type }) => types.push(type),
      })
      const work = failureOf(fetch(server.url, { signal: controller.signal }))
      await vi.waitUntil(() => arrived)
      if (how === 'abort') controller.abort(new Error('mine'))
      else await clock.advance(1000)
      await work
      await vi.waitUntil(() => types.includes('attempt-end'))
      expect(types.at(-1)).toBe('call-end')
    },
  )
})

describe('the breaker', () => {
  test('a probe that the caller leaves gives its permit back, whatever the transport does', async () => {
    const clock = testClock()
    let transport: () => Promise<Response> = () => Promise.reject(new Error('down'))
    const fetch = createFetch({
      clock,
      timeout: false,
      retry: false,
      circuitBreaker: { minimumCalls: 1 },
      fetch: () => transport(),
    })
    await failureOf(fetch('http://x.test/'))
    await clock.advance(10_000)
    transport = () => new Promise(() => {})
    const controller = new AbortController()
    const probe = failureOf(fetch('http://x.test/', { signal: controller.signal }))
    await clock.settle()
    controller.abort()
    await probe
    transport = () => Promise.resolve(new Response())
    await expect(fetch('http://x.test/')).resolves.toBeInstanceOf(Response)
  })

  test('a probe that the caller leaves lets a parked call through at once', async () => {
    const clock = testClock()
    let transport: Transport = () => Promise.reject(new Error('down'))
    const fetch = createFetch({
      clock,
      random: () => 0.5,
      retry: false,
      circuitBreaker: { minimumCalls: 1, whenOpen: 'wait' },
      fetch: (url, init) => transport(url, init),
    })
    await failureOf(fetch('http://x.test/'))
    transport = (_, init) =>
      new Promise((_, reject) => {
        init?.signal?.addEventListener('abort', () => reject(new Error('aborted')))
      })
    const controller = new AbortController()
    const probe = failureOf(fetch('http://x.test/', { signal: controller.signal }))
    await clock.advance(5000)
    let parked: Response | undefined
    const work = fetch('http://x.test/').then((response) => (parked = response))
    await clock.settle()
    transport = () => Promise.resolve(new Response())
    controller.abort()
    await probe
    await clock.settle()
    expect(parked).toBeInstanceOf(Response)
    await clock.advance(10_000)
    await work
  })
})

describe('give-ups are decided while the last response is whole', () => {
  test('a key that will have expired by the next attempt', async () => {
    const clock = testClock()
    const fetch = createFetch({
      clock,
      random: () => 0.5,
      idempotency: { windowMs: 1500 },
      fetch: async () => new Response('why', { status: 503 }),
    })
    const response = await finish(clock, fetch('http://x.test/', { method: 'POST' }))
    expect(await response.text()).toBe('why')
    expect(outcomeOf(response)).toMatchObject({ attempts: 2, uncertain: true })
  })
})

test('totalMs also covers reading a Request’s body', async () => {
  const clock = testClock()
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(3)),
  })
  const request = streamed(body)
  const work = failureOf(createFetch({ clock, timeout: { totalMs: 1000 } })(request))
  let error: unknown
  void work.then((reason) => (error = reason))
  await clock.advance(1000)
  expect(error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
})

test('an abort while a Request’s body is read', async () => {
  const controller = new AbortController()
  const body = new ReadableStream<Uint8Array>({ start: (stream) => stream.enqueue(new Uint8Array(3)) })
  const request = streamed(body, { signal: controller.signal })
  const work = failureOf(createFetch()(request))
  const reason = new Error('mine')
  controller.abort(reason)
  expect(await work).toBe(reason)
})

test('an asctime date is in UTC, wherever the client lives', async () => {
  const zone = process.env['TZ']
  onTestFinished(() => void (zone === undefined ? delete process.env['TZ'] : (process.env['TZ'] = zone)))
  process.env['TZ'] = 'America/New_York'
  const clock = testClock()
  const headers = { date: 'Thu, 01 Jan 2026 00:00:00 GMT', 'retry-after': 'Thu Jan  1 00:00:10 2026' }
  const answers = [new Response('', { status: 503, headers }), new Response()]
  const fetch = createFetch({ clock, random: () => 0, fetch: async () => answers.shift() ?? new Response() })
  const response = await finish(clock, fetch('http://x.test/'))
  expect(outcomeOf(response)?.delaysMs).toEqual([10_000])
})

test.each([
  ['clock', { clock: 'x' }],
  ['random', { random: 5 }],
  ['retry null', { retry: null }],
  ['honoredBy without a scheme', { idempotency: { honoredBy: ['localhost:3000'] } }],
  ['honoredBy mailto', { idempotency: { honoredBy: ['mailto:a@b.c'] } }],
])('invalid option: %s', (_, options) => {
  expect(() => createFetch(options as never)).toThrow(/should be/)
})

test.each([undefined, '', 5])('generateKey that returns %s is an error', async (key) => {
  const fetch = createFetch({
    idempotency: { generateKey: () => key as never },
    fetch: async () => new Response(),
  })
  expect(await failureOf(fetch('http://x.test/', { method: 'POST' }))).toMatchObject({
    code: 'ERR_INVALID_OPTION',
  })
})

test.each(['a\nb', 'ключ'])(
  'an idempotencyKey that no header can carry is an invalid option: %j',
  async (key) => {
    const fetch = createFetch({ fetch: async () => new Response() })
    const error = await failureOf(
      fetch('http://x.test/', { method: 'POST', holdfast: { idempotencyKey: key } }),
    )
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION' })
  },
)

test('an idle body is cancelled even where the transport ignores the signal', async () => {
  const clock = testClock()
  const cancel = vi.fn<() => void>()
  const fetch = createFetch({
    clock,
    timeout: { bodyIdleMs: 1000 },
    fetch: async () => new Response(new ReadableStream({ cancel })),
  })
  const work = failureOf((await fetch('http://x.test/')).text())
  await clock.advance(1000)
  expect(await work).toMatchObject({ code: 'ERR_BODY_IDLE_TIMEOUT' })
  expect(cancel).toHaveBeenCalledOnce()
})

test('an isFailure that throws does not cost the response of a healthy service', async () => {
  const clock = testClock()
  const isFailure = (): boolean => {
    throw new Error('bug')
  }
  let calls = 0
  const transport = async (): Promise<Response> => {
    calls++
    return new Response()
  }
  const fetch = createFetch({ clock, circuitBreaker: { isFailure }, fetch: transport })
  await finish(clock, failureOf(fetch('http://x.test/')))
  expect(calls).toBe(1)
})

test('a policy can log its context as JSON while the attempt is under way', async () => {
  let logged = ''
  const logging: Policy<Response> = {
    name: 'logging',
    wrap: (next) => (context) => {
      const attempt = next(context)
      logged = JSON.stringify(context.scope)
      return attempt
    },
  }
  const fetch = createFetch({ fetch: async () => new Response('ok'), policies: [logging] })
  expect(await (await fetch('http://x.test/')).text()).toBe('ok')
  expect(JSON.parse(logged)).toEqual({ aborted: false })
})

describe('a status whose words are of another language', () => {
  const words = 'Хорошо'
  const head = `HTTP/1.1 200 ${words}\r\ncontent-length: 2\r\netag: "1"\r\ncache-control: max-age=60`

  test.each<[string, FetchOptions]>([
    ['a cache', { cache: httpCache({ serveFresh: true }) }],
    ['bodyIdleMs', { timeout: { bodyIdleMs: 1000 } }],
    ['resumeBody', { retry: { resumeBody: true } }],
    ['coalesce', { coalesce: true }],
  ])('comes through %s', async (_, options) => {
    const server = createServer((socket) => socket.once('data', () => socket.end(`${head}\r\n\r\nok`)))
    const { port } = (await listening(server)).address() as AddressInfo
    onTestFinished(() => void server.close())
    const fetch = createFetch({ retry: false, ...options })
    const ask = async (): Promise<string[]> => {
      const response = await fetch(`http://127.0.0.1:${port}/`)
      return [response.clone().statusText, response.statusText, await response.text()]
    }
    const answer = [words, words, 'ok']
    expect(await Promise.all([ask(), ask()])).toEqual([answer, answer])
    expect(await ask()).toEqual(answer)
  })
})
