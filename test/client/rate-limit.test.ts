import { describe, expect, onTestFinished, test } from 'vitest'
import { createFetch, outcomeOf, type FetchOptions, type HoldfastEvent } from '../../src/index.ts'
import { rateLimit, type RateLimitOptions } from '../../src/rate-limit/index.ts'
import { faultServer, status, type FaultServer } from '../../src/testing/index.ts'
import { watch } from '../support/operations.ts'
import { stoppedClock } from '../support/stopped-clock.ts'
import { testClock, type TestClock } from './support/clock.ts'
import { failureOf, finish } from './support/wait.ts'

interface Bench {
  readonly fetch: ReturnType<typeof createFetch>
  readonly server: FaultServer
  readonly clock: TestClock
  readonly events: HoldfastEvent[]
}

/** A service that announces its quota: `limit` requests in each window, and 429 beyond it. */
async function bench(
  { limit = 2, windowMs = 10_000 }: { limit?: number; windowMs?: number },
  pacing: RateLimitOptions = {},
  options: FetchOptions = {},
): Promise<Bench> {
  const clock = testClock()
  const used = new Map<number, number>()
  const server = await faultServer({
    clock,
    faults: () => {
      const window = Math.floor(clock.now() / windowMs)
      const count = (used.get(window) ?? 0) + 1
      used.set(window, count)
      const reset = Math.ceil(((window + 1) * windowMs - clock.now()) / 1000)
      const ratelimit = `"default";r=${Math.max(0, limit - count)};t=${reset}`
      return status(count > limit ? 429 : 200, { headers: { ratelimit } })
    },
  })
  onTestFinished(() => server.close())
  const events: HoldfastEvent[] = []
  const policies = [rateLimit({ clock, random: () => 0, ...pacing })]
  const onEvent = (event: HoldfastEvent): void => void events.push(event)
  return { fetch: createFetch({ clock, policies, onEvent, ...options }), server, clock, events }
}

describe('pacing by RateLimit', () => {
  test('sends as long as there is quota, then waits for the reset: no 429 is ever earned', async () => {
    const { fetch, server, clock } = await bench({ limit: 2 })
    for (let call = 0; call < 6; call++) expect((await finish(clock, fetch(server.url))).status).toBe(200)
    expect(server.requests.map(({ atMs }) => atMs)).toEqual([0, 0, 10_000, 10_000, 20_000, 20_000])
  })

  test('a wait costs no attempt, no retry and no token, and is told', async () => {
    const { fetch, server, clock, events } = await bench({ limit: 1 })
    await finish(clock, fetch(server.url))
    const response = await finish(clock, fetch(server.url))
    expect(outcomeOf(response)).toMatchObject({ attempts: 1, delaysMs: [] })
    const paces = events.filter(({ type }) => type === 'pace')
    expect(paces).toMatchObject([{ key: server.url, delayMs: 10_000, call: { method: 'GET' } }])
  })

  test('waiters come back spread out, a quarter of the wait at most and never more than a second', async () => {
    const { fetch, server, clock, events } = await bench({ limit: 1, windowMs: 2000 }, { random: () => 1 })
    await finish(clock, fetch(server.url))
    await finish(clock, fetch(server.url))
    await clock.advance(60_000)
    const long = await bench({ limit: 1, windowMs: 30_000 }, { random: () => 1 })
    await finish(long.clock, long.fetch(long.server.url))
    await finish(long.clock, long.fetch(long.server.url))
    const delays = [...events, ...long.events].flatMap((event) =>
      event.type === 'pace' ? [event.delayMs] : [],
    )
    expect(delays).toEqual([2500, 31_000])
  })

  test('quotas are those of an origin', async () => {
    const { fetch, server, clock } = await bench({ limit: 1 })
    const other = await faultServer({ clock })
    onTestFinished(() => other.close())
    await finish(clock, fetch(server.url))
    await finish(clock, fetch(other.url))
    expect(clock.now()).toBe(0)
  })

  test('a wait beyond maxWaitMs is refused at once: no attempt, no retry, no failure of the circuit', async () => {
    const { fetch, server, clock } = await bench(
      { limit: 1, windowMs: 60_000 },
      { maxWaitMs: 59_999 },
      { circuitBreaker: { minimumCalls: 1, failureRate: 0.01 } },
    )
    await finish(clock, fetch(server.url))
    const error = await failureOf(fetch(server.url))
    expect(error).toMatchObject({
      name: 'RateLimitedError',
      code: 'ERR_RATE_LIMITED',
      key: server.url,
      retryAfterMs: 60_000,
      message: `the quota of "${server.url}" is used up for another 60000 ms`,
    })
    expect(outcomeOf(error)?.attempts).toBe(0)
    expect(fetch.circuits.get(server.url).state).toBe('closed')
    expect(clock.now()).toBe(0)
  })

  test('a wait beyond the deadline is refused at once, and the fallback is told why', async () => {
    const reasons: string[] = []
    const fallback: FetchOptions['fallback'] = ({ reason }) => {
      reasons.push(reason)
      return new Response('stand-in')
    }
    const { fetch, server, clock } = await bench({ limit: 1 }, {}, { timeout: { totalMs: 9000 }, fallback })
    await finish(clock, fetch(server.url))
    expect(await (await finish(clock, fetch(server.url))).text()).toBe('stand-in')
    expect(reasons).toEqual(['rate-limited'])
    expect(clock.now()).toBe(0)
  })

  test('the caller’s abort ends the wait', async () => {
    const { fetch, server, clock } = await bench({ limit: 1 })
    await finish(clock, fetch(server.url))
    const controller = new AbortController()
    const failure = failureOf(fetch(server.url, { signal: controller.signal }))
    await clock.settle()
    expect(clock.wakeInMs).toBe(10_000)
    controller.abort('enough')
    expect(await failure).toBe('enough')
    expect(clock.wakeInMs).toBeUndefined()
  })

  test('a 429 with Retry-After holds back all calls to its origin', async () => {
    const clock = testClock()
    const faults = [status(429, { retryAfter: 5 })]
    await using server = await faultServer({ clock, faults })
    const fetch = createFetch({ clock, retry: false, policies: [rateLimit({ clock, random: () => 0 })] })
    expect((await finish(clock, fetch(server.url))).status).toBe(429)
    expect((await finish(clock, fetch(server.url))).status).toBe(200)
    expect(server.requests.map(({ atMs }) => atMs)).toEqual([0, 5000])
  })

  test.each([
    ['of known size', '"default";q=5;w=10'],
    ['of unknown size', '"other";q=1'],
  ])('many calls at once, a quota %s: each window gets what it may, and all arrive', async (_, policy) => {
    const clock = testClock()
    const used: number[] = []
    const transport = async (): Promise<Response> => {
      const window = Math.floor(clock.now() / 10_000)
      used[window] = (used[window] ?? 0) + 1
      const left = Math.max(0, 5 - used[window])
      const ratelimit = `"default";r=${left};t=${10 - (clock.now() % 10_000) / 1000}`
      return new Response(null, { headers: { ratelimit, 'ratelimit-policy': policy } })
    }
    const policies = [rateLimit({ clock, maxWaitMs: 100_000, random: () => 0 })]
    const fetch = createFetch({ clock, fetch: transport, policies })
    await finish(clock, fetch('http://x.test'))
    await finish(clock, Promise.all(Array.from({ length: 19 }, () => fetch('http://x.test'))))
    expect(used.reduce((sum, count) => sum + count)).toBe(20)
    expect(Math.max(...used)).toBeLessThanOrEqual(5)
  })

  test('those who wait go on as soon as an answer tells of quota, not at the next reset', async () => {
    const clock = testClock()
    const left = [0, 9, 8, 7]
    const transport = async (): Promise<Response> => {
      await new Promise<void>((resolve) => void clock.schedule(resolve, 100, { keepAlive: true }))
      return new Response(null, { headers: { ratelimit: `"x";r=${left.shift()};t=10` } })
    }
    const fetch = createFetch({ clock, fetch: transport, policies: [rateLimit({ clock, random: () => 0 })] })
    await finish(clock, fetch('http://x.test'))
    await finish(clock, Promise.all([1, 2, 3].map(() => fetch('http://x.test'))))
    // The first answer, the reset, the one that finds out, and the others beside each other.
    expect(clock.now()).toBe(100 + 10_000 + 100 + 100)
  })

  test('a process that was stopped in the wait wakes too late to send: no quota is taken', async () => {
    const clock = stoppedClock()
    const sentAtMs: number[] = []
    const transport = async (): Promise<Response> => {
      sentAtMs.push(clock.now())
      return new Response(null, { headers: { ratelimit: '"x";r=0;t=10' } })
    }
    const policies = [rateLimit({ clock, random: () => 0 })]
    const fetch = createFetch({ clock, fetch: transport, policies, timeout: { totalMs: 11_000 } })
    await fetch('http://x.test')
    const late = watch(fetch('http://x.test'))
    await clock.advance(0)
    await clock.stop(20_000)
    await clock.advance(1)
    expect(late.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    await fetch('http://x.test')
    expect(sentAtMs).toEqual([0, 20_001])
  })

  test.each<[object, string]>([
    [{ maxWaitMs: 0 }, 'rateLimit.maxWaitMs should be a number > 0, got 0'],
    [{ maxKeys: 0.5 }, 'rateLimit.maxKeys should be an integer >= 1, got 0.5'],
    [{ key: 'x' }, 'rateLimit.key should be a function, got "x"'],
    [{ limit: 5 }, 'rateLimit has no option "limit"'],
  ])('refuses %o', (options, message) => {
    expect(() => rateLimit(options)).toThrow(message)
  })
})
