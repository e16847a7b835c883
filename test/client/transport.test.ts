import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { httpCache } from '../../src/cache/index.ts'
import {
  concurrencyLimit,
  createFetch,
  HoldfastError,
  isHoldfastError,
  outcomeOf,
  type BeforeAttemptInput,
  type Context,
  type FetchOptions,
  type HoldfastEvent,
  type Policy,
  type Transport,
} from '../../src/index.ts'
import type * as ownCopy from '../../src/index.ts'
import { endless, faultServer, hang, ok, reset, status, times } from '../../src/testing/index.ts'
import { deferred } from '../support/operations.ts'
import { refusingPort } from '../support/refusing.ts'
import { testClock } from './support/clock.ts'
import { expectNoUnhandledRejections } from './support/unhandled.ts'
import { failureOf, finish, until } from './support/wait.ts'

expectNoUnhandledRejections()

const random = (): number => 0.5

/** Puts `fetch` in the global's place for one test. */
function replaceGlobal(fetch: typeof globalThis.fetch): void {
  const before = globalThis.fetch
  onTestFinished(() => void (globalThis.fetch = before))
  globalThis.fetch = fetch
}

/** A client over `transport`, whose circuit one failure opens. */
function over(transport: Transport, options: FetchOptions = {}) {
  const clock = testClock()
  const fetch = createFetch({
    clock,
    random,
    circuitBreaker: { minimumCalls: 1 },
    fetch: transport,
    ...options,
  })
  const call = (init: RequestInit = {}): Promise<Response> => finish(clock, fetch('http://x.test/', init))
  return { clock, fetch, call, circuit: fetch.circuits.get('http://x.test') }
}

describe('how a transport is called', () => {
  test('as a plain function', async () => {
    const seen: unknown[] = []
    const transport = function (this: unknown): Promise<Response> {
      seen.push(this)
      return Promise.resolve(new Response())
    }
    await over(transport).call()
    expect(seen).toEqual([undefined])
  })

  test('the global fetch as a plain function too', async () => {
    const seen: unknown[] = []
    replaceGlobal(function (this: unknown): Promise<Response> {
      seen.push(this)
      return Promise.resolve(new Response())
    })
    await createFetch()('http://x.test/')
    expect(seen).toEqual([undefined])
  })

  test('the global fetch gets the caller’s own input', async () => {
    const mock = vi.fn<typeof globalThis.fetch>(async () => new Response())
    replaceGlobal(mock)
    const fetch = createFetch()
    const inputs = ['http://x.test/', new URL('http://x.test/'), new Request('http://x.test/')]
    for (const input of inputs) await fetch(input)
    expect(mock.mock.calls.map(([input]) => input)).toEqual(inputs)
    expect(mock.mock.calls.every(([input], call) => input === inputs[call])).toBe(true)
  })

  test('any other gets a URL string and an init', async () => {
    const transport = vi.fn<Transport>(async () => new Response())
    const { fetch } = over(transport)
    const request = new Request('http://x.test/b', {
      method: 'PATCH',
      headers: { 'x-a': '1' },
      body: 'data',
      redirect: 'manual',
    })
    await fetch('http://x.test/a', { method: 'POST', body: 'text' })
    await fetch(request)
    expect(transport.mock.calls.map(([url]) => url)).toEqual(['http://x.test/a', 'http://x.test/b'])
    expect(transport.mock.calls[0]?.[1]).toMatchObject({ method: 'POST', body: 'text' })
    const init = transport.mock.calls[1]?.[1]
    expect(init).toMatchObject({ method: 'PATCH', redirect: 'manual' })
    expect(new Headers(init?.headers).get('x-a')).toBe('1')
    expect(await new Response(init?.body).text()).toBe('data')
  })

  test('what is undefined in an init does not hide what a request has', async () => {
    const nothing = { method: undefined, headers: undefined, body: undefined, redirect: undefined }
    const transport = vi.fn<Transport>(async () => new Response())
    const request = new Request('http://x.test/', { method: 'PUT', body: 'data', redirect: 'manual' })
    await over(transport).fetch(request, nothing as object)
    const sent = transport.mock.calls[0]?.[1]
    expect(sent).toMatchObject({ method: 'PUT', redirect: 'manual' })
    expect(await new Response(sent?.body).text()).toBe('data')
  })

  test.each<[string, FetchOptions]>([
    ['a body is kept for retries', {}],
    ['nothing is sent twice', { retry: false }],
    ['every part is off', { retry: false, retryBudget: false, circuitBreaker: false, timeout: false }],
  ])("null for a body leaves a request's own, as the platform does: %s", async (_, options) => {
    const init = { body: null }
    const request = new Request('http://x.test/', { method: 'PUT', body: 'data' })
    expect(await new Request(request.clone(), init).text()).toBe('data')
    const transport = vi.fn<Transport>(async () => new Response())
    await createFetch({ ...options, fetch: transport, idempotency: false })(request, init)
    expect(await new Response(transport.mock.calls[0]?.[1]?.body).text()).toBe('data')
  })

  test('the option `holdfast` is not passed on', async () => {
    const transport = vi.fn<Transport>(async () => new Response())
    await over(transport).fetch('http://x.test/', { holdfast: { timeout: false } })
    const without: unknown = expect.not.objectContaining({ holdfast: expect.anything() })
    expect(transport.mock.calls).toEqual([['http://x.test/', without]])
  })

  test.each<[string, RequestInit]>([
    ['a GET', {}],
    ['a write', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } }],
  ])('before fetch returns, as the platform itself would send it: %s', async (_, init) => {
    const transport = vi.fn<Transport>(async () => new Response())
    const work = over(transport).fetch('http://x.test/', init)
    expect(transport).toHaveBeenCalledOnce()
    await work
  })

  test('a copy of the init has the signal, and the original is an object like any other', async () => {
    const inits: RequestInit[] = []
    const { fetch } = over(async (_, init = {}) => {
      inits.push(init, { ...init })
      return new Response()
    })
    await fetch('http://x.test/', { cache: 'no-store' })
    const [init, copy] = inits
    expect(Object.keys(init ?? {}).toSorted()).toEqual(['cache', 'signal'])
    expect(Object.getPrototypeOf(init)).toBe(Object.prototype)
    expect(copy?.signal).toBeInstanceOf(AbortSignal)
    expect(copy?.signal).toBe(init?.signal)
  })

  test.each<[string, (init: RequestInit) => { readonly signal?: AbortSignal | null }]>([
    ['a spread', (init) => ({ ...init, keepalive: true })],
    ['Object.assign', (init) => Object.assign({}, init)],
    [
      'a copy of its descriptors',
      (init) => Object.defineProperties({}, Object.getOwnPropertyDescriptors(init)),
    ],
    ['the init, frozen', (init) => ({ ...Object.freeze(init) })],
    ['what inherits from it', (init) => Object.create(init) as RequestInit],
    ['what a pattern leaves', ({ method: _, ...rest }) => rest],
    ['a Request', (init) => new Request('http://x.test/', init)],
    [
      'what a function reads from it',
      (init) => new Proxy(init, { get: (all, name) => Reflect.get(all, name) }),
    ],
  ])('the abort reaches a transport through %s', async (_, copy) => {
    const reason = new Error('left')
    const controller = new AbortController()
    const seen: unknown[] = []
    const { fetch } = over((_url, init = {}) => {
      const { signal } = copy(init)
      signal?.addEventListener('abort', () => seen.push(signal.reason))
      return new Promise(() => {})
    })
    const failure = failureOf(fetch('http://x.test/', { signal: controller.signal }))
    controller.abort(reason)
    expect(await failure).toBe(reason)
    expect(seen).toEqual([reason])
  })

  test('a transport may put a signal of its own in the init', async () => {
    const own = new AbortController()
    const seen: unknown[] = []
    const fetch = createFetch({
      fetch: async (_url, init) => {
        seen.push(init?.signal?.aborted)
        Object.assign(init ?? {}, { signal: own.signal })
        seen.push(init?.signal === own.signal, { ...init }.signal === own.signal)
        return new Response()
      },
    })
    expect((await fetch('http://x.test/')).status).toBe(200)
    expect(seen).toEqual([false, true, true])
  })

  test('a transport may take the signal away', async () => {
    const transport = vi.fn<Transport>(async (_, init = {}) => {
      delete init.signal
      expect([init.signal, Object.keys(init), 'signal' in init]).toEqual([undefined, [], false])
      return new Response()
    })
    await over(transport).call()
    expect(transport).toHaveBeenCalledOnce()
  })

  test('the signal is made when it is read', async () => {
    const transport = vi.fn<Transport>(async (_, init) => {
      expect(init?.signal).toBeInstanceOf(AbortSignal)
      expect(init?.signal).toBe(init?.signal)
      return new Response()
    })
    await over(transport).call()
    expect(transport).toHaveBeenCalledOnce()
  })

  test('one that throws before it returns a promise has failed like any other', async () => {
    const transport = vi.fn<Transport>(() => {
      if (transport.mock.calls.length === 1) throw new Error('at once')
      return Promise.resolve(new Response())
    })
    expect((await over(transport, { circuitBreaker: {} }).call()).status).toBe(200)
    expect(transport).toHaveBeenCalledTimes(2)
  })
})

const NO_RESPONSE = 'what fetch or a policy resolves with should be a Response, got undefined'

test('a transport that resolves with no Response is told so at once, and no circuit counts it', async () => {
  const transport = vi.fn<() => Promise<Response>>(async () => undefined as unknown as Response)
  const fetch = createFetch({ fetch: transport, random })
  await expect(fetch('https://a.test/')).rejects.toThrow(NO_RESPONSE)
  expect(transport).toHaveBeenCalledOnce()
  expect(fetch.circuits.get('https://a.test').snapshot().buckets).toEqual([])
})

test.each<[string, FetchOptions]>([
  ['a retry', {}],
  ['a fallback', { retry: false, fallback: () => new Response('instead') }],
])('so is a policy that forgets to return, by %s around it', async (_, options) => {
  const transport = vi.fn<() => Promise<Response>>(async () => new Response())
  const forgetful: Policy<Response> = {
    name: 'forgetful',
    wrap: (next) => (async (context: Context) => void (await next(context))) as unknown as typeof next,
  }
  const fetch = createFetch({ fetch: transport, policies: [forgetful], ...options })
  await expect(fetch('https://a.test/')).rejects.toThrow(NO_RESPONSE)
  expect(transport).toHaveBeenCalledOnce()
})

describe('what is none of the pipeline’s business', () => {
  test.each(['data:text/plain,hello', 'blob:'])('%s URLs bypass it', async (scheme) => {
    const events: HoldfastEvent[] = []
    const fetch = createFetch({ onEvent: (event) => events.push(event) })
    const url = scheme === 'blob:' ? URL.createObjectURL(new Blob(['hello'])) : scheme
    const response = await fetch(url)
    expect(await response.text()).toBe('hello')
    expect(outcomeOf(response)).toBeUndefined()
    expect(events).toEqual([])
    expect(fetch.circuits.size).toBe(0)
  })

  test('also with settings of its own, which the transport does not see', async () => {
    const transport = vi.fn<Transport>(async () => new Response())
    const { fetch } = over(transport)
    await fetch('data:,hello', { method: 'GET', holdfast: { retry: false } })
    expect(transport).toHaveBeenCalledExactlyOnceWith('data:,hello', { method: 'GET' })
  })

  test('everything off: the transport’s own promise, with what the caller gave', async () => {
    const response = new Response()
    const transport = vi.fn<Transport>(async () => response)
    const init = { method: 'POST' }
    const off = { circuitBreaker: false, idempotency: false, retry: false, timeout: false } as const
    const { fetch } = over(transport, { ...off, retryBudget: false })
    expect(await fetch('http://x.test/', init)).toBe(response)
    expect(transport.mock.calls[0]?.[1]).toBe(init)
  })

  test.each(['not a url', 'http://', 'ftp://x.test/'])('%s gives the transport’s own error', async (url) => {
    const fetch = createFetch({ clock: testClock() })
    const [ours, native] = await Promise.all([failureOf(fetch(url)), failureOf(globalThis.fetch(url))])
    expect(ours).toBeInstanceOf(TypeError)
    expect((ours as Error).message).toBe((native as Error).message)
    expect(fetch.circuits.size).toBe(0)
  })
})

describe('errors of a transport', () => {
  const frozen = Object.freeze(new TypeError('frozen'))

  test.each([
    ['an Error', new Error('down')],
    ['a frozen one', frozen],
    ['an object', { down: true }],
    ['a string', 'down'],
    ['null', null],
    ['undefined', undefined],
  ])('%s is rethrown by identity, after retries', async (_, error) => {
    // oxlint-disable-next-line promise/prefer-promise-reject-errors -- transports can
    const transport = vi.fn<Transport>(() => Promise.reject(error))
    const { call } = over(transport, { circuitBreaker: {} })
    expect(await failureOf(call())).toBe(error)
    expect(transport).toHaveBeenCalledTimes(5)
  })

  test('what it took can be asked of an error, also of a frozen one', async () => {
    for (const error of [new Error('down'), frozen]) {
      await failureOf(over(() => Promise.reject(error), { circuitBreaker: {} }).call())
      expect(outcomeOf(error)).toMatchObject({ attempts: 5, delaysMs: [1000, 2000, 4000, 8000] })
    }
    expect(outcomeOf('down')).toBeUndefined()
  })

  test.each(['AbortError', 'abort', 'invalid url', 'Failed to parse', 'user cancelled'])(
    'any rejection is a network failure, whatever its message: %s',
    async (message) => {
      const transport = vi.fn<Transport>(() => Promise.reject(new TypeError(message)))
      const { call } = over(transport, { circuitBreaker: {} })
      await failureOf(call())
      expect(transport).toHaveBeenCalledTimes(5)
    },
  )

  test.each([
    ['a DOMException', new DOMException('own', 'AbortError')],
    ['an Error', Object.assign(new Error('own'), { name: 'AbortError' })],
    ['an object of another realm', { name: 'AbortError' }],
  ])('an AbortError of its own is neither retried nor sampled: %s', async (_, error) => {
    const transport = vi.fn<Transport>(() => Promise.reject(error))
    const { call, circuit } = over(transport)
    expect(await failureOf(call())).toBe(error)
    expect(transport).toHaveBeenCalledOnce()
    expect(circuit.state).toBe('closed')
  })

  test('the platform’s own error of a refused connection', async () => {
    const url = `http://127.0.0.1:${await refusingPort()}`
    const clock = testClock()
    const error = await finish(clock, failureOf(createFetch({ clock })(url)))
    expect(error).toBeInstanceOf(TypeError)
    expect((error as Error).cause).toMatchObject({ code: 'ECONNREFUSED' })
    expect(isHoldfastError(error)).toBe(false)
    expect(outcomeOf(error)).toMatchObject({ attempts: 5 })
  })

  test.each([
    ['a GET with a body', { body: 'x' }],
    ['a header that is none', { headers: { 'a b': '1' } }],
    ['a method that is none', { method: 'A B' }],
    // As a `Blob` of jsdom's is to Node 20.
    ['a body that is none', { method: 'PUT', body: Object.create(null) as Blob }],
  ])('a usage error is rethrown, unretried and unsampled: %s', async (_, init) => {
    const clock = testClock()
    const fetch = createFetch({ clock, circuitBreaker: { minimumCalls: 1 } })
    const error = await failureOf(fetch('http://127.0.0.1:9/', init))
    expect(error).toBeInstanceOf(TypeError)
    expect(clock.sleeps).toEqual([])
    expect(fetch.circuits.get('http://127.0.0.1:9').state).toBe('closed')
  })
})

describe('a global fetch that changes', () => {
  test('a mock put there after creation is seen', async () => {
    const fetch = createFetch()
    const mock = vi.fn<typeof globalThis.fetch>(async () => new Response('mock'))
    replaceGlobal(mock)
    expect(await (await fetch('http://x.test/')).text()).toBe('mock')
    expect(mock).toHaveBeenCalledOnce()
  })

  test('replaced by createFetch() it does not call itself', async () => {
    await using server = await faultServer({ faults: [status(503)] })
    const clock = testClock()
    const fetch = createFetch({ clock, random })
    replaceGlobal(fetch)
    expect((await finish(clock, globalThis.fetch(server.url))).status).toBe(200)
    expect(server.requests).toHaveLength(2)
  })

  test('another createFetch() made after that sends by the platform’s, retrying in one layer', async () => {
    await using server = await faultServer({ faults: [times(20, status(503))] })
    const clock = testClock()
    replaceGlobal(createFetch({ clock, random }))
    const second = createFetch({ clock, random, retry: { maxRetries: 2 } })
    expect((await finish(clock, second(server.url))).status).toBe(503)
    expect(server.requests).toHaveLength(3)
  })

  test('replaced by a wrapper of it: no recursion, one layer of retries', async () => {
    await using server = await faultServer({ faults: [times(20, status(503))] })
    const clock = testClock()
    const fetch = createFetch({ clock, random, retry: { maxRetries: 2 } })
    let wrapped = 0
    replaceGlobal(async (input, init) => {
      if (++wrapped > 20) throw new Error('recursion')
      await Promise.resolve()
      return fetch(input, init)
    })
    expect((await finish(clock, globalThis.fetch(server.url))).status).toBe(503)
    expect(server.requests).toHaveLength(3)
  })

  test('replaced by createFetch(), and that by a wrapper that makes requests in its own time: no recursion', async () => {
    await using server = await faultServer({ faults: [ok(), times(20, status(503))] })
    const clock = testClock()
    const fetch = createFetch({ clock, random, retry: { maxRetries: 2 } })
    replaceGlobal(fetch)
    await globalThis.fetch(server.url)
    let wrapped = 0
    globalThis.fetch = async (input, init) => {
      if (++wrapped > 20) throw new Error('recursion')
      await Promise.resolve()
      return fetch(new Request(input, init))
    }
    expect((await finish(clock, globalThis.fetch(server.url))).status).toBe(503)
    expect([server.requests.length, wrapped]).toEqual([4, 1])
  })

  test('given as the transport it stays the transport, and gets what the caller gave', async () => {
    const platform = vi.fn<typeof globalThis.fetch>(async () => new Response('platform'))
    replaceGlobal(platform)
    const fetch = createFetch({ fetch: globalThis.fetch })
    globalThis.fetch = async (input, init) => fetch(new Request(input, init))
    const request = new Request('http://x.test/')
    expect(await (await fetch(request)).text()).toBe('platform')
    expect(platform.mock.calls[0]?.[0]).toBe(request)
    expect(await (await globalThis.fetch('http://x.test/')).text()).toBe('platform')
    expect(platform).toHaveBeenCalledTimes(2)
  })

  test('a holdfast fetch as a transport is refused', () => {
    expect(() => createFetch({ fetch: createFetch() as unknown as Transport })).toThrow(/fetch\.with/)
  })
})

describe('beforeAttempt', () => {
  test('has its own copy of the headers at each attempt, the caller’s are untouched', async () => {
    await using server = await faultServer({ faults: [status(503), status(503)] })
    const clock = testClock()
    const headers = new Headers({ 'x-own': 'caller' })
    const fetch = createFetch({
      clock,
      random,
      beforeAttempt({ attempt, headers: copy }) {
        expect(copy.get('x-signature')).toBeNull()
        copy.set('x-signature', `${attempt}`)
        copy.append('x-own', 'hook')
      },
    })
    await finish(clock, fetch(server.url, { headers }))
    expect(server.requests.map(({ headers: sent }) => [sent['x-signature'], sent['x-own']])).toEqual([
      ['1', 'caller, hook'],
      ['2', 'caller, hook'],
      ['3', 'caller, hook'],
    ])
    expect([...headers]).toEqual([['x-own', 'caller']])
  })

  test('sees a Request’s headers and the idempotency key', async () => {
    await using server = await faultServer()
    const seen: (string | null)[] = []
    const fetch = createFetch({
      beforeAttempt: ({ headers }) => void seen.push(headers.get('x-a'), headers.get('idempotency-key')),
    })
    await fetch(
      new Request(server.url, { method: 'POST', headers: { 'x-a': '1', 'idempotency-key': 'order-1' } }),
    )
    expect(seen).toEqual(['1', 'order-1'])
  })

  test('is told how the attempt before ended', async () => {
    await using server = await faultServer({ faults: [status(401), status(503), reset()] })
    const clock = testClock()
    const previous: BeforeAttemptInput['previous'][] = []
    const fetch = createFetch({
      clock,
      random,
      retry: { shouldRetry: ({ response }) => (response?.status === 401 ? true : undefined) },
      beforeAttempt: (input) => void previous.push(input.previous),
    })
    expect((await finish(clock, fetch(server.url))).status).toBe(200)
    expect(previous).toMatchObject([
      undefined,
      { response: { status: 401 } },
      { response: { status: 503 } },
      { error: expect.any(TypeError) as TypeError },
    ])
  })

  test('is waited for', async () => {
    await using server = await faultServer()
    const gate = deferred()
    const fetch = createFetch({
      async beforeAttempt({ headers }) {
        await gate.promise
        headers.set('authorization', 'Bearer fresh')
      },
    })
    const work = fetch(server.url)
    gate.resolve()
    await work
    expect(server.requests[0]?.headers['authorization']).toBe('Bearer fresh')
  })

  test('has the attempt’s signal', async () => {
    const gate = deferred<AbortSignal>()
    const fetch = createFetch({
      beforeAttempt: async ({ signal }) => (gate.resolve(signal), new Promise(() => {})),
    })
    const controller = new AbortController()
    const work = failureOf(fetch('http://x.test/', { signal: controller.signal }))
    const signal = await gate.promise
    expect(signal.aborted).toBe(false)
    controller.abort('mine')
    await work
    expect(signal.reason).toBe('mine')
  })

  test.each([
    [
      'throws',
      (error: Error): never => {
        throw error
      },
    ],
    [
      'rejects',
      async (error: Error): Promise<void> => {
        throw error
      },
    ],
  ])('one that %s ends the call with that error, unretried and unsampled', async (_, failing) => {
    const error = new TypeError('bug')
    const transport = vi.fn<Transport>(async () => new Response())
    const { call, circuit, clock } = over(transport, { beforeAttempt: () => failing(error) })
    expect(await failureOf(call({ method: 'POST' }))).toBe(error)
    expect(outcomeOf(error)).toMatchObject({ attempts: 0, uncertain: false })
    expect(transport).not.toHaveBeenCalled()
    expect(clock.sleeps).toEqual([])
    expect(circuit.state).toBe('closed')
  })

  test('a test request whose hook throws hands the permit on', async () => {
    const clock = testClock()
    let isUp = false
    const beforeAttempt = vi.fn<() => void>()
    const fetch = createFetch({
      clock,
      random,
      retry: false,
      circuitBreaker: { minimumCalls: 1 },
      beforeAttempt,
      fetch: async () => new Response('', { status: isUp ? 200 : 503 }),
    })
    await fetch('http://x.test/')
    await clock.advance(5000)
    isUp = true
    beforeAttempt.mockImplementationOnce(() => {
      throw new Error('bug')
    })
    expect(await failureOf(fetch('http://x.test/'))).toMatchObject({ message: 'bug' })
    expect((await fetch('http://x.test/')).status).toBe(200)
    expect(fetch.circuits.get('http://x.test').state).toBe('closed')
  })
})

describe('own policies', () => {
  /** Notes what passes it. */
  function spy(name: string, log: string[]): Policy<Response> {
    return {
      name,
      wrap: (next) => async (context) => {
        log.push(`${name} ${context.attempt}`)
        return next(context)
      },
    }
  }

  test('stand inside retry, in their order: they see every attempt', async () => {
    await using server = await faultServer({ faults: [status(503)] })
    const clock = testClock()
    const log: string[] = []
    const fetch = createFetch({ clock, random, policies: [spy('outer', log), spy('inner', log)] })
    await finish(clock, fetch(server.url))
    expect(log).toEqual(['outer 1', 'inner 1', 'outer 2', 'inner 2'])
  })

  test('stand outside the breaker: they see its rejections, and their own failures are not sampled', async () => {
    const clock = testClock()
    const seen: unknown[] = []
    const fetch = createFetch({
      clock,
      retry: false,
      circuitBreaker: { minimumCalls: 1 },
      fetch: async () => new Response(),
      policies: [
        {
          name: 'own',
          wrap: (next) => async (context) => {
            try {
              await next(context)
            } catch (error) {
              seen.push(error)
            }
            throw new Error('own')
          },
        },
      ],
    })
    const circuit = fetch.circuits.get('http://x.test')
    expect(await failureOf(fetch('http://x.test/'))).toMatchObject({ message: 'own' })
    expect(circuit.state).toBe('closed')
    circuit.isolate()
    await failureOf(fetch('http://x.test/'))
    expect(seen).toMatchObject([{ code: 'ERR_CIRCUIT_OPEN' }])
  })

  test('can answer without an attempt', async () => {
    const fetch = createFetch({
      policies: [{ name: 'own', wrap: () => async () => new Response('own') as never }],
    })
    const response = await fetch('http://x.test/')
    expect(await response.text()).toBe('own')
    expect(outcomeOf(response)).toMatchObject({ attempts: 0 })
  })

  test('may throw or answer at once, without a promise: that is tried again, and leaves no timer and no place taken', async () => {
    const clock = testClock()
    const limit = concurrencyLimit({ initialLimit: 1, maxLimit: 1, clock })
    const answers = [
      () => {
        throw new Error('own')
      },
      () => new Response('own') as never,
    ]
    const own: Policy<Response> = { name: 'own', wrap: () => () => answers.shift()?.() as never }
    const fetch = createFetch({ clock, random, policies: [limit, own] })
    expect(await (await finish(clock, fetch('http://x.test/'))).text()).toBe('own')
    expect(clock.sleeps).toEqual([1000])
    expect(clock.pending).toBe(0)
    expect(limit.places('http://x.test')).toMatchObject({ running: 0, queued: 0 })
  })

  test('that refuse a retry show the failure before it as the cause', async () => {
    const clock = testClock()
    const limit = concurrencyLimit({ initialLimit: 1, maxLimit: 1, clock })
    const transport = vi.fn<Transport>().mockRejectedValueOnce(new TypeError('reset'))
    const fetch = createFetch({ clock, random, policies: [limit], fetch: transport })
    const refused = failureOf(fetch('http://x.test/'))
    await clock.settle()
    const slow = deferred<Response>()
    transport.mockReturnValue(slow.promise)
    const other = fetch('http://x.test/')
    await clock.advance(1000)
    expect(await refused).toMatchObject({ code: 'ERR_BULKHEAD_FULL', cause: { message: 'reset' } })
    slow.resolve(new Response())
    await other
  })
})

describe('sockets', () => {
  test('the bodies of answers that are tried again do not hold theirs', async () => {
    await using server = await faultServer({ faults: [times(4, endless({ status: 503, intervalMs: 2 }))] })
    const clock = testClock()
    const response = await finish(clock, createFetch({ clock, random })(server.url))
    await response.text()
    await until(() => server.stats.openSockets <= 1)
    expect(server.requests.map(({ outcome }) => outcome)).toEqual([
      ...Array<string>(4).fill('cut'),
      'answered',
    ])
  })
})

/** As node-fetch answers: the body is a stream of Node's. */
function nodeResponse(status: number, body: Readable): Response {
  const head = new Response(null, { status, headers: { etag: '"v1"', 'content-length': '8' } })
  return Object.defineProperties(head, {
    body: { value: body },
    text: { value: () => text(body) },
  })
}

describe('bodies that are streams of Node’s', () => {
  test.each<[string, FetchOptions]>([
    ['with the defaults', {}],
    ['hedged', { hedge: { delayMs: 5 } }],
    ['watched', { timeout: { bodyIdleMs: 1000 } }],
    ['to be resumed', { retry: { resumeBody: true } }],
    ['shared', { coalesce: true }],
    ['to be stored', { cache: httpCache() }],
  ])('are passed on as they are, and read to their end where nobody gets them: %s', async (_, options) => {
    const busy = Readable.from([Buffer.alloc(200_000)])
    const answers = [nodeResponse(503, busy), nodeResponse(200, Readable.from(['answered']))]
    const { call } = over(async () => answers.shift() ?? new Response(), {
      circuitBreaker: false,
      ...options,
    })
    expect(await (await call()).text()).toBe('answered')
    await until(() => busy.readableEnded)
  })

  test('as those of mocks that are no streams at all', async () => {
    const answers = [503, 200].map((code) => ({ status: code, headers: new Headers(), body: `${code}` }))
    const { call } = over(async () => answers.shift() as unknown as Response, { circuitBreaker: false })
    expect(await call()).toMatchObject({ body: '200' })
  })
})

/** The package a second time, as when two versions are installed. */
async function otherCopy(): Promise<typeof ownCopy> {
  vi.resetModules()
  return import('../../src/index.ts')
}

describe('two copies of the package', () => {
  test('know each other’s errors', async () => {
    const other = await otherCopy()
    expect(other.HoldfastError).not.toBe(HoldfastError)
    const theirs = other.createFetch({ clock: testClock() })
    theirs.circuits.get('http://x.test').isolate()
    const error = await failureOf(theirs('http://x.test/'))
    expect(error).toBeInstanceOf(other.CircuitOpenError)
    expect(isHoldfastError(error)).toBe(true)
    expect(error).toMatchObject({ code: 'ERR_CIRCUIT_OPEN', key: 'http://x.test' })
  })

  test('an open circuit of the other one below is not retried and means circuit-open to a fallback', async () => {
    const other = await otherCopy()
    const theirs = other.createFetch({ clock: testClock() })
    theirs.circuits.get('http://x.test').isolate()
    const transport = vi.fn<Transport>((url, init) => theirs(url, init))
    const reasons: string[] = []
    const { call } = over(transport, { fallback: ({ reason }) => void reasons.push(reason) })
    expect(await failureOf(call())).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    expect(transport).toHaveBeenCalledOnce()
    expect(reasons).toEqual(['circuit-open'])
  })

  test('retry in one layer: one goes past the other where that has become the global fetch', async () => {
    const platform = vi.fn<typeof globalThis.fetch>(async () => new Response(null, { status: 503 }))
    vi.stubGlobal('fetch', platform)
    onTestFinished(() => void vi.unstubAllGlobals())
    const other = await otherCopy()
    const settings = { random, clock: testClock(), retry: { maxRetries: 1, baseDelayMs: 1 } }
    const before = createFetch(settings)
    vi.stubGlobal('fetch', other.createFetch({ ...settings, fetch: globalThis.fetch }))
    for (const fetch of [before, createFetch(settings)]) {
      platform.mockClear()
      expect(outcomeOf(await finish(settings.clock, fetch('http://x.test/')))?.attempts).toBe(2)
      expect(platform).toHaveBeenCalledTimes(2)
    }
  })

  test('refuse each other as a transport, but not what wraps the other', async () => {
    const theirs = (await otherCopy()).createFetch({ fetch: async () => new Response() })
    expect(() => createFetch({ fetch: theirs as unknown as Transport })).toThrow(/fetch\.with/)
    const wrapper = new Proxy(theirs, {}) as unknown as Transport
    expect((await createFetch({ fetch: wrapper })('http://x.test/')).status).toBe(200)
  })

  test('each tells the outcome of its own calls', async () => {
    const other = await otherCopy()
    const response = await other.createFetch({ fetch: async () => new Response() })('http://x.test/')
    expect(other.outcomeOf(response)).toMatchObject({ attempts: 1 })
  })
})

test('a hanging server and a caller without a signal: the default timeout ends it', async () => {
  await using server = await faultServer({ faults: [hang(), ok()] })
  const clock = testClock()
  const work = createFetch({ clock, random })(server.url)
  await until(() => server.requests.length === 1)
  await clock.advance(30_000)
  expect((await finish(clock, work)).status).toBe(200)
})
