import { Readable } from 'node:stream'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  CircuitOpenError,
  createFetch,
  isHoldfastError,
  outcomeOf,
  type CircuitSnapshot,
  type FetchOptions,
  type HoldfastEvent,
  type HoldfastInit,
} from '../../src/index.ts'
import { endless, faultServer, hang, ok, reset, status, type Fault } from '../../src/testing/index.ts'
import { testClock } from './support/clock.ts'
import { expectNoUnhandledRejections } from './support/unhandled.ts'
import { failureOf, finish, until } from './support/wait.ts'

expectNoUnhandledRejections()

const random = (): number => 0.5

/** A server that does what `plan.fault` says, and a client without retries: a call is an attempt. */
async function bench(options: FetchOptions = {}) {
  const clock = testClock()
  const events: HoldfastEvent[] = []
  const plan: { fault: Fault } = { fault: ok() }
  const server = await faultServer({ faults: () => plan.fault })
  onTestFinished(() => server.close())
  const fetch = createFetch({
    clock,
    random,
    retry: false,
    onEvent: (event) => events.push(event),
    ...options,
  })
  const call = async (fault: Fault = ok(), init: HoldfastInit = {}): Promise<number> => {
    plan.fault = fault
    const response = await fetch(server.url, init)
    await response.text()
    return response.status
  }
  const repeat = async (count: number, fault: Fault, init: HoldfastInit = {}): Promise<void> => {
    for (let done = 0; done < count; done++) await call(fault, init)
  }
  const circuit = fetch.circuits.get(server.url)
  return { clock, events, plan, server, fetch, call, repeat, circuit }
}

describe('when a circuit opens', () => {
  test('at the tenth failure, not at the ninth', async () => {
    const { repeat, circuit, server, call } = await bench()
    await repeat(9, status(503))
    expect(circuit.state).toBe('closed')
    await repeat(1, status(503))
    expect(circuit.state).toBe('open')
    await failureOf(call())
    expect(server.requests).toHaveLength(10)
  })

  test('at half of the attempts, not below', async () => {
    const { repeat, circuit } = await bench()
    await repeat(6, ok())
    await repeat(5, status(500))
    expect(circuit.state).toBe('closed')
    await repeat(1, status(500))
    expect(circuit.state).toBe('open')
  })

  test('failures that have left the window no longer count', async () => {
    const { repeat, circuit, clock } = await bench()
    await repeat(9, status(503))
    await clock.advance(33_000)
    await repeat(9, status(503))
    expect(circuit.state).toBe('closed')
    await repeat(1, status(503))
    expect(circuit.state).toBe('open')
  })

  test('an idle hour, then one failure: stays closed', async () => {
    const { repeat, circuit, clock } = await bench()
    await repeat(9, status(503))
    await clock.advance(3_600_000)
    await repeat(1, status(503))
    expect(circuit.state).toBe('closed')
  })

  test('a wall clock that jumps changes nothing', async () => {
    const { repeat, circuit, clock } = await bench()
    await repeat(9, status(503))
    clock.jumpWall(-7_200_000)
    await repeat(1, status(503))
    expect(circuit.state).toBe('open')
    clock.jumpWall(14_400_000)
    expect(circuit.state).toBe('open')
  })

  test('connections that are reset count', async () => {
    const { circuit, call } = await bench()
    for (let done = 0; done < 10; done++) await failureOf(call(reset()))
    expect(circuit.state).toBe('open')
  })

  test('attempt timeouts count', async () => {
    const { circuit, call, server, clock } = await bench({ circuitBreaker: { minimumCalls: 1 } })
    const work = failureOf(call(hang()))
    await until(() => server.requests.length === 1)
    await clock.advance(30_000)
    expect(await work).toMatchObject({ code: 'ERR_ATTEMPT_TIMEOUT' })
    expect(circuit.state).toBe('open')
  })

  test('those do not that strike while the body of the caller’s own Request is read', async () => {
    const { circuit, fetch, server, clock } = await bench({ retry: {}, circuitBreaker: { minimumCalls: 1 } })
    const init: RequestInit & { duplex: 'half' } = {
      method: 'POST',
      body: new ReadableStream(),
      duplex: 'half',
    }
    const work = failureOf(fetch(new Request(server.url, init)))
    await clock.advance(30_000)
    expect(await work).toMatchObject({ code: 'ERR_ATTEMPT_TIMEOUT' })
    expect([server.requests.length, circuit.state]).toEqual([0, 'closed'])
  })

  describe('a body of the caller’s own that breaks does not count', () => {
    const chunk = new Uint8Array(600_000)
    const breaking = (): ReadableStream => {
      let left = 3
      return new ReadableStream({
        pull: (controller) => (left-- > 0 ? controller.enqueue(chunk) : controller.error(new Error('mine'))),
      })
    }
    /** No stream, as a platform would know it: it can only be read. */
    const iterable = (): BodyInit => {
      const chunks: unknown = { [Symbol.asyncIterator]: () => breaking()[Symbol.asyncIterator]() }
      return chunks as BodyInit
    }
    const duplex = 'half' as const
    test.each<[string, () => HoldfastInit & { duplex: 'half' }]>([
      ['a stream', () => ({ duplex, body: breaking() })],
      ['a stream of Node', () => ({ duplex, body: Readable.from(breaking()) as unknown as BodyInit })],
      ['an async iterable', () => ({ duplex, body: iterable() })],
      ['one that is made anew', () => ({ duplex, holdfast: { body: breaking } })],
      ['an async iterable that is made anew', () => ({ duplex, holdfast: { body: iterable } })],
    ])('%s', async (_, init) => {
      const { circuit, fetch, server } = await bench({ circuitBreaker: { minimumCalls: 1 } })
      const error = await failureOf(fetch(server.url, { method: 'POST', ...init() }))
      expect(outcomeOf(error)).toMatchObject({ attempts: 1, uncertain: true })
      expect(circuit.state).toBe('closed')
    })

    test.each([{}, false] as const)('that of a Request too long to be kept, retry: %j', async (retry) => {
      const { circuit, fetch, server } = await bench({ retry, circuitBreaker: { minimumCalls: 1 } })
      const error = await failureOf(
        fetch(new Request(server.url, { method: 'POST', duplex, body: breaking() } as RequestInit)),
      )
      expect(outcomeOf(error)).toMatchObject({ attempts: 1, uncertain: true })
      expect(circuit.state).toBe('closed')
    })
  })

  test.each<[string, () => unknown]>([
    ['a stream', () => new Blob(['x']).stream()],
    [
      'an async iterable',
      async function* () {
        yield 'x'
      },
    ],
  ])('a connection that is reset while %s is sent counts', async (_, body) => {
    const { circuit, fetch, plan, server } = await bench({ circuitBreaker: { minimumCalls: 1 } })
    plan.fault = reset()
    const init: HoldfastInit & { duplex: 'half' } = {
      method: 'POST',
      body: body() as BodyInit,
      duplex: 'half',
    }
    await failureOf(fetch(server.url, init))
    expect(circuit.state).toBe('open')
  })

  test('every attempt of a call counts, not the call', async () => {
    const { circuit, call, clock } = await bench({ retry: {}, circuitBreaker: { minimumCalls: 5 } })
    expect(await finish(clock, call(status(503)))).toBe(503)
    expect(circuit.state).toBe('open')
  })

  test('circuitBreaker: false never opens and keeps no circuit', async () => {
    const { repeat, server, fetch } = await bench({ circuitBreaker: false })
    await repeat(20, status(503))
    expect(server.requests).toHaveLength(20)
    expect([...fetch.circuits].map(({ key }) => key)).toEqual([server.url])
    expect(fetch.circuits.get(server.url).state).toBe('closed')
  })
})

describe('the rules that are off', () => {
  test('a service that fails 30 % of its requests keeps its circuit closed', async () => {
    const { repeat, circuit, events } = await bench()
    for (let round = 0; round < 5; round++) {
      await repeat(7, ok())
      await repeat(3, status(503))
    }
    expect(circuit.state).toBe('closed')
    expect(events.filter(({ type }) => type === 'circuit-open')).toEqual([])
  })

  test('consecutive: failures in a row open it, however many successes came before', async () => {
    const { repeat, circuit, events } = await bench({ circuitBreaker: { consecutive: 3 } })
    await repeat(20, ok())
    await repeat(2, status(503))
    expect(circuit.state).toBe('closed')
    await repeat(1, status(503))
    expect(circuit.state).toBe('open')
    expect(events.filter(({ type }) => type === 'circuit-open')).toMatchObject([{ cause: 'consecutive' }])
  })

  test('slowCall: attempts whose headers come late open it', async () => {
    const { start, circuit, clock } = await gated({
      circuitBreaker: { minimumCalls: 2, slowCall: { durationMs: 1000, rate: 1 } },
    })
    for (const state of ['closed', 'open']) {
      const { reply } = await start()
      await clock.advance(1001)
      expect(await reply(200)).toBe(200)
      expect(circuit.state).toBe(state)
    }
  })

  test('slowCall: a body that goes on for long is not slow', async () => {
    const { plan, fetch, server, circuit, clock } = await bench({
      circuitBreaker: { minimumCalls: 1, slowCall: { durationMs: 1000, rate: 1 } },
    })
    plan.fault = endless({ intervalMs: 5 })
    const response = await fetch(server.url)
    await clock.advance(60_000)
    expect(circuit.state).toBe('closed')
    await response.body?.cancel()
  })

  test('slowCall: the backoff between two attempts is none of their time', async () => {
    const { call, circuit, clock } = await bench({
      retry: {},
      circuitBreaker: { failureRate: 1, minimumCalls: 2, slowCall: { durationMs: 500, rate: 0.1 } },
    })
    const work = call(status(501))
    await until(() => clock.wakeInMs === 1000)
    await call(ok())
    await finish(clock, work)
    expect(clock.sleeps).toEqual([1000])
    expect(circuit.state).toBe('closed')
  })

  test('halfOpenProbes: so many of 50 concurrent calls get through', async () => {
    const { start, clock, fetch, server, answers, circuit } = await gated({
      circuitBreaker: { minimumCalls: 1, halfOpenProbes: 3 },
    })
    await (await start()).reply(503)
    await clock.advance(5000)
    const work = Array.from({ length: 50 }, () => fetch(server.url).then(() => 'answered', failed))
    await until(() => answers.length === 4)
    for (const answer of answers.slice(1)) answer(200)
    const results = await Promise.all(work)
    expect(results.filter((result) => result === 'answered')).toHaveLength(3)
    expect(server.requests).toHaveLength(4)
    expect(circuit.state).toBe('closed')
  })

  test('halfOpenProbes: an attempt timeout of one of them is a failed one', async () => {
    const { start, circuit, clock } = await gated({
      circuitBreaker: { minimumCalls: 1, halfOpenProbes: 2 },
    })
    await (await start()).reply(503)
    await clock.advance(5000)
    const { work } = await start()
    await clock.advance(30_000)
    expect(await failureOf(work)).toMatchObject({ code: 'ERR_ATTEMPT_TIMEOUT' })
    expect(circuit.state).toBe('open')
  })
})

describe('a snapshot', () => {
  test('of an open circuit keeps another client from asking', async () => {
    const { repeat, circuit, server } = await bench()
    await repeat(10, status(503))
    const kept = JSON.stringify(circuit.snapshot())
    const clock = testClock()
    const fetch = createFetch({ clock, random, retry: false })
    fetch.circuits.get(server.url).restore(JSON.parse(kept) as CircuitSnapshot, 2000)
    expect(await failureOf(fetch(server.url))).toMatchObject({ retryAfterMs: 3000 })
    expect(server.requests).toHaveLength(10)
  })

  test('that is none is refused', () => {
    const circuit = createFetch().circuits.get('http://a.test')
    expect(() => circuit.restore({ version: 2 } as never)).toThrow('snapshot.version should be 1, got 2')
  })
})

describe('an answer that says nothing of the service’s health', () => {
  const replay = { headers: { 'idempotent-replayed': 'true' } }
  const stored = { headers: { 'idempotency-status': 'stored' } }
  const cases: [string, Fault, HoldfastInit][] = [
    ['408', status(408), {}],
    ['425', status(425), {}],
    ['429', status(429), {}],
    ['a replayed 500', status(500, replay), { method: 'POST' }],
    ['a stored 503', status(503, stored), { method: 'POST' }],
    ['a replayed 200', status(200, replay), { method: 'POST' }],
  ]

  test.each(cases)('%s is no failure', async (_, fault, init) => {
    const { repeat, circuit } = await bench({ circuitBreaker: { minimumCalls: 1 } })
    await repeat(3, fault, init)
    expect(circuit.state).toBe('closed')
  })

  test.each(cases)('%s is no success', async (_, fault, init) => {
    const { repeat, circuit } = await bench()
    await repeat(20, fault, init)
    await repeat(10, status(503))
    expect(circuit.state).toBe('open')
  })

  test.each(cases)('%s hands a test request’s permit on', async (_, fault, init) => {
    const { repeat, circuit, clock } = await bench({ circuitBreaker: { minimumCalls: 1 } })
    await repeat(1, status(503))
    await clock.advance(5000)
    await repeat(2, fault, init)
    expect(circuit.state).toBe('half-open')
    await repeat(1, ok())
    expect(circuit.state).toBe('closed')
  })
})

describe('an answer that shows a healthy service', () => {
  const answers = [400, 401, 403, 404, 409, 422]

  test.each(answers)('%d counts as a success', async (code) => {
    const { repeat, circuit } = await bench()
    await repeat(12, status(code))
    await repeat(11, status(503))
    expect(circuit.state).toBe('closed')
  })

  test.each(answers)('%d to a test request closes the circuit', async (code) => {
    const { repeat, circuit, clock } = await bench({ circuitBreaker: { minimumCalls: 1 } })
    await repeat(1, status(503))
    await clock.advance(5000)
    await repeat(1, status(code))
    expect(circuit.state).toBe('closed')
  })

  test('a 409 of a first attempt still in flight is one', async () => {
    const { circuit, call, clock, plan, repeat } = await bench({ retry: {}, retryBudget: false })
    const inFlight = status(409, { headers: { 'idempotency-status': 'in-flight' } })
    for (let done = 0; done < 12; done++) {
      const work = call(inFlight, { method: 'POST' })
      await until(() => clock.wakeInMs !== undefined)
      plan.fault = status(404)
      await finish(clock, work)
      await clock.advance(1)
    }
    await repeat(11, status(501), { holdfast: { retry: false } })
    expect(circuit.state).toBe('closed')
  })
})

describe('an open circuit', () => {
  test('rejects at once with key, code and time, and sends nothing', async () => {
    const { repeat, server, call, clock } = await bench()
    await repeat(10, status(503))
    await clock.advance(1500)
    const error = await failureOf(call())
    expect(error).toBeInstanceOf(CircuitOpenError)
    expect(isHoldfastError(error)).toBe(true)
    expect(error).toMatchObject({
      name: 'CircuitOpenError',
      code: 'ERR_CIRCUIT_OPEN',
      key: server.url,
      retryAfterMs: 3500,
    })
    expect((error as Error).cause).toBeUndefined()
    expect(server.requests).toHaveLength(10)
    expect(outcomeOf(error)).toMatchObject({
      attempts: 0,
      source: 'network',
      uncertain: false,
      circuit: server.url,
      delaysMs: [],
    })
  })

  test('a write that it rejects is not uncertain and keeps its key', async () => {
    const { repeat, call } = await bench()
    await repeat(10, status(503))
    const error = await failureOf(call(ok(), { method: 'POST', holdfast: { idempotencyKey: 'order-1' } }))
    expect(outcomeOf(error)).toMatchObject({ uncertain: false, idempotencyKey: 'order-1' })
  })

  test('is never retried', async () => {
    const { call, clock, fetch, server } = await bench({ retry: { maxRetries: 4 } })
    fetch.circuits.get(server.url).isolate()
    expect(await failureOf(call())).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    expect(clock.sleeps).toEqual([])
  })

  test('shouldRetry is not even asked', async () => {
    const shouldRetry = vi.fn<() => boolean>(() => true)
    const { call, fetch, server } = await bench({ retry: { shouldRetry } })
    fetch.circuits.get(server.url).isolate()
    await failureOf(call())
    expect(shouldRetry).not.toHaveBeenCalled()
  })

  test.each([
    ['a response', status(503), Response],
    ['an error', reset(), TypeError],
  ])('met after a backoff it names the last failure as its cause: %s', async (_, fault, kind) => {
    const { call, clock, server } = await bench({ retry: {}, circuitBreaker: { minimumCalls: 2 } })
    const error = await finish(clock, failureOf(call(fault)))
    expect(error).toMatchObject({ code: 'ERR_CIRCUIT_OPEN', retryAfterMs: 3000 })
    expect((error as Error).cause).toBeInstanceOf(kind)
    expect(server.requests).toHaveLength(2)
    expect(outcomeOf(error)).toMatchObject({ attempts: 2, delaysMs: [1000, 2000] })
  })

  test('each call is told by an error of its own', async () => {
    const { repeat, call } = await bench()
    await repeat(10, status(503))
    expect(await failureOf(call())).not.toBe(await failureOf(call()))
  })

  test('what it has rejected is not sampled', async () => {
    const { repeat, call, circuit, clock } = await bench()
    await repeat(10, status(503))
    for (let done = 0; done < 100; done++) await failureOf(call())
    await clock.advance(5000)
    await call()
    expect(circuit.state).toBe('closed')
    await repeat(9, status(503))
    expect(circuit.state).toBe('closed')
    await repeat(1, status(503))
    expect(circuit.state).toBe('open')
  })

  test('opens for twice as long after each failed test request, up to maxOpenMs', async () => {
    const { repeat, call, clock, events } = await bench()
    await repeat(10, status(503))
    // The last two: the middle of 30 s - 25 % and the cap.
    for (const openMs of [5000, 10_000, 20_000, 26_250, 26_250]) {
      await clock.advance(openMs - 1)
      expect(await failureOf(call())).toMatchObject({ retryAfterMs: 1 })
      await clock.advance(1)
      await call(status(503))
    }
    const openings = events.filter(({ type }) => type === 'circuit-open')
    expect(openings).toHaveLength(6)
    expect(openings.at(-1)).toMatchObject({ retryAfterMs: 26_250, isolated: false })
  })

  test('after it has closed the open time starts anew', async () => {
    const { repeat, call, clock, circuit } = await bench({ circuitBreaker: { minimumCalls: 1 } })
    await repeat(1, status(503))
    await clock.advance(5000)
    await call(status(503))
    await clock.advance(10_000)
    await call()
    expect(circuit.state).toBe('closed')
    await repeat(1, status(503))
    expect(await failureOf(call())).toMatchObject({ retryAfterMs: 5000 })
  })
})

/** A server whose answers wait for the test, and a client whose circuit one failure opens. */
async function gated(options: FetchOptions = {}) {
  const clock = testClock()
  const answers: ((code: number) => void)[] = []
  const server = await faultServer({
    listener: (_, response) => void answers.push((code) => response.writeHead(code).end()),
  })
  onTestFinished(() => server.close())
  const fetch = createFetch({
    clock,
    random,
    retry: false,
    circuitBreaker: { minimumCalls: 1 },
    ...options,
  })
  const start = async (init: HoldfastInit = {}) => {
    const count = answers.length
    const work = fetch(server.url, init).then((response) => response.status)
    work.catch(() => {})
    await until(() => answers.length > count)
    const answer = answers[count]
    const reply = async (code: number): Promise<number> => {
      answer?.(code)
      return work
    }
    return { work, reply }
  }
  const circuit = fetch.circuits.get(server.url)
  return { clock, server, fetch, start, circuit, answers }
}

describe('a half-open circuit', () => {
  test('lets exactly one of 50 concurrent calls through', async () => {
    const { start, clock, fetch, server, answers, circuit } = await gated()
    await (await start()).reply(503)
    await clock.advance(5000)
    const work = Array.from({ length: 50 }, () => fetch(server.url).then(() => 'answered', failed))
    await until(() => answers.length === 2)
    answers[1]?.(200)
    const results = await Promise.all(work)
    expect(results.filter((result) => result === 'answered')).toHaveLength(1)
    expect(results.filter((result) => result === 'ERR_CIRCUIT_OPEN')).toHaveLength(49)
    expect(server.requests).toHaveLength(2)
    expect(circuit.state).toBe('closed')
  })

  test('the test request is settled by its headers, however long the body goes on', async () => {
    const { call, plan, clock, circuit, fetch, server } = await bench({
      circuitBreaker: { minimumCalls: 1 },
    })
    await call(status(503))
    await clock.advance(5000)
    plan.fault = endless({ intervalMs: 5 })
    const response = await fetch(server.url)
    expect(circuit.state).toBe('closed')
    expect(await call()).toBe(200)
    await response.body?.cancel()
  })

  test('a caller’s abort of the test request hands the permit on and is no failure', async () => {
    const { start, clock, circuit } = await gated()
    await (await start()).reply(503)
    await clock.advance(5000)
    const controller = new AbortController()
    const reason = new Error('mine')
    const { work } = await start({ signal: controller.signal })
    controller.abort(reason)
    expect(await failureOf(work)).toBe(reason)
    expect(circuit.state).toBe('half-open')
    const next = await start()
    await next.reply(200)
    expect(circuit.state).toBe('closed')
  })

  test('isolated meanwhile, it stays so when the test request succeeds', async () => {
    const { start, clock, circuit } = await gated()
    await (await start()).reply(503)
    await clock.advance(5000)
    const probe = await start()
    circuit.isolate()
    await probe.reply(200)
    expect(circuit.state).toBe('isolated')
  })

  test('a transport’s own AbortError hands the permit on', async () => {
    const clock = testClock()
    const answers = [new Error('down'), new DOMException('own', 'AbortError')]
    const fetch = createFetch({
      clock,
      random,
      retry: false,
      circuitBreaker: { minimumCalls: 1 },
      async fetch() {
        const error = answers.shift()
        if (error !== undefined) throw error
        return new Response()
      },
    })
    await failureOf(fetch('http://x.test/'))
    await clock.advance(5000)
    expect(await failureOf(fetch('http://x.test/'))).toMatchObject({ name: 'AbortError' })
    expect((await fetch('http://x.test/')).status).toBe(200)
  })

  test('a test request that never settles has a lease: openMs without an attempt timeout', async () => {
    const { clock, circuit, fetch, server } = await ignoring({ timeout: false })
    await clock.advance(4999)
    expect(circuit.state).toBe('half-open')
    expect(await failureOf(fetch(server))).toMatchObject({ retryAfterMs: 1 })
    await clock.advance(1)
    expect(circuit.state).toBe('open')
    expect(await failureOf(fetch(server))).toMatchObject({ retryAfterMs: 10_000 })
    await clock.advance(10_000)
    void fetch(server)
    expect(circuit.state).toBe('half-open')
  })

  test('with an attempt timeout the lease is as long as that', async () => {
    const { clock, circuit, fetch, server } = await ignoring({ timeout: { attemptMs: 20_000 } })
    await clock.advance(19_999)
    expect(await failureOf(fetch(server))).toMatchObject({ code: 'ERR_CIRCUIT_OPEN', retryAfterMs: 1 })
    await clock.advance(1)
    expect(circuit.state).toBe('open')
    expect(await failureOf(fetch(server))).toMatchObject({ retryAfterMs: 10_000 })
  })

  test('a derived fetch without an attempt timeout has a lease of openMs, whatever its client has', () => {
    const derived = createFetch({ timeout: { attemptMs: 20_000 } }).with({ timeout: { attemptMs: false } })
    expect(derived.describe()).toContain('leaseMs 5000')
  })

  test.each(['reject', 'wait'] as const)(
    'a derived fetch has a lease as long as its own: %s',
    async (whenOpen) => {
      const clock = testClock()
      const answers = [503, 200]
      const client = createFetch({
        clock,
        random,
        retry: false,
        circuitBreaker: { minimumCalls: 1, whenOpen },
        fetch: () =>
          new Promise((resolve) => {
            const response = new Response(null, { status: answers.shift() ?? 500 })
            if (response.ok) clock.schedule(() => resolve(response), 60_000)
            else resolve(response)
          }),
      })
      const slow = client.with({ timeout: { attemptMs: 90_000 } })
      expect(slow.describe()).toContain('leaseMs 90000')
      await client('http://x.test/')
      if (whenOpen === 'reject') await clock.advance(5000)
      const test = slow('http://x.test/')
      await clock.advance(whenOpen === 'wait' ? 64_999 : 59_999)
      const circuit = client.circuits.get('http://x.test')
      expect(circuit.state).toBe('half-open')
      await clock.advance(1)
      expect((await test).status).toBe(200)
      expect(circuit.state).toBe('closed')
    },
  )
})

const failed = (error: unknown): string => (isHoldfastError(error) ? error.code : 'another error')

/** A half-open circuit whose test request never ends, over a transport that ignores the signal. */
async function ignoring(options: FetchOptions) {
  const clock = testClock()
  const server = 'http://x.test/'
  let transport = (): Promise<Response> => Promise.reject(new Error('down'))
  const fetch = createFetch({
    clock,
    random,
    retry: false,
    circuitBreaker: { minimumCalls: 1 },
    fetch: () => transport(),
    ...options,
  })
  await failureOf(fetch(server))
  await clock.advance(5000)
  transport = () => new Promise(() => {})
  void fetch(server).catch(() => {})
  await clock.settle()
  return { clock, fetch, server, circuit: fetch.circuits.get('http://x.test') }
}

describe('results of an earlier generation', () => {
  test('a late success does not close an open circuit', async () => {
    const { start, circuit } = await gated()
    const early = await start()
    await (await start()).reply(503)
    expect(await early.reply(200)).toBe(200)
    expect(circuit.state).toBe('open')
  })

  test('a late success is not taken for the test request’s', async () => {
    const { start, circuit, clock } = await gated()
    const early = await start()
    await (await start()).reply(503)
    await clock.advance(5000)
    const probe = await start()
    await early.reply(200)
    expect(circuit.state).toBe('half-open')
    await probe.reply(503)
    expect(circuit.state).toBe('open')
  })

  test('a late failure is not taken for the test request’s', async () => {
    const { start, circuit, clock } = await gated()
    const early = await start()
    await (await start()).reply(503)
    await clock.advance(5000)
    const probe = await start()
    await early.reply(503)
    expect(circuit.state).toBe('half-open')
    await probe.reply(200)
    expect(circuit.state).toBe('closed')
  })

  test('a late failure does not count once the circuit has closed again', async () => {
    const { start, circuit, clock } = await gated()
    const early = await start()
    await (await start()).reply(503)
    await clock.advance(5000)
    await (await start()).reply(200)
    await early.reply(503)
    expect(circuit.state).toBe('closed')
  })

  test('a late failure does not count after a reset by hand', async () => {
    const { start, circuit } = await gated()
    const early = await start()
    circuit.isolate()
    circuit.reset()
    await early.reply(503)
    expect(circuit.state).toBe('closed')
  })

  test('a test request that outlived its lease does not settle the next one', async () => {
    const { start, circuit, clock } = await gated({ timeout: false })
    await (await start()).reply(503)
    await clock.advance(5000)
    const first = await start()
    await clock.advance(15_000)
    const second = await start()
    await first.reply(200)
    expect(circuit.state).toBe('half-open')
    await second.reply(200)
    expect(circuit.state).toBe('closed')
  })
})

describe('the caller’s abort', () => {
  test('is no failure, however often', async () => {
    const { start, circuit } = await gated()
    for (let done = 0; done < 20; done++) {
      const controller = new AbortController()
      const { work } = await start({ signal: controller.signal })
      controller.abort(new Error('mine'))
      await failureOf(work)
    }
    expect(circuit.state).toBe('closed')
  })

  test('is no success either', async () => {
    const { start, circuit } = await gated({ circuitBreaker: {} })
    for (let done = 0; done < 20; done++) {
      const controller = new AbortController()
      const { work } = await start({ signal: controller.signal })
      controller.abort(new Error('mine'))
      await failureOf(work)
    }
    for (let done = 0; done < 10; done++) await (await start()).reply(503)
    expect(circuit.state).toBe('open')
  })
})

describe('circuits', () => {
  test('one an origin: another origin is left alone', async () => {
    const { repeat, fetch, circuit } = await bench()
    await using other = await faultServer()
    await repeat(10, status(503))
    expect(circuit.state).toBe('open')
    const response = await fetch(other.url)
    expect(response.status).toBe(200)
    expect(outcomeOf(response)?.circuit).toBe(other.url)
    await response.text()
  })

  test('all paths of an origin share one', async () => {
    const { repeat, fetch, server } = await bench()
    await repeat(10, status(503))
    expect(await failureOf(fetch(`${server.url}/another?path=1`))).toMatchObject({ key: server.url })
  })

  test('key: a string makes one for all', async () => {
    const { repeat, fetch } = await bench({ circuitBreaker: { key: 'all' } })
    await using other = await faultServer()
    await repeat(10, status(503))
    expect(await failureOf(fetch(other.url))).toMatchObject({ key: 'all' })
  })

  test('key: a function of method and URL', async () => {
    const key = vi.fn<(request: { method: string; url: string }) => string>(({ method }) => method)
    const { repeat, fetch, server } = await bench({ circuitBreaker: { key } })
    await repeat(10, status(503), { method: 'put' })
    expect(key).toHaveBeenCalledWith({ method: 'PUT', url: `${server.url}/` })
    expect(await failureOf(fetch(server.url, { method: 'PUT' }))).toMatchObject({ key: 'PUT' })
    const response = await fetch(server.url, { method: 'DELETE' })
    expect(outcomeOf(response)?.circuit).toBe('DELETE')
  })

  test('key: one call can have its own', async () => {
    const { repeat, call } = await bench()
    await repeat(10, status(503))
    expect(await call(ok(), { holdfast: { circuitBreaker: { key: 'mine' } } })).toBe(200)
  })

  test('key: what is no string is an error', async () => {
    const { call } = await bench({ circuitBreaker: { key: () => 5 as never } })
    expect(await failureOf(call())).toMatchObject({ code: 'ERR_INVALID_OPTION' })
  })

  test('isFailure overrules what counts; undefined leaves it to the rules', async () => {
    const isFailure = vi.fn<(result: { response?: Response }) => boolean | undefined>(({ response }) =>
      response?.status === 404 ? true : undefined,
    )
    const { call, circuit, server } = await bench({ circuitBreaker: { minimumCalls: 1, isFailure } })
    await call(status(403))
    expect(circuit.state).toBe('closed')
    await call(status(404))
    expect(circuit.state).toBe('open')
    expect(isFailure).toHaveBeenCalledWith({
      request: { method: 'GET', url: `${server.url}/` },
      response: expect.any(Response) as Response,
    })
  })

  test('isFailure can call a 503 healthy', async () => {
    const { repeat, circuit } = await bench({ circuitBreaker: { minimumCalls: 1, isFailure: () => false } })
    await repeat(3, status(503))
    expect(circuit.state).toBe('closed')
  })

  test('maxCircuits: idle closed ones are forgotten, open ones never', async () => {
    const clock = testClock()
    const fetch = createFetch({
      clock,
      retry: false,
      circuitBreaker: { minimumCalls: 1, maxCircuits: 3 },
      fetch: async (url) => new Response('', { status: url.includes('down') ? 503 : 200 }),
    })
    await fetch('http://down.test/')
    for (const host of ['a', 'b', 'c', 'd', 'e']) await fetch(`http://${host}.test/`)
    expect(fetch.circuits.size).toBe(3)
    const keys = [...fetch.circuits].map(({ key }) => key)
    expect(keys).toContain('http://down.test')
    expect(keys).toContain('http://e.test')
    expect(await failureOf(fetch('http://down.test/'))).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
  })

  test('fetch.with shares them, and can leave the breaker out', async () => {
    const { repeat, fetch, server } = await bench()
    await repeat(10, status(503))
    const derived = fetch.with({ timeout: { totalMs: 1000 } })
    expect(await failureOf(derived(server.url))).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    expect((await fetch.with({ circuitBreaker: false })(server.url)).status).toBe(503)
    expect([...derived.circuits]).toEqual([...fetch.circuits])
  })
})

describe('a rule of the caller’s that throws', () => {
  test('isFailure: the call ends with its error, the permit is not lost', async () => {
    const bug = new Error('bug')
    const isFailure = vi.fn<() => boolean | undefined>()
    const { call, clock, circuit } = await bench({ circuitBreaker: { minimumCalls: 1, isFailure } })
    await call(status(503))
    await clock.advance(5000)
    isFailure.mockImplementationOnce(() => {
      throw bug
    })
    expect(await failureOf(call())).toBe(bug)
    expect(circuit.state).toBe('half-open')
    expect(await call()).toBe(200)
    expect(circuit.state).toBe('closed')
  })

  test('key: the call ends with its error and nothing is sent', async () => {
    const bug = new Error('bug')
    const { call, server } = await bench({
      circuitBreaker: {
        key() {
          throw bug
        },
      },
    })
    expect(await failureOf(call())).toBe(bug)
    expect(server.requests).toHaveLength(0)
  })
})

describe('fetch.circuits', () => {
  test('get makes a closed one', async () => {
    const fetch = createFetch()
    expect(fetch.circuits.size).toBe(0)
    expect(fetch.circuits.get('http://a.test')).toMatchObject({ key: 'http://a.test', state: 'closed' })
    expect(fetch.circuits.size).toBe(1)
    expect(fetch.circuits.get('http://a.test')).toBe(fetch.circuits.get('http://a.test'))
  })

  test.each(['http://a.test/', 'http://a.test:80', 'HTTP://A.test/v1/orders?page=2', 'http://user@a.test/'])(
    'get takes a URL for its origin: %s',
    async (url) => {
      const fetch = createFetch({ fetch: async () => new Response() })
      fetch.circuits.get(url).isolate()
      expect(await failureOf(fetch('http://a.test/v1'))).toMatchObject({ key: 'http://a.test' })
      expect([...fetch.circuits].map(({ key }) => key)).toEqual(['http://a.test'])
    },
  )

  test.each(['payments', 'a.test:80', 'http://', 'mailto:a@b.test', ''])(
    'get takes what is no URL of http for a key: %j',
    (key) => {
      expect(createFetch().circuits.get(key).key).toBe(key)
    },
  )

  test('get takes a URL for the key of a call’s own, once there is one', async () => {
    const fetch = createFetch({ fetch: async () => new Response() })
    const key = 'http://a.test/v1'
    await fetch(key, { holdfast: { circuitBreaker: { key } } })
    fetch.circuits.get(key).isolate()
    expect(await failureOf(fetch(key, { holdfast: { circuitBreaker: { key } } }))).toMatchObject({ key })
    expect((await fetch(key)).status).toBe(200)
  })

  test('get takes a URL as it is where circuitBreaker.key says what the keys are', () => {
    const fetch = createFetch({ circuitBreaker: { key: ({ url }) => url } })
    expect(fetch.circuits.get('http://a.test/v1').key).toBe('http://a.test/v1')
  })

  test('isolate refuses everything until reset, however long', async () => {
    const { call, circuit, clock, server, events } = await bench()
    circuit.isolate()
    expect(circuit.state).toBe('isolated')
    await clock.advance(86_400_000)
    expect(await failureOf(call())).toMatchObject({
      code: 'ERR_CIRCUIT_OPEN',
      key: server.url,
      retryAfterMs: 5000,
    })
    expect(server.requests).toHaveLength(0)
    circuit.reset()
    expect(await call()).toBe(200)
    expect(events.filter(({ type }) => type.startsWith('circuit-'))).toEqual([
      { type: 'circuit-open', key: server.url, retryAfterMs: 5000, isolated: true, cause: 'isolated' },
      { type: 'circuit-close', key: server.url },
    ])
  })

  test('reset closes an open circuit and forgets what it has counted', async () => {
    const { repeat, circuit } = await bench()
    await repeat(10, status(503))
    circuit.reset()
    expect(circuit.state).toBe('closed')
    await repeat(9, status(503))
    circuit.reset()
    await repeat(9, status(503))
    expect(circuit.state).toBe('closed')
  })

  test('iterates over all', async () => {
    const fetch = createFetch({ fetch: async () => new Response() })
    await fetch('http://a.test/')
    await fetch('http://b.test/')
    expect([...fetch.circuits].map(({ key, state }) => [key, state])).toEqual([
      ['http://a.test', 'closed'],
      ['http://b.test', 'closed'],
    ])
  })
})

/** A server that sends everybody on to `to`. */
async function redirecting(to: string) {
  const server = await faultServer({
    listener: (_, response) => void response.writeHead(302, { location: to }).end(),
  })
  onTestFinished(() => server.close())
  return server
}

describe('redirects', () => {
  test('to another origin take no credentials along', async () => {
    await using other = await faultServer()
    const front = await redirecting(other.url)
    const headers = { authorization: 'Bearer t', cookie: 'a=b' }
    await (await createFetch({ clock: testClock() })(front.url, { headers })).text()
    const secrets = other.requests.map(({ headers: { authorization, cookie } }) => [authorization, cookie])
    expect(secrets).toEqual([[undefined, undefined]])
  })

  const options = { retry: false, random, circuitBreaker: { minimumCalls: 2 } } as const

  test('the outcome counts for the origin that gave it', async () => {
    await using down = await faultServer({ faults: () => status(503) })
    const front = await redirecting(down.url)
    const fetch = createFetch({ ...options, clock: testClock() })
    for (let done = 0; done < 2; done++) await (await fetch(front.url)).text()
    expect(fetch.circuits.get(front.url).state).toBe('closed')
    expect(fetch.circuits.get(down.url).state).toBe('open')
  })

  test('having redirected is a success of the origin that was asked', async () => {
    await using down = await faultServer({ faults: () => status(503) })
    let isUp = false
    await using front = await faultServer({
      listener(_, response) {
        if (isUp) response.writeHead(302, { location: down.url }).end()
        else response.writeHead(503).end()
      },
    })
    const clock = testClock()
    const fetch = createFetch({ ...options, clock })
    for (let done = 0; done < 2; done++) await (await fetch(front.url)).text()
    expect(fetch.circuits.get(front.url).state).toBe('open')
    isUp = true
    await clock.advance(5000)
    await (await fetch(front.url)).text()
    expect(fetch.circuits.get(front.url).state).toBe('closed')
  })

  test('a redirect within an origin counts once', async () => {
    await using server = await faultServer({
      listener(request, response) {
        if (request.url === '/a') response.writeHead(302, { location: '/b' }).end()
        else response.writeHead(503).end()
      },
    })
    const fetch = createFetch({ ...options, clock: testClock() })
    await (await fetch(`${server.url}/a`)).text()
    expect(fetch.circuits.get(server.url).state).toBe('closed')
    await (await fetch(`${server.url}/a`)).text()
    expect(fetch.circuits.get(server.url).state).toBe('open')
  })

  test('with a key of one’s own the call’s circuit counts', async () => {
    await using down = await faultServer({ faults: () => status(503) })
    const front = await redirecting(down.url)
    const fetch = createFetch({
      ...options,
      clock: testClock(),
      circuitBreaker: { minimumCalls: 2, key: 'all' },
    })
    for (let done = 0; done < 2; done++) await (await fetch(front.url)).text()
    expect([...fetch.circuits].map(({ key, state }) => [key, state])).toEqual([['all', 'open']])
  })
})

describe('whenOpen: wait', () => {
  const circuitBreaker = { minimumCalls: 1, whenOpen: 'wait' } as const

  test('parks the call until the test request is due, without an attempt', async () => {
    const { call, clock, server, plan } = await bench({ circuitBreaker })
    await call(status(503))
    plan.fault = ok()
    const work = call()
    await clock.advance(4999)
    expect(server.requests).toHaveLength(1)
    await clock.advance(1)
    expect(await work).toBe(200)
  })

  test('a test request that succeeds lets everybody through at once', async () => {
    const { call, clock, server } = await bench({ circuitBreaker })
    await call(status(503))
    const work = Array.from({ length: 5 }, () => call())
    await clock.advance(5000)
    expect(await Promise.all(work)).toEqual([200, 200, 200, 200, 200])
    expect(server.requests).toHaveLength(6)
    expect(clock.pending).toBe(0)
  })

  test('one that fails parks them again', async () => {
    const { start, clock, fetch, server, answers } = await gated({ circuitBreaker })
    await (await start()).reply(503)
    const work = [fetch(server.url), fetch(server.url)]
    await clock.advance(5000)
    await until(() => answers.length === 2)
    answers[1]?.(503)
    expect((await Promise.race(work)).status).toBe(503)
    await clock.advance(9999)
    expect(answers).toHaveLength(2)
    await clock.advance(1)
    await until(() => answers.length === 3)
    answers[2]?.(200)
    await Promise.all(work)
  })

  test('waits within totalMs only', async () => {
    const { call, clock, server } = await bench({ circuitBreaker, timeout: { totalMs: 2000 } })
    await call(status(503))
    const work = failureOf(call())
    await clock.advance(2000)
    expect(await work).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect(server.requests).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })

  test('costs no token of the retry budget', async () => {
    const { call, clock } = await bench({
      circuitBreaker,
      retry: {},
      retryBudget: { capacity: 1, perMinute: 0 },
    })
    await finish(clock, call(status(503)))
    for (let done = 0; done < 3; done++) expect(await finish(clock, call())).toBe(200)
  })

  test('an abort ends the wait with the caller’s reason', async () => {
    const { call, clock } = await bench({ circuitBreaker })
    await call(status(503))
    const controller = new AbortController()
    const work = failureOf(call(ok(), { signal: controller.signal }))
    await clock.settle()
    const reason = new Error('mine')
    controller.abort(reason)
    expect(await work).toBe(reason)
    expect(clock.pending).toBe(0)
  })

  test('an isolated circuit is waited at until it is reset', async () => {
    const { call, circuit, clock } = await bench({ circuitBreaker, timeout: false })
    circuit.isolate()
    const work = call()
    await clock.advance(600_000)
    circuit.reset()
    expect(await work).toBe(200)
  })

  test('the 1001st is rejected', async () => {
    const { call, circuit, clock } = await bench({ circuitBreaker, timeout: false })
    circuit.isolate()
    const controller = new AbortController()
    const parked = Array.from({ length: 1000 }, () => failureOf(call(ok(), { signal: controller.signal })))
    await clock.settle()
    expect(await failureOf(call())).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    controller.abort('enough')
    expect(new Set(await Promise.all(parked))).toEqual(new Set(['enough']))
  })

  test('a single call can ask for it', async () => {
    const { call, clock } = await bench({ circuitBreaker: { minimumCalls: 1 } })
    await call(status(503))
    const work = call(ok(), { holdfast: { circuitBreaker: { whenOpen: 'wait' } } })
    await clock.advance(5000)
    expect(await work).toBe(200)
  })
})
