import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { httpCache } from '../../src/cache/index.ts'
import {
  createFetch,
  outcomeOf,
  isHoldfastError,
  type ErrorCode,
  type FetchOptions,
  type HoldfastEvent,
  type HoldfastFetch,
  type Policy,
} from '../../src/index.ts'
import { faultServer, hang, ok, reset, stall, status, times, type Fault } from '../../src/testing/index.ts'
import { deferred } from '../support/operations.ts'
import { testClock, type TestClock } from './support/clock.ts'
import { expectNoUnhandledRejections } from './support/unhandled.ts'
import { failureOf, finish, tick, until } from './support/wait.ts'

expectNoUnhandledRejections()

type EventOf<Type extends HoldfastEvent['type']> = Extract<HoldfastEvent, { type: Type }>

async function bench(faults: readonly (Fault | Fault[])[] = [], options: FetchOptions = {}) {
  const clock = testClock()
  const events: HoldfastEvent[] = []
  const server = await faultServer(faults.length > 0 ? { faults } : {})
  onTestFinished(() => server.close())
  const fetch = createFetch({ clock, random: () => 0.5, onEvent: (event) => events.push(event), ...options })
  const of = <Type extends HoldfastEvent['type']>(type: Type): EventOf<Type>[] =>
    events.filter((event): event is EventOf<Type> => event.type === type)
  const types = (): string[] => events.map(({ type }) => type)
  const arrived = (count = 1): Promise<void> => until(() => server.requests.length === count)
  return { clock, events, server, fetch, of, types, arrived }
}

/** What every event of a call carries. */
const callTo = (url: string, method = 'GET') => ({ id: expect.any(Number) as number, method, url: `${url}/` })

describe('the events of a call', () => {
  test('that works at once', async () => {
    const { fetch, server, events, clock } = await bench()
    const work = fetch(server.url)
    await clock.advance(0)
    await work
    const call = callTo(server.url)
    expect(events).toEqual([
      { type: 'call-start', call },
      { type: 'attempt-start', attempt: 1, call },
      { type: 'attempt-end', attempt: 1, durationMs: 0, status: 200, call },
      {
        type: 'call-end',
        attempts: 1,
        durationMs: 0,
        source: 'network',
        uncertain: false,
        status: 200,
        call,
      },
    ])
  })

  test('that a policy of one’s own tells are copies, each with its call', async () => {
    const coalesced = Object.freeze({ type: 'coalesced' } as const)
    const telling: Policy<Response> = {
      name: 'telling',
      wrap: (next) => (context) => {
        context.execution.onEvent?.(coalesced)
        return next(context)
      },
    }
    const { fetch, server, of, clock } = await bench([], { policies: [telling] })
    const both = Promise.all([fetch(server.url), fetch(`${server.url}/b`)])
    await clock.advance(0)
    await both
    expect(of('coalesced').map(({ call }) => call?.url)).toEqual([`${server.url}/`, `${server.url}/b`])
    expect(coalesced).toEqual({ type: 'coalesced' })
  })

  test('that is tried again after a response and an error', async () => {
    const { fetch, server, events, clock } = await bench([status(503), reset()])
    await finish(clock, fetch(server.url))
    const call = callTo(server.url)
    const error = expect.any(TypeError) as TypeError
    expect(events).toEqual([
      { type: 'call-start', call },
      { type: 'attempt-start', attempt: 1, call },
      { type: 'attempt-end', attempt: 1, durationMs: 0, status: 503, call },
      { type: 'retry', attempt: 1, delayMs: 1000, status: 503, call },
      { type: 'attempt-start', attempt: 2, call },
      { type: 'attempt-end', attempt: 2, durationMs: 0, error, call },
      { type: 'retry', attempt: 2, delayMs: 2000, error, call },
      { type: 'attempt-start', attempt: 3, call },
      { type: 'attempt-end', attempt: 3, durationMs: 0, status: 200, call },
      {
        type: 'call-end',
        attempts: 3,
        durationMs: 3000,
        source: 'network',
        uncertain: false,
        status: 200,
        call,
      },
    ])
  })

  test('all carry the same id, and two calls different ones', async () => {
    const { fetch, server, events, clock } = await bench([status(503)])
    await finish(clock, fetch(server.url))
    const first = new Set(events.map(({ call }) => call?.id))
    events.length = 0
    await fetch(server.url)
    const second = new Set(events.map(({ call }) => call?.id))
    expect(first.size).toBe(1)
    expect(second.size).toBe(1)
    expect(first).not.toEqual(second)
  })

  test('ids differ between clients of one process', async () => {
    const ids: unknown[] = []
    for (let client = 0; client < 2; client++) {
      const fetch = createFetch({
        fetch: async () => new Response(),
        onEvent: ({ type, call }) => type === 'call-start' && ids.push(call?.id),
      })
      await fetch('http://x.test/')
    }
    expect(new Set(ids).size).toBe(2)
  })

  test('a hook that throws: no attempt, and the call ends with the error', async () => {
    const bug = new Error('bug')
    const { fetch, server, events } = await bench([], { beforeAttempt: () => Promise.reject(bug) })
    await failureOf(fetch(server.url))
    expect(events).toMatchObject([
      { type: 'call-start' },
      { type: 'give-up', reason: 'final', error: bug, attempt: 1 },
      { type: 'call-end', attempts: 0, error: bug },
    ])
  })

  test('malformed headers: the call ends with what the platform says, also where a body has to be read', async () => {
    const { fetch, server, events } = await bench([])
    const request = new Request(server.url, { method: 'POST', body: 'text' })
    const error = await failureOf(fetch(request, { headers: { 'no name': '1' } }))
    expect(error).toMatchObject({ name: 'TypeError', message: expect.stringContaining('no name') })
    expect(events).toMatchObject([
      { type: 'call-start' },
      { type: 'give-up', reason: 'final', error },
      { type: 'call-end', attempts: 0, error },
    ])
    expect(outcomeOf(error)).toMatchObject({ attempts: 0, uncertain: false })
  })

  test('a write that was lost is uncertain at its end', async () => {
    const { fetch, server, of } = await bench([reset()], { retry: false })
    await failureOf(fetch(server.url, { method: 'POST' }))
    expect(of('call-end')).toMatchObject([{ uncertain: true, call: callTo(server.url, 'POST') }])
  })

  test.each(['attempt timeout', 'total timeout', 'abort'] as const)(
    'the last attempt ends before the call: %s',
    async (how) => {
      const { fetch, server, types, clock, arrived } = await bench([hang()], {
        retry: false,
        timeout: how === 'attempt timeout' ? { attemptMs: 100 } : { totalMs: 100 },
      })
      const controller = new AbortController()
      const work = failureOf(fetch(server.url, { signal: controller.signal }))
      await arrived()
      if (how === 'abort') controller.abort(new Error('mine'))
      else await clock.advance(100)
      await work
      await until(() => types().includes('attempt-end'))
      expect(types().filter((type) => type !== 'timeout' && type !== 'give-up')).toEqual([
        'call-start',
        'attempt-start',
        'attempt-end',
        'call-end',
      ])
    },
  )

  test('an abort is told with the caller’s reason', async () => {
    const { fetch, server, of, arrived } = await bench([hang()])
    const controller = new AbortController()
    const reason = new Error('mine')
    const work = failureOf(fetch(server.url, { signal: controller.signal }))
    await arrived()
    controller.abort(reason)
    await work
    expect(of('call-end')[0]?.error).toBe(reason)
  })
})

describe('nothing is told after the end of a call', () => {
  const EVERYTHING = ['call-start', 'attempt-start', 'attempt-end', 'call-end']

  test.each([true, false])('by a rule that takes longer than the call: %s', async (answer) => {
    const rule = deferred<boolean>()
    const cancel = vi.fn<() => void>()
    const { fetch, clock, types } = await bench([], {
      fetch: async () => new Response(new ReadableStream({ cancel }), { status: 503 }),
      retry: { shouldRetry: () => rule.promise },
    })
    const controller = new AbortController()
    const work = failureOf(fetch('http://x.test/', { signal: controller.signal }))
    await clock.settle()
    controller.abort('left')
    expect(await work).toBe('left')
    rule.resolve(answer)
    await clock.settle()
    expect(types()).toEqual(EVERYTHING)
    expect(cancel).toHaveBeenCalledOnce()
    // Nor is it paid for.
    expect([...fetch.budgets]).toMatchObject([{ tokens: 10 }])
  })

  test('by a rule that takes longer than totalMs', async () => {
    const rule = deferred<boolean>()
    const { fetch, clock, types } = await bench([], {
      fetch: () => Promise.reject(new Error('down')),
      retry: { shouldRetry: () => rule.promise },
    })
    const work = failureOf(fetch('http://x.test/'))
    await clock.advance(120_000)
    expect(await work).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    rule.resolve(true)
    await clock.settle()
    expect(types().slice(-2)).toEqual(['timeout', 'call-end'])
  })

  test('by a fallback that comes too late', async () => {
    const substitute = deferred<Response>()
    const { fetch, clock, types } = await bench([], {
      fetch: async () => new Response(null, { status: 503 }),
      retry: false,
      fallback: () => substitute.promise,
    })
    const controller = new AbortController()
    const work = failureOf(fetch('http://x.test/', { signal: controller.signal }))
    await clock.settle()
    controller.abort('left')
    await work
    substitute.resolve(new Response('late'))
    await clock.settle()
    expect(types()).toEqual(EVERYTHING)
  })

  test('of a body that is not sent any more', async () => {
    const { fetch, clock, types } = await bench()
    const controller = new AbortController()
    const init: RequestInit & { duplex: 'half' } = {
      method: 'PUT',
      body: new Blob(['x']).stream(),
      duplex: 'half',
      signal: controller.signal,
    }
    const work = failureOf(fetch('http://x.test/', init))
    controller.abort('left')
    await work
    await clock.settle()
    expect(types()).toEqual(['call-start', 'call-end'])
  })

  test.each(['hedge', 'unconfirmed-idempotency'])('of a hedge that a listener calls off: %s', async (at) => {
    const clock = testClock()
    const controller = new AbortController()
    const types: string[] = []
    const fetch = createFetch({
      clock,
      hedge: { delayMs: 10 },
      fetch: () => new Promise(() => {}),
      onEvent({ type }) {
        types.push(type)
        if (type === at) controller.abort('left')
      },
    })
    const work = failureOf(fetch('http://x.test/', { method: 'POST', signal: controller.signal }))
    await clock.advance(10)
    expect(await work).toBe('left')
    expect(types.slice(types.indexOf(at) + 1)).toEqual(['attempt-end', 'call-end'])
    // Nor is it paid for.
    expect([...fetch.budgets]).toMatchObject([{ tokens: 10 }])
  })

  test('a listener that aborts as an attempt begins hears of its end before that of the call', async () => {
    const controller = new AbortController()
    const types: string[] = []
    const fetch = createFetch({
      fetch: async () => new Response(),
      onEvent({ type }) {
        types.push(type)
        if (type === 'attempt-start') controller.abort('left')
      },
    })
    expect(await failureOf(fetch('http://x.test/', { signal: controller.signal }))).toBe('left')
    expect(types).toEqual(EVERYTHING)
  })
})

describe('give-up', () => {
  const givesUp = async (
    faults: readonly (Fault | Fault[])[],
    options: FetchOptions,
    init: Parameters<HoldfastFetch>[1] = {},
  ) => {
    const { fetch, server, clock, of } = await bench(faults, options)
    await finish(
      clock,
      fetch(server.url, init).catch(() => {}),
    )
    expect(of('give-up')).toMatchObject([{ call: { url: `${server.url}/` } }])
    return of('give-up')[0]
  }

  test('exhausted', async () => {
    const event = await givesUp([times(3, status(503))], { retry: { maxRetries: 2 } })
    expect(event).toMatchObject({ reason: 'exhausted', attempt: 3, status: 503 })
  })

  test('deadline', async () => {
    const event = await givesUp([status(503)], { timeout: { totalMs: 500 } })
    expect(event).toMatchObject({ reason: 'deadline', attempt: 1 })
  })

  test('retry-after', async () => {
    const event = await givesUp([status(503, { retryAfter: 61 })], {})
    expect(event).toMatchObject({ reason: 'retry-after', attempt: 1 })
  })

  test('budget', async () => {
    const event = await givesUp([times(9, status(503))], {
      retryBudget: { capacity: 1, perMinute: 0 },
    })
    expect(event).toMatchObject({ reason: 'budget', attempt: 2 })
  })

  test('body', async () => {
    const body = new Blob(['x']).stream()
    const init: RequestInit & { duplex: 'half' } = { method: 'PUT', body, duplex: 'half' }
    const event = await givesUp([status(503)], {}, init)
    expect(event).toMatchObject({ reason: 'body', attempt: 1 })
  })

  test('final', async () => {
    const event = await givesUp([reset()], { idempotency: false }, { method: 'POST' })
    expect(event).toMatchObject({ reason: 'final', attempt: 1 })
  })
})

describe('the other events', () => {
  test.each([
    ['attempt', { attemptMs: 100 }],
    ['total', { totalMs: 100 }],
  ] as const)('timeout: %s', async (kind, timeout) => {
    const { fetch, server, clock, of, arrived } = await bench([hang()], { retry: false, timeout })
    const work = failureOf(fetch(server.url))
    await arrived()
    await clock.advance(100)
    await work
    expect(of('timeout')).toEqual([{ type: 'timeout', kind, timeoutMs: 100, call: callTo(server.url) }])
  })

  test('timeout: body-idle', async () => {
    const { fetch, server, clock, of } = await bench([stall({ afterBytes: 0 })], {
      timeout: { bodyIdleMs: 100 },
    })
    const text = failureOf((await fetch(server.url)).text())
    await clock.advance(100)
    await text
    expect(of('timeout')).toEqual([
      { type: 'timeout', kind: 'body-idle', timeoutMs: 100, call: callTo(server.url) },
    ])
  })

  test('a circuit’s life', async () => {
    const { fetch, server, clock, events } = await bench([times(2, status(503))], {
      retry: false,
      circuitBreaker: { minimumCalls: 1 },
    })
    await fetch(server.url)
    const { retryAfterMs } = (await failureOf(fetch(server.url))) as { retryAfterMs: number }
    await clock.advance(5000)
    await fetch(server.url)
    await clock.advance(10_000)
    await fetch(server.url)
    const key = server.url
    expect(events.filter(({ type }) => type.startsWith('circuit-'))).toEqual([
      { type: 'circuit-open', key, retryAfterMs, isolated: false, cause: 'failure-rate' },
      { type: 'circuit-half-open', key },
      { type: 'circuit-open', key, retryAfterMs: 10_000, isolated: false, cause: 'probe' },
      { type: 'circuit-half-open', key },
      { type: 'circuit-close', key },
    ])
  })

  test('fallback', async () => {
    const { fetch, server, of } = await bench([status(503)], {
      retry: false,
      fallback: () => new Response(),
    })
    await fetch(server.url)
    expect(of('fallback')).toEqual([{ type: 'fallback', reason: 'exhausted', call: callTo(server.url) }])
    expect(of('call-end')).toMatchObject([{ source: 'fallback', status: 200 }])
  })

  test('hedge', async () => {
    const { fetch, server, clock, of, arrived } = await bench([hang()], { hedge: { delayMs: 50 } })
    const work = fetch(server.url)
    await arrived()
    await clock.advance(50)
    await work
    const call = callTo(server.url)
    expect(of('hedge')).toEqual([{ type: 'hedge', attempt: 1, delayMs: 50, call }])
    expect(of('attempt-start')).toEqual([
      { type: 'attempt-start', attempt: 1, call },
      { type: 'attempt-start', attempt: 1, hedge: true, call },
    ])
    expect(of('call-end')).toMatchObject([{ attempts: 2, status: 200 }])
  })

  test('coalesced', async () => {
    const { fetch, server, of, events } = await bench([], { coalesce: true })
    await Promise.all([fetch(server.url), fetch(server.url)])
    const [first, second] = of('call-start')
    expect(of('coalesced')).toEqual([{ type: 'coalesced', call: callTo(server.url) }])
    expect(of('coalesced')[0]?.call?.id).toBe(second?.call?.id)
    expect(of('attempt-start').map(({ call }) => call?.id)).toEqual([first?.call?.id])
    expect(events.filter(({ type }) => type === 'call-end')).toHaveLength(2)
  })

  test('cache-hit', async () => {
    const { fetch, server, of, clock } = await bench([ok(), status(503)], {
      retry: false,
      cache: httpCache(),
    })
    await (await fetch(server.url)).text()
    // It is stored in the background.
    await tick(10)
    await clock.advance(5000)
    await fetch(server.url)
    expect(of('cache-hit')).toEqual([
      { type: 'cache-hit', kind: 'stale', ageMs: 5000, call: callTo(server.url) },
    ])
    expect(of('call-end')[1]).toMatchObject({ source: 'cache', status: 200 })
  })

  test('body-not-replayable', async () => {
    const { fetch, server, of } = await bench()
    const init: RequestInit & { duplex: 'half' } = {
      method: 'PUT',
      body: new Blob(['x']).stream(),
      duplex: 'half',
    }
    await fetch(server.url, init)
    expect(of('body-not-replayable')).toEqual([
      { type: 'body-not-replayable', reason: 'stream', call: callTo(server.url, 'PUT') },
    ])
  })

  test('body-not-replayable: too large', async () => {
    const { fetch, server, of } = await bench([], { retry: { maxBufferBytes: 4 } })
    await fetch(new Request(server.url, { method: 'PUT', body: 'too large' }))
    expect(of('body-not-replayable')).toMatchObject([{ reason: 'too-large' }])
  })

  test('unconfirmed-idempotency: once a call, before the first retry of a keyed write', async () => {
    const { fetch, server, of, clock, types } = await bench([times(2, status(503))])
    await finish(clock, fetch(server.url, { method: 'POST' }))
    expect(of('unconfirmed-idempotency')).toEqual([
      { type: 'unconfirmed-idempotency', origin: server.url, call: callTo(server.url, 'POST') },
    ])
    expect(types().indexOf('unconfirmed-idempotency')).toBeLessThan(types().lastIndexOf('attempt-start'))
  })

  test('unconfirmed-idempotency: not for an origin that has shown a marker, nor for a read', async () => {
    const marked = status(201, { headers: { 'idempotency-status': 'stored' } })
    const { fetch, server, of, clock } = await bench([marked, status(503), ok(), status(503)])
    await finish(clock, fetch(server.url, { method: 'POST' }))
    await finish(clock, fetch(server.url, { method: 'POST' }))
    await finish(clock, fetch(server.url))
    expect(of('unconfirmed-idempotency')).toEqual([])
  })
})

/** Seen in the tests of the policies that reject with them. */
type Rejections = 'ERR_THROTTLED' | 'ERR_RATE_LIMITED'

describe('error codes: all of them are seen', () => {
  const codes: Record<Exclude<ErrorCode, Rejections>, (clock: TestClock) => Promise<unknown>> = {
    async ERR_CIRCUIT_OPEN(clock) {
      const fetch = createFetch({ clock })
      fetch.circuits.get('http://x.test').isolate()
      return fetch('http://x.test/')
    },
    async ERR_ATTEMPT_TIMEOUT(clock) {
      const work = createFetch({ clock, retry: false, fetch: () => new Promise(() => {}) })('http://x.test/')
      work.catch(() => {})
      await clock.advance(30_000)
      return work
    },
    async ERR_TOTAL_TIMEOUT(clock) {
      const fetch = createFetch({ clock, timeout: { attemptMs: false }, fetch: () => new Promise(() => {}) })
      const work = fetch('http://x.test/')
      work.catch(() => {})
      await clock.advance(120_000)
      return work
    },
    async ERR_BODY_IDLE_TIMEOUT(clock) {
      const fetch = createFetch({
        clock,
        timeout: { bodyIdleMs: 5 },
        fetch: async () => new Response(new ReadableStream()),
      })
      const text = (await fetch('http://x.test/')).text()
      text.catch(() => {})
      await clock.advance(5)
      return text
    },
    async ERR_BODY_LENGTH() {
      const headers = { etag: '"v1"', 'content-length': '9' }
      const fetch = createFetch({
        retry: { resumeBody: true, maxRetries: 0 },
        fetch: async () => new Response('short', { headers }),
      })
      return (await fetch('http://x.test/')).text()
    },
    async ERR_BULKHEAD_FULL() {
      const never = (): Promise<never> => new Promise(() => {})
      const fetch = createFetch({
        bulkhead: { maxConcurrent: 1, maxQueued: 0 },
        timeout: false,
        fetch: never,
      })
      void fetch('http://x.test/')
      return fetch('http://x.test/')
    },
    async ERR_INVALID_OPTION() {
      return createFetch({ timeout: { attemptMs: -1 } })
    },
  }

  test.each(Object.entries(codes))('%s', async (code, provoke) => {
    const error = await failureOf(provoke(testClock()))
    expect(isHoldfastError(error)).toBe(true)
    expect(error).toMatchObject({ code })
    expect(error).toBeInstanceOf(Error)
  })
})

/** Everything that an event says itself: not the error object, which is the transport's or the caller's own. */
function ownWords(events: readonly HoldfastEvent[]): string {
  return JSON.stringify(events.map((event) => ({ ...event, error: undefined })))
}

describe('secrets', () => {
  const SECRET = 's3cr3t'
  const init: RequestInit = {
    method: 'PUT',
    headers: { authorization: `Bearer ${SECRET}`, cookie: SECRET, 'idempotency-key': SECRET },
    body: SECRET,
  }

  test('query string, headers, key and bodies are in no event', async () => {
    const secretAnswer = { body: SECRET, headers: { 'set-cookie': SECRET } }
    const { fetch, server, events, clock } = await bench([status(503, secretAnswer), reset(), hang()], {
      circuitBreaker: { minimumCalls: 3 },
      timeout: { attemptMs: 100 },
      fallback: { methods: ['PUT'], respond: () => new Response(SECRET) },
    })
    const work = fetch(`${server.url}/path?token=${SECRET}#${SECRET}`, init)
    await until(() => clock.sleeps.length === 1)
    await clock.advance(1000)
    await until(() => clock.sleeps.length === 2)
    await clock.advance(2000)
    await until(() => server.requests.length === 3)
    await clock.advance(100)
    await finish(clock, work)
    const types = new Set(events.map(({ type }) => type))
    for (const type of [
      'retry',
      'timeout',
      'circuit-open',
      'fallback',
      'unconfirmed-idempotency',
      'call-end',
    ]) {
      expect(types).toContain(type)
    }
    expect(ownWords(events)).not.toContain(SECRET)
    expect(events[0]?.call?.url).toBe(`${server.url}/path`)
  })

  test('the user and password of a URL are in no event', async () => {
    const { server, events } = await bench()
    const fetch = createFetch({ onEvent: (event) => events.push(event), fetch: async () => new Response() })
    await fetch(server.url.replace('://', `://user:${SECRET}@`))
    expect(events.map(({ type }) => type)).toContain('call-end')
    expect(ownWords(events)).not.toContain(SECRET)
    expect(ownWords(events)).not.toContain('user')
  })

  test('a circuit’s key holds none either', async () => {
    const { events } = await bench()
    const fetch = createFetch({
      onEvent: (event) => events.push(event),
      circuitBreaker: { minimumCalls: 1 },
      retry: false,
      fetch: async () => new Response('', { status: 500 }),
    })
    await fetch(`http://user:${SECRET}@x.test/?${SECRET}`)
    expect(events.some(({ type }) => type === 'circuit-open')).toBe(true)
    expect(ownWords(events)).not.toContain(SECRET)
  })
})

describe('a listener', () => {
  const bug = new Error('bug in a listener')
  const listeners: [string, () => unknown][] = [
    [
      'throws',
      () => {
        throw bug
      },
    ],
    ['rejects', () => Promise.reject(bug)],
  ]

  test.each(listeners)('that %s affects nothing', async (_, listener) => {
    const onEvent = vi.fn<() => unknown>(listener)
    const { fetch, server, clock } = await bench([status(503), reset()], {
      onEvent,
      circuitBreaker: { minimumCalls: 3 },
    })
    const response = await finish(clock, fetch(server.url, { method: 'POST', body: 'x' }))
    expect(response.status).toBe(200)
    expect(server.requests).toHaveLength(3)
    expect(onEvent.mock.calls.length).toBeGreaterThan(8)
    await tick(10)
  })

  test.each(listeners)(
    'that %s at a circuit’s change affects neither circuit nor call',
    async (_, listener) => {
      const { fetch, server, clock } = await bench([status(503)], {
        onEvent: listener,
        circuitBreaker: { minimumCalls: 1 },
        retry: false,
      })
      expect((await fetch(server.url)).status).toBe(503)
      expect(fetch.circuits.get(server.url).state).toBe('open')
      await clock.advance(5000)
      expect((await fetch(server.url)).status).toBe(200)
      expect(fetch.circuits.get(server.url).state).toBe('closed')
    },
  )

  test('fetch.with can have another, or none', async () => {
    const { fetch, server, events } = await bench()
    const other: string[] = []
    await fetch.with({ onEvent: ({ type }) => other.push(type) })(server.url)
    await fetch.with({ onEvent: false })(server.url)
    expect(other).toEqual(['call-start', 'attempt-start', 'attempt-end', 'call-end'])
    expect(events).toEqual([])
  })
})
