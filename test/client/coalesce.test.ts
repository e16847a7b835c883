import { describe, expect, onTestFinished, test } from 'vitest'
import { httpCache } from '../../src/cache/index.ts'
import { callOf } from '../../src/client/call.ts'
import { createFetch, outcomeOf, type FetchOptions, type HoldfastEvent } from '../../src/index.ts'
import { faultServer, hang, ok, status, times, type FaultServerOptions } from '../../src/testing/index.ts'
import { deferred } from '../support/operations.ts'
import { testClock } from './support/clock.ts'
import { expectNoUnhandledRejections } from './support/unhandled.ts'
import { failureOf, finish, until } from './support/wait.ts'

expectNoUnhandledRejections()

const MIB = 1_048_576

async function bench(server: FaultServerOptions = {}, options: FetchOptions = {}) {
  const clock = testClock()
  const events: HoldfastEvent[] = []
  const api = await faultServer(server)
  onTestFinished(() => api.close())
  const fetch = createFetch({
    clock,
    random: () => 0.5,
    coalesce: true,
    onEvent: (event) => events.push(event),
    ...options,
  })
  const joined = (count: number): Promise<void> =>
    until(() => events.filter(({ type }) => type === 'coalesced').length === count)
  const arrived = (count = 1): Promise<void> => until(() => api.requests.length === count)
  const closed = (): Promise<void> => until(() => api.requests[0]?.outcome === 'cut')
  return { clock, events, api, fetch, joined, arrived, closed }
}

/** The start of a body, and the rest of it when the test says so. */
function heldBody() {
  const rest = deferred()
  const listener: FaultServerOptions['listener'] = (_, response) => {
    response.write('one ')
    void rest.promise.then(() => response.end('two'))
  }
  return { listener, rest }
}

const bodyOf = (seed: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: MIB }, (_, index) => (index * seed) % 251)

/** Reads a body, pausing for some turns after each chunk. */
async function readSlowly(response: Response, turns: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk)
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => void setImmediate(resolve))
  }
  return Buffer.concat(chunks)
}

describe('what is shared', () => {
  test('50 overlapping GETs make one request, and each reads the whole body at its own pace', async () => {
    const body = bodyOf(7)
    const { api, fetch } = await bench({
      handler: () => new Response(body, { headers: { 'x-kept': 'yes' } }),
    })
    const responses = await Promise.all(Array.from({ length: 50 }, () => fetch(`${api.url}/a`)))
    expect(api.requests).toHaveLength(1)
    const bodies = await Promise.all(responses.map((response, index) => readSlowly(response, index % 3)))
    for (const read of bodies) expect(Buffer.compare(read, body)).toBe(0)
    for (const response of responses) {
      expect(response).toMatchObject({ status: 200, url: `${api.url}/a`, redirected: false, type: 'basic' })
      expect(response.headers.get('x-kept')).toBe('yes')
    }
    expect(new Set(responses).size).toBe(50)
  })

  test('what a reader does to its bytes the others do not see', async () => {
    const { api, fetch } = await bench({ handler: () => new Response('data') })
    const [first, second] = await Promise.all([fetch(api.url), fetch(api.url)])
    const chunk = await first.body?.getReader().read()
    chunk?.value?.fill(0)
    expect(await second.text()).toBe('data')
  })

  test('a redirected response says so to each', async () => {
    const { api, fetch } = await bench({
      handler: ({ url }) =>
        url.endsWith('/from') ? Response.redirect(new URL('/to', url)) : new Response('x'),
    })
    const all = await Promise.all([fetch(`${api.url}/from`), fetch(`${api.url}/from`)])
    for (const response of all) expect(response).toMatchObject({ url: `${api.url}/to`, redirected: true })
  })

  test('a HEAD, and a response without a body', async () => {
    const { api, fetch } = await bench({ handler: () => new Response(null, { status: 204 }) })
    for (const method of ['HEAD', 'GET']) {
      const all = await Promise.all([fetch(api.url, { method }), fetch(api.url, { method })])
      for (const response of all)
        expect(response).toMatchObject({ status: 204, body: null, url: `${api.url}/` })
      expect(all[0]).not.toBe(all[1])
    }
    expect(api.requests.map(({ method }) => method)).toEqual(['HEAD', 'GET'])
  })

  test('retries: a failure for good reaches all with its status, and each knows what it took', async () => {
    const { api, fetch, clock, joined, events } = await bench({ faults: [times(9, status(503))] })
    const calls = Promise.all([fetch(api.url), fetch(api.url), fetch(api.url)])
    await joined(2)
    const responses = await finish(clock, calls)
    expect(responses.map((response) => response.status)).toEqual([503, 503, 503])
    expect(api.requests).toHaveLength(5)
    for (const response of responses) {
      expect(outcomeOf(response)).toMatchObject({
        attempts: 5,
        delaysMs: [1000, 2000, 4000, 8000],
        source: 'network',
        circuit: api.url,
      })
    }
    const ends = events.filter(({ type }) => type === 'call-end')
    expect(ends).toMatchObject(Array.from({ length: 3 }, () => ({ attempts: 5, status: 503 })))
    expect(new Set(ends.map(({ call }) => call?.id)).size).toBe(3)
  })

  test('an error of a hook is no failure of the service for anybody: no fallback answers', async () => {
    const bug = new Error('bug')
    const { api, fetch } = await bench(
      {},
      { beforeAttempt: () => Promise.reject(bug), fallback: () => new Response('substitute') },
    )
    const failures = await Promise.all([failureOf(fetch(api.url)), failureOf(fetch(api.url))])
    expect(failures).toEqual([bug, bug])
  })

  test('all else may be off', async () => {
    const { api } = await bench()
    const off = {
      retry: false,
      circuitBreaker: false,
      idempotency: false,
      timeout: false,
      retryBudget: false,
    } as const
    const fetch = createFetch({ ...off, coalesce: true })
    await Promise.all([fetch(api.url), fetch(api.url)])
    expect(api.requests).toHaveLength(1)
  })

  test('the call after that asks again', async () => {
    const { api, fetch } = await bench()
    await Promise.all([fetch(api.url), fetch(api.url)])
    await fetch(api.url)
    expect(api.requests).toHaveLength(2)
  })

  test('the total timeout of the request ends all who wait for it', async () => {
    const { api, fetch, clock, arrived } = await bench(
      { faults: [hang()] },
      { timeout: { attemptMs: false, totalMs: 100 } },
    )
    const first = failureOf(fetch(api.url))
    await arrived()
    await clock.advance(60)
    const second = failureOf(fetch(api.url))
    await clock.advance(40)
    for (const error of await Promise.all([first, second])) {
      expect(error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT', timeoutMs: 100 })
      expect(outcomeOf(error)).toMatchObject({ attempts: 1 })
    }
  })
})

describe('what is not shared', () => {
  type Request = [path: string, init?: RequestInit & Record<string, unknown>]
  const dispatcherLike = { mark: 1 }
  const pairs: [string, Request, Request][] = [
    ['another path', ['/a'], ['/b']],
    ['another query', ['/?a'], ['/?b']],
    [
      'another Authorization',
      ['/', { headers: { authorization: 'a' } }],
      ['/', { headers: { authorization: 'b' } }],
    ],
    ['a cookie', ['/', { headers: { cookie: 'a' } }], ['/']],
    ['another method', ['/'], ['/', { method: 'HEAD' }]],
    ['other credentials', ['/', { credentials: 'include' }], ['/', { credentials: 'omit' }]],
    ['another redirect mode', ['/', { redirect: 'manual' }], ['/']],
    ['another cache mode', ['/', { cache: 'no-store' }], ['/']],
    ['an option of the platform', ['/', { cf: dispatcherLike }], ['/', { cf: { mark: 1 } }]],
    ['POST', ['/', { method: 'POST' }], ['/', { method: 'POST' }]],
    ['DELETE', ['/', { method: 'DELETE' }], ['/', { method: 'DELETE' }]],
    ['other settings', ['/', { holdfast: { timeout: { totalMs: 1000 } } }], ['/']],
    ['a call that says no', ['/', { holdfast: { coalesce: false } }], ['/']],
    [
      'its own key',
      ['/', { holdfast: { idempotencyKey: 'a' } }],
      ['/', { holdfast: { idempotencyKey: 'b' } }],
    ],
  ]
  test.each(pairs)('%s', async (_, [path, init], [otherPath, otherInit]) => {
    const { api, fetch } = await bench()
    await Promise.all([fetch(api.url + path, init), fetch(api.url + otherPath, otherInit)])
    expect(api.requests).toHaveLength(2)
  })

  const same: [string, Request, Request][] = [
    [
      'headers in another order and spelling',
      ['/', { headers: { A: '1', b: '2' } }],
      [
        '/',
        {
          headers: [
            ['B', '2'],
            ['a', '1'],
          ],
        },
      ],
    ],
    ['the same object as an option', ['/', { cf: dispatcherLike }], ['/', { cf: dispatcherLike }]],
    ['another signal', ['/', { signal: new AbortController().signal }], ['/']],
  ]
  test.each(same)('but with %s it is', async (_, [path, init], [otherPath, otherInit]) => {
    const { api, fetch } = await bench()
    await Promise.all([fetch(api.url + path, init), fetch(api.url + otherPath, otherInit)])
    expect(api.requests).toHaveLength(1)
  })

  test.each([
    ['POST', { method: 'POST' }],
    ['a GET with a body', { body: 'data' }],
    ['a GET with a body made for each attempt', { holdfast: { body: () => 'data' } }],
  ])('%s, even where nothing else is told apart', async (_, init) => {
    const sent: unknown[] = []
    const { fetch } = await bench(
      {},
      { idempotency: false, fetch: async (_url, given) => (sent.push(given?.body), new Response()) },
    )
    await Promise.all([fetch('http://x.test/', init), fetch('http://x.test/', init)])
    expect(sent).toHaveLength(2)
  })

  test('a circuit of another key', async () => {
    const keys = ['a', 'b', 'b']
    const { api, fetch } = await bench({}, { circuitBreaker: { key: () => keys.shift() ?? '' } })
    await Promise.all([fetch(api.url), fetch(api.url), fetch(api.url)])
    expect(api.requests).toHaveLength(2)
  })

  test('a Request is told apart by what it says', async () => {
    const { api, fetch } = await bench()
    const request = (accept: string): WebRequest => new Request(api.url, { headers: { accept } })
    await Promise.all([fetch(request('a')), fetch(request('a')), fetch(request('b'))])
    expect(api.requests).toHaveLength(2)
  })

  test('anything, unless it is switched on, by a call or a derived fetch too', async () => {
    const { api, fetch } = await bench({}, { coalesce: false })
    await Promise.all([fetch(api.url), fetch(api.url)])
    expect(api.requests).toHaveLength(2)
    const init = { holdfast: { coalesce: true } }
    await Promise.all([
      fetch(api.url, init),
      fetch(api.url, init),
      fetch(api.url, { holdfast: { coalesce: true } }),
    ])
    expect(api.requests).toHaveLength(3)
    const derived = fetch.with({ coalesce: true })
    await Promise.all([derived(api.url), derived(api.url)])
    expect(api.requests).toHaveLength(4)
    expect(derived.describe()).toContain('coalesce')
    expect(fetch.describe()).not.toContain('coalesce')
  })

  test('is said where it is misspelt', async () => {
    expect(() => createFetch({ coalesce: 'yes' as unknown as boolean })).toThrow(
      'coalesce should be one of true, false, undefined, got "yes"',
    )
    const { api, fetch } = await bench()
    await fetch(api.url, { holdfast: { coalesce: false } })
    const init = { holdfast: { coalesce: 1 as unknown as boolean } }
    expect(await failureOf(fetch(api.url, init))).toMatchObject({ code: 'ERR_INVALID_OPTION' })
  })
})

type WebRequest = InstanceType<typeof globalThis.Request>

describe('an abort', () => {
  test('of the one who came first leaves the others alone, and rejects at once with its own reason', async () => {
    const answer = deferred<Response>()
    const { api, fetch, joined, arrived } = await bench({ handler: () => answer.promise })
    const controller = new AbortController()
    const first = failureOf(fetch(api.url, { signal: controller.signal }))
    const others = [fetch(api.url), fetch(api.url, { signal: new AbortController().signal })]
    await joined(2)
    await arrived()
    const reason = new Error('left')
    controller.abort(reason)
    expect(await first).toBe(reason)
    answer.resolve(new Response('data'))
    expect(await Promise.all(others.map(async (call) => (await call).text()))).toEqual(['data', 'data'])
    expect(api.requests).toHaveLength(1)
  })

  test('of all closes the connection, and the next call asks anew', async () => {
    const { api, fetch, arrived, closed } = await bench({ faults: [hang()] })
    const controllers = [new AbortController(), new AbortController()]
    const calls = controllers.map(({ signal }) => failureOf(fetch(api.url, { signal })))
    await arrived()
    controllers[0]?.abort('first')
    controllers[1]?.abort('second')
    expect((await fetch(api.url)).status).toBe(200)
    expect(await Promise.all(calls)).toEqual(['first', 'second'])
    await closed()
    expect(api.requests).toHaveLength(2)
  })

  test('of a signal that all share ends all', async () => {
    const { api, fetch, arrived, closed } = await bench({ faults: [hang()] })
    const controller = new AbortController()
    const { signal } = controller
    const calls = [1, 2, 3].map(() => failureOf(fetch(api.url, { signal })))
    await arrived()
    controller.abort('enough')
    expect(await Promise.all(calls)).toEqual(['enough', 'enough', 'enough'])
    await closed()
  })

  test('after the headers breaks that body only', async () => {
    const { listener, rest } = heldBody()
    const { api, fetch } = await bench({ listener })
    const controller = new AbortController()
    const [aborted, other] = await Promise.all([
      fetch(api.url, { signal: controller.signal }),
      fetch(api.url),
    ])
    const reader = aborted.body?.getReader()
    expect((await reader?.read())?.value).toEqual(new TextEncoder().encode('one '))
    const read = failureOf(reader?.read() ?? Promise.resolve())
    const reason = new Error('left')
    controller.abort(reason)
    expect(await read).toBe(reason)
    rest.resolve()
    expect(await other.text()).toBe('one two')
  })

  test('or a cancel of the last body closes the connection', async () => {
    const { listener } = heldBody()
    const { api, fetch, closed } = await bench({ listener })
    const controller = new AbortController()
    const [aborted, cancelled] = await Promise.all([
      fetch(api.url, { signal: controller.signal }),
      fetch(api.url),
    ])
    await cancelled.body?.cancel()
    expect(api.requests[0]?.outcome).toBe('pending')
    controller.abort('left')
    await closed()
    expect(await failureOf(aborted.text())).toBe('left')
  })

  test('by the last cancel closes it too', async () => {
    const { listener } = heldBody()
    const { api, fetch, closed } = await bench({ listener })
    const all = await Promise.all([fetch(api.url), fetch(api.url)])
    const reader = all[0].body?.getReader()
    await reader?.read()
    await reader?.cancel()
    expect(api.requests[0]?.outcome).toBe('pending')
    await all[1].body?.cancel()
    await closed()
  })

  test('after the headers breaks the body of one who was left over, which is the network’s own', async () => {
    const hook = deferred()
    const { listener } = heldBody()
    const { api, fetch, joined, closed } = await bench({ listener }, { beforeAttempt: () => hook.promise })
    const [first, second] = [new AbortController(), new AbortController()]
    const left = failureOf(fetch(api.url, { signal: first.signal }))
    const call = fetch(api.url, { signal: second.signal })
    await joined(1)
    first.abort('left')
    expect(await left).toBe('left')
    hook.resolve()
    const response = await call
    expect(outcomeOf(response)).toMatchObject({ attempts: 1 })
    const text = failureOf(response.text())
    second.abort('enough')
    expect(await text).toBe('enough')
    await closed()
  })
})

describe('a call that shares with nobody', () => {
  test('gets the very response of the transport, and its abort ends the body', async () => {
    const response = new Response('data')
    const { fetch } = await bench({}, { fetch: async () => response })
    expect(await fetch('http://x.test/')).toBe(response)

    const { listener } = heldBody()
    const { api, fetch: real, closed } = await bench({ listener })
    const controller = new AbortController()
    const text = failureOf((await real(api.url, { signal: controller.signal })).text())
    controller.abort('left')
    expect(await text).toBe('left')
    await closed()
  })
})

describe('a transport that ends by its signal only', () => {
  const signals: (AbortSignal | null | undefined)[] = []
  const transport = async (_: string, init?: RequestInit): Promise<Response> => {
    signals.push(init?.signal)
    return new Response(new ReadableStream({}, { highWaterMark: 0 }))
  }

  test('is told when the abort of the last reader leaves nobody', async () => {
    const { fetch } = await bench({}, { fetch: transport })
    const controllers = [new AbortController(), new AbortController()]
    await Promise.all(controllers.map(({ signal }) => fetch('http://x.test/', { signal })))
    const signal = signals.at(-1)
    controllers[0]?.abort('first')
    expect(signal?.aborted).toBe(false)
    controllers[1]?.abort('second')
    expect(signal?.reason).toBe('second')
  })

  test('is told when the body of the one who was left over falls silent', async () => {
    const hook = deferred()
    const { fetch, joined, clock } = await bench(
      {},
      { fetch: transport, beforeAttempt: () => hook.promise, timeout: { bodyIdleMs: 100 } },
    )
    const controller = new AbortController()
    const left = failureOf(fetch('http://x.test/', { signal: controller.signal }))
    const call = fetch('http://x.test/')
    await joined(1)
    controller.abort('left')
    await left
    hook.resolve()
    const text = failureOf((await call).text())
    await clock.settle()
    await clock.advance(100)
    expect(await text).toMatchObject({ code: 'ERR_BODY_IDLE_TIMEOUT' })
    expect(signals.at(-1)?.aborted).toBe(true)
  })
})

describe('with a cache outside', () => {
  test('who joined stores by the headers that were sent for it', async () => {
    const hook = deferred()
    const { api, fetch, joined, clock } = await bench(
      {
        faults: ({ index }) => (index === 0 ? ok() : status(503)),
        handler: () => new Response('stored', { headers: { vary: 'x-own', 'cache-control': 'max-age=60' } }),
      },
      {
        cache: httpCache(),
        async beforeAttempt({ headers }) {
          headers.set('x-own', 'a')
          await hook.promise
        },
      },
    )
    const controller = new AbortController()
    const left = failureOf(fetch(api.url, { signal: controller.signal }))
    const call = fetch(api.url)
    await joined(1)
    controller.abort('left')
    await left
    hook.resolve()
    expect(await (await call).text()).toBe('stored')
    const stale = await finish(clock, fetch(api.url))
    expect(outcomeOf(stale)).toMatchObject({ source: 'cache' })
    expect(await stale.text()).toBe('stored')
  })

  test('calls that would have different responses confirmed share nothing', async () => {
    let calls = 0
    const { api, fetch } = await bench(
      {},
      {
        fetch: async (_, init) => new Response(new Headers(init?.headers).get('if-none-match')),
        cache: {
          policy: () => ({
            name: 'cache',
            wrap: (next) => async (context) => {
              callOf(context).extraHeaders = { 'if-none-match': `"${++calls}"` }
              return next(context)
            },
          }),
        },
      },
    )
    const all = await Promise.all([fetch(api.url), fetch(api.url)])
    expect(await Promise.all(all.map((each) => each.text()))).toEqual(['"1"', '"2"'])
  })
})

describe('bodyIdleMs', () => {
  test('counts for each reader by itself', async () => {
    const { listener, rest } = heldBody()
    const { api, fetch, clock } = await bench({ listener }, { timeout: { bodyIdleMs: 100 } })
    const [impatient, other] = await Promise.all([fetch(api.url), fetch(api.url)])
    const text = failureOf(impatient.text())
    await until(() => clock.pendingDelaysMs.includes(100))
    for (let look = 0; look < 3; look++) await clock.settle()
    await clock.advance(100)
    await clock.advance(100)
    expect(await text).toMatchObject({ code: 'ERR_BODY_IDLE_TIMEOUT' })
    rest.resolve()
    expect(await other.text()).toBe('one two')
  })
})
