import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { idempotency } from '../../src/idempotency/index.ts'
import { createFetch, outcomeOf, type FetchOptions, type HoldfastEvent } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { faultServer, hangAfter, ok } from '../../src/testing/index.ts'
import { watch } from '../support/operations.ts'
import { testClock } from './support/clock.ts'
import { expectNoUnhandledRejections } from './support/unhandled.ts'
import { failureOf, finish, tick, until } from './support/wait.ts'

expectNoUnhandledRejections()

/** A server whose requests wait for the test to answer them, and a client that hedges whatever takes 100 ms. */
async function bench(options: FetchOptions = {}) {
  const clock = testClock()
  const events: HoldfastEvent[] = []
  const answers: ((response: Response) => void)[] = []
  const handler = (): Promise<Response> => new Promise((resolve) => void answers.push(resolve))
  const server = await faultServer({ handler, recordBodies: true })
  onTestFinished(() => server.close())
  const fetch = createFetch({
    clock,
    random: () => 0.5,
    hedge: { delayMs: 100, maxExtra: 1 },
    retry: false,
    onEvent: (event) => events.push(event),
    ...options,
  })
  const arrived = (count: number): Promise<void> => until(() => answers.length === count)
  /** Waits for the first request, then until the second one has come. */
  const hedged = async (): Promise<void> => {
    await arrived(1)
    await clock.advance(100)
    await arrived(2)
  }
  const told = () => events.map(({ type, ...rest }) => ('hedge' in rest ? `${type} of the hedge` : type))
  const answer = (index: number, status = 200, init: ResponseInit = {}): void =>
    answers[index]?.(new Response(`answer ${index}`, { status, ...init }))
  return { clock, events, server, fetch, answers, answer, arrived, hedged, told }
}

/** A body that begins and never ends: it holds its connection until somebody lets it go. */
const endless = (): ReadableStream<Uint8Array> =>
  new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) })

describe('a slow request', () => {
  test('is overtaken by a second one; its own ends, and frees its socket', async () => {
    const { fetch, server, hedged, answer, told } = await bench()
    const work = fetch(server.url)
    await hedged()
    expect(server.requests.map(({ outcome }) => outcome)).toEqual(['pending', 'pending'])
    answer(1)
    const response = await work
    expect(await response.text()).toBe('answer 1')
    await until(() => server.requests[0]?.outcome === 'cut')
    expect(outcomeOf(response)).toMatchObject({ attempts: 2, source: 'network', uncertain: false })
    expect(told()).toEqual([
      'call-start',
      'attempt-start',
      'hedge',
      'attempt-start of the hedge',
      'attempt-end of the hedge',
      'attempt-end',
      'call-end',
    ])
  })

  test('that fails after it has lost is nobody’s unhandled rejection', async () => {
    const ends: ((error: Error) => void)[] = []
    const { clock, fetch } = await bench({
      fetch: () =>
        new Promise((resolve, reject) => {
          ends.push(reject)
          if (ends.length === 2) resolve(new Response('second'))
        }),
    })
    const work = fetch('http://x.test/')
    await clock.advance(100)
    expect(await (await work).text()).toBe('second')
    ends[0]?.(new Error('too late'))
    await tick()
  })

  test('may be first after all', async () => {
    const { fetch, server, hedged, answer, events } = await bench()
    const work = fetch(server.url)
    await hedged()
    answer(0)
    expect(await (await work).text()).toBe('answer 0')
    await until(() => server.requests[1]?.outcome === 'cut')
    const ends = events.filter((event) => event.type === 'attempt-end')
    expect(ends).toMatchObject([
      { attempt: 1, status: 200 },
      { attempt: 1, hedge: true, error: { name: 'AbortError', message: 'another attempt was first' } },
    ])
    expect(ends[0]).not.toHaveProperty('hedge')
  })

  test.each([
    [0, 1],
    [1, 0],
  ])(
    'a 503 of request %i ends nothing while the other runs, and its body is let go',
    async (failing, other) => {
      const { fetch, server, hedged, answer, answers, events } = await bench()
      const work = watch(fetch(server.url))
      await hedged()
      answers[failing]?.(new Response(endless(), { status: 503 }))
      await until(() => events.some(({ type }) => type === 'attempt-end'))
      expect(work.settled).toBe(false)
      answer(other)
      await until(() => work.settled)
      expect(await work.value?.text()).toBe(`answer ${other}`)
      await until(() => server.requests[failing]?.outcome === 'cut')
    },
  )

  test('both fail: the call goes on as after one failure, and retry sends the next', async () => {
    const { clock, fetch, server, hedged, answer, arrived, events } = await bench({ retry: {} })
    const work = fetch(server.url)
    await hedged()
    answer(0, 503)
    answer(1, 500)
    await until(() => clock.wakeInMs !== undefined)
    await clock.advance(1000)
    await arrived(3)
    answer(2)
    expect((await finish(clock, work)).status).toBe(200)
    expect(events.filter(({ type }) => type === 'retry')).toHaveLength(1)
  })

  test('both are called off with the caller', async () => {
    const { fetch, server, hedged } = await bench()
    const controller = new AbortController()
    const work = failureOf(fetch(server.url, { signal: controller.signal }))
    await hedged()
    controller.abort('left')
    expect(await work).toBe('left')
    await until(() => server.requests.every(({ outcome }) => outcome === 'cut'))
  })

  test('no second one is sent when the time left is over by then', async () => {
    const { clock, fetch, server, arrived, told } = await bench({ timeout: { totalMs: 100 } })
    const work = failureOf(fetch(server.url))
    await arrived(1)
    await clock.advance(100)
    expect(await work).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect(told()).not.toContain('hedge')
  })

  test('beforeAttempt is called for both', async () => {
    const seen: number[] = []
    const { fetch, server, hedged, answer } = await bench({
      beforeAttempt: ({ attempt }) => void seen.push(attempt),
    })
    const work = fetch(server.url)
    await hedged()
    answer(1)
    await work
    expect(seen).toEqual([1, 1])
  })
})

describe('the body of the response', () => {
  /** Two responses at the same instant, whose bodies stay silent. */
  async function together(options: FetchOptions) {
    const clock = testClock()
    const signals: AbortSignal[] = []
    const ends: ((response: Response) => void)[] = []
    const fetch = createFetch({
      clock,
      hedge: { delayMs: 100 },
      ...options,
      fetch: (_, init) => {
        if (init?.signal) signals.push(init.signal)
        return new Promise((resolve) => void ends.push(resolve))
      },
    })
    const controller = new AbortController()
    const work = fetch('http://x.test/', { signal: controller.signal })
    await clock.advance(100)
    for (const end of ends) end(new Response(new ReadableStream()))
    return { clock, controller, signals, response: await work }
  }

  test('that has won is ended by a silence, also when both came at once', async () => {
    const { clock, response, signals } = await together({ timeout: { bodyIdleMs: 50 } })
    const text = failureOf(response.text())
    await clock.advance(50)
    expect(await text).toMatchObject({ code: 'ERR_BODY_IDLE_TIMEOUT' })
    expect(signals.map(({ reason }) => (reason as Error).name)).toEqual(['TimeoutError', 'AbortError'])
  })

  test('that has lost is discarded, also by a transport that ignores its signal', async () => {
    const clock = testClock()
    const discarded: string[] = []
    const ends: ((response: Response) => void)[] = []
    const body = (name: string): ReadableStream =>
      new ReadableStream({ cancel: () => void discarded.push(name) })
    const fetch = createFetch({
      clock,
      hedge: { delayMs: 100 },
      fetch: () => new Promise((resolve) => void ends.push(resolve)),
    })
    const work = fetch('http://x.test/')
    await clock.advance(100)
    ends[0]?.(new Response(body('busy'), { status: 503 }))
    await clock.settle()
    expect(discarded).toEqual([])
    ends[1]?.(new Response(body('well')))
    expect((await work).status).toBe(200)
    expect(discarded).toEqual(['busy'])
  })

  test.each(['the caller', 'totalMs'])(
    'that was not good enough is discarded when %s ends both',
    async (by) => {
      const clock = testClock()
      const cancel = vi.fn<() => void>()
      const ends: ((response: Response) => void)[] = []
      const fetch = createFetch({
        clock,
        hedge: { delayMs: 100 },
        timeout: { totalMs: 1000 },
        fetch: () => new Promise((resolve) => void ends.push(resolve)),
      })
      const controller = new AbortController()
      const work = failureOf(fetch('http://x.test/', { signal: controller.signal }))
      await clock.advance(100)
      ends[0]?.(new Response(new ReadableStream({ cancel }), { status: 503 }))
      await clock.settle()
      if (by === 'totalMs') await clock.advance(900)
      else controller.abort('left')
      await work
      expect(cancel).toHaveBeenCalledOnce()
    },
  )

  test('that has won is ended by the caller', async () => {
    const { controller, signals } = await together({})
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true])
    controller.abort('left')
    expect(signals[0]?.reason).toBe('left')
  })
})

describe('a write', () => {
  const post: RequestInit = { method: 'POST', body: 'an order' }

  test('without a key is never sent beside itself', async () => {
    const { clock, fetch, server, arrived, answer, told } = await bench({ idempotency: false })
    const work = fetch(server.url, post)
    await arrived(1)
    await clock.advance(5000)
    answer(0)
    await work
    expect(server.requests).toHaveLength(1)
    expect(told()).not.toContain('hedge')
  })

  test('with a key is, with the same key and the same bytes; an answer makes it certain', async () => {
    const { fetch, server, hedged, answer, told } = await bench()
    const work = fetch(server.url, post)
    await hedged()
    answer(1, 201)
    expect(outcomeOf(await work)).toMatchObject({ attempts: 2, uncertain: false })
    const [first, second] = server.requests
    expect(second?.headers['idempotency-key']).toBe(first?.headers['idempotency-key'])
    expect(second?.body).toEqual(first?.body)
    expect(told().filter((type) => type === 'unconfirmed-idempotency')).toHaveLength(1)
  })

  test('that was hedged and is then tried again is told once', async () => {
    const { clock, fetch, server, hedged, arrived, answer, told } = await bench({ retry: {} })
    const work = fetch(server.url, post)
    await hedged()
    answer(0, 503)
    answer(1, 503)
    await until(() => clock.wakeInMs !== undefined)
    await clock.advance(1000)
    await arrived(3)
    answer(2, 201)
    await finish(clock, work)
    expect(told().filter((type) => type === 'unconfirmed-idempotency')).toHaveLength(1)
  })

  test.each([{}, { 'idempotency-status': 'in-flight' }])(
    'a 409 says that the other one is at work: it is waited for %j',
    async (headers) => {
      const { fetch, server, hedged, answer, events } = await bench()
      const work = watch(fetch(server.url, post))
      await hedged()
      answer(1, 409, { headers: new Headers(headers) })
      await until(() => events.some(({ type }) => type === 'attempt-end'))
      expect(work.settled).toBe(false)
      answer(0, 201)
      await until(() => work.settled)
      expect(work.value?.status).toBe(201)
      expect(outcomeOf(work.value)?.uncertain).toBe(false)
    },
  )

  test('a 409 without another one is an answer', async () => {
    const { fetch, server, arrived, answer } = await bench()
    const work = fetch(server.url, post)
    await arrived(1)
    answer(0, 409)
    expect((await work).status).toBe(409)
  })

  test('is uncertain where one was refused, and the other may have been done', async () => {
    const { fetch, server, hedged, answer } = await bench()
    const work = fetch(server.url, post)
    await hedged()
    answer(1, 429, { headers: { 'x-should-retry': 'false' } })
    const response = await work
    expect(response.status).toBe(429)
    expect(outcomeOf(response)?.uncertain).toBe(true)
  })

  test('is certain not to be done where both were refused, in either order', async () => {
    const { fetch, server, hedged, answer, events } = await bench()
    const work = fetch(server.url, post)
    await hedged()
    answer(0, 429)
    await until(() => events.some(({ type }) => type === 'attempt-end'))
    answer(1, 429)
    expect(outcomeOf(await work)?.uncertain).toBe(false)
  })

  test('is uncertain where both were lost', async () => {
    const { fetch, server, hedged } = await bench()
    const work = failureOf(fetch(server.url, post))
    await hedged()
    await server.outage()
    expect(outcomeOf(await work)).toMatchObject({ attempts: 2, uncertain: true })
  })

  test('is done once by a server that knows keys, though it gets both', async () => {
    const clock = testClock()
    let done = 0
    let gate = (): void => {}
    const handler = idempotency({ store: memoryStore() })(async () => {
      done++
      await new Promise<void>((resolve) => (gate = resolve))
      return new Response('order 1', { status: 201 })
    })
    const server = await faultServer({ handler })
    onTestFinished(() => server.close())
    const work = createFetch({ clock, hedge: { delayMs: 100 }, retry: false })(server.url, post)
    await until(() => done === 1)
    await clock.advance(100)
    await until(() => server.requests.length === 2)
    gate()
    expect(await (await finish(clock, work)).text()).toBe('order 1')
    expect(done).toBe(1)
  })

  test('whose first answer is lost on the way is answered from what the server remembers', async () => {
    const clock = testClock()
    let done = 0
    const handler = idempotency({ store: memoryStore() })(
      () => new Response(`order ${++done}`, { status: 201 }),
    )
    const server = await faultServer({ handler, faults: [hangAfter(), ok()] })
    onTestFinished(() => server.close())
    const work = createFetch({ clock, hedge: { delayMs: 100 }, retry: false })(server.url, post)
    await until(() => done === 1)
    await clock.advance(100)
    const response = await finish(clock, work)
    expect([await response.text(), response.headers.get('idempotent-replayed')]).toEqual(['order 1', 'true'])
    expect(done).toBe(1)
  })

  test('a stream is sent once, unless there is a new one for each', async () => {
    const { clock, fetch, server, arrived, answer, told } = await bench()
    const stream = () => new Blob(['a stream']).stream()
    const init: RequestInit & { duplex: 'half' } = { method: 'PUT', body: stream(), duplex: 'half' }
    const once = fetch(server.url, init)
    await arrived(1)
    await clock.advance(1000)
    answer(0)
    await once
    expect(told()).not.toContain('hedge')
    const again = fetch(server.url, { method: 'PUT', holdfast: { body: stream } })
    await arrived(2)
    await clock.advance(100)
    await arrived(3)
    answer(2)
    await again
    expect(server.requests[2]?.body).toEqual(server.requests[1]?.body)
  })

  test.each([
    ['is, while retries keep it', {}, 2],
    ['is not, where nothing keeps it', false as const, 1],
  ])("a Request's body %s", async (_, retry, requests) => {
    const { clock, fetch, server, arrived, answer, told } = await bench({ retry })
    const work = fetch(new Request(server.url, { method: 'PUT', body: 'a body' }))
    await arrived(1)
    await clock.advance(100)
    await arrived(requests)
    answer(0)
    await finish(clock, work)
    expect(told().includes('hedge')).toBe(requests === 2)
    expect(server.requests.map(({ body }) => String(body && Buffer.from(body)))).toEqual(
      Array.from({ length: requests }, () => 'a body'),
    )
  })
})

describe('a hedge among the other parts', () => {
  test('is paid from the retry budget, and given back when the call succeeds', async () => {
    const { clock, fetch, server, answer, arrived } = await bench({
      retryBudget: { capacity: 1, perMinute: 0, perSuccess: 0 },
    })
    for (const first of [0, 2]) {
      const work = fetch(server.url)
      await arrived(first + 1)
      await clock.advance(100)
      await arrived(first + 2)
      answer(first)
      await work
    }
    const lost = fetch(server.url)
    await arrived(5)
    await clock.advance(100)
    await arrived(6)
    answer(4, 503)
    answer(5, 503)
    await lost
    const unpaid = fetch(server.url)
    await arrived(7)
    await clock.advance(5000)
    answer(6)
    await unpaid
    expect(server.requests).toHaveLength(7)
  })

  test('goes by the percentile after twenty answers', async () => {
    const clock = testClock()
    const fetch = createFetch({
      clock,
      hedge: {},
      timeout: false,
      fetch: () => new Promise((resolve) => clock.schedule(() => resolve(new Response()), 30)),
    })
    const delayAtNext = async (): Promise<number | undefined> => {
      const work = fetch('http://x.test/')
      await clock.settle()
      const [, longest] = clock.pendingDelaysMs
      await clock.advance(30)
      await work
      return longest
    }
    for (let call = 0; call < 20; call++) expect(await delayAtNext()).toBe(1000)
    expect(await delayAtNext()).toBe(30)
  })

  test('latencies and limit are by hedge.key, else by the key of the circuit', async () => {
    const { clock, fetch, server, arrived } = await bench({
      hedge: { delayMs: 100, maxExtra: 0.001, key: ({ url }) => new URL(url).pathname },
    })
    for (const path of ['/a', '/b', '/a']) watch(fetch(server.url + path))
    await arrived(3)
    await clock.advance(100)
    await arrived(5)
    expect(server.requests.slice(3).map(({ path }) => path)).toEqual(['/a', '/b'])
  })

  test('a key that is no string is refused before anything is sent', async () => {
    const { fetch, server } = await bench({ hedge: { key: () => 5 as unknown as string } })
    expect(await failureOf(fetch(server.url))).toMatchObject({
      message: 'what hedge.key() returns should be a string, got 5',
    })
    expect(server.requests).toHaveLength(0)
  })

  test('a test request of a half-open circuit is not doubled', async () => {
    const { clock, fetch, server, arrived, answer, told } = await bench({
      circuitBreaker: { minimumCalls: 1 },
    })
    const opening = fetch(server.url)
    await arrived(1)
    answer(0, 503)
    await opening
    await clock.advance(5000)
    const work = fetch(server.url)
    await arrived(2)
    await clock.advance(100)
    expect(told()).toContain('hedge')
    answer(1)
    expect((await work).status).toBe(200)
    expect(server.requests).toHaveLength(2)
    expect(fetch.circuits.get(server.url).state).toBe('closed')
  })

  test('a request that still waits in line is not', async () => {
    const { clock, fetch, server, arrived, answer, told } = await bench({
      bulkhead: { maxConcurrent: 1, maxQueued: 9 },
    })
    const stream: RequestInit & { duplex: 'half' } = {
      method: 'PUT',
      body: new Blob(['x']).stream(),
      duplex: 'half',
    }
    const first = fetch(server.url, stream)
    await arrived(1)
    const second = fetch(server.url)
    await clock.advance(1000)
    expect(told()).not.toContain('hedge')
    answer(0)
    await first
    await arrived(2)
    answer(1)
    await second
    expect(server.requests).toHaveLength(2)
  })

  test.each(['a derived fetch', 'a call'] as const)('%s can do without', async (which) => {
    const { clock, fetch, server, arrived, answer } = await bench()
    const off = { hedge: false } as const
    const work = which === 'a call' ? fetch(server.url, { holdfast: off }) : fetch.with(off)(server.url)
    await arrived(1)
    await clock.advance(5000)
    answer(0)
    await work
    expect(server.requests).toHaveLength(1)
  })

  test('derived fetches share the limit', async () => {
    const { clock, fetch, server, arrived } = await bench({ hedge: { delayMs: 100, maxExtra: 0.001 } })
    for (const each of [fetch, fetch.with({ timeout: { attemptMs: 9000 } })]) watch(each(server.url))
    await arrived(2)
    await clock.advance(1000)
    await arrived(3)
    expect(server.requests).toHaveLength(3)
  })

  test('stands between retry and the own policies', () => {
    const own = { name: 'own', wrap: <T>(next: T) => next }
    const tree = createFetch({ hedge: {}, policies: [own] }).describe()
    const names = tree.split('\n').map((line) => line.replace(/^[ └─]*/, '').split(' ')[0])
    const place = names.indexOf('hedge')
    expect(names.slice(place - 1, place + 3)).toEqual(['retry', 'hedge', 'own', 'circuit-breaker'])
    expect(createFetch().describe()).not.toContain('hedge')
  })
})
