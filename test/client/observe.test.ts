/** What watches a fetch beside its listener: observers, and the diagnostics channel. */
import diagnostics from 'node:diagnostics_channel'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  createFetch,
  type FetchOptions,
  type HoldfastEvent,
  type ObservedAttempt,
  type Transport,
} from '../../src/index.ts'
import { testClock } from './support/clock.ts'
import { expectNoUnhandledRejections } from './support/unhandled.ts'
import { finish } from './support/wait.ts'

expectNoUnhandledRejections()

const URL_ = 'http://api.test/orders'

/** A fetch whose transport answers with these, the last one for ever. */
function bench(statuses: readonly number[] = [200], options: FetchOptions = {}) {
  const clock = testClock()
  const sent: Headers[] = []
  const transport: Transport = async (_, init) => {
    sent.push(new Headers(init?.headers))
    const status = statuses[Math.min(sent.length, statuses.length) - 1] ?? 200
    return new Response('', { status, headers: status === 201 ? { 'idempotent-replayed': 'true' } : {} })
  }
  const fetch = createFetch({ clock, fetch: transport, random: () => 0.5, ...options })
  return { clock, sent, fetch }
}

const typesOf = (events: readonly HoldfastEvent[]): string[] => events.map(({ type }) => type)
const CALL = ['call-start', 'attempt-start', 'attempt-end', 'call-end']
const ALL_OFF = {
  retry: false,
  circuitBreaker: false,
  idempotency: false,
  timeout: false,
  retryBudget: false,
} as const

describe('fetch.observe()', () => {
  test('tells the observer, and the own listener as before', async () => {
    const own: HoldfastEvent[] = []
    const seen: HoldfastEvent[] = []
    const { fetch } = bench([200], { onEvent: (event) => own.push(event) })
    await fetch.observe({ onEvent: (event) => seen.push(event) })(URL_)
    expect(typesOf(seen)).toEqual(CALL)
    expect(own).toEqual(seen)
  })

  test('leaves the fetch that it was made from unwatched', async () => {
    const seen = vi.fn<() => void>()
    const { fetch } = bench()
    fetch.observe({ onEvent: seen })
    await fetch(URL_)
    expect(seen).not.toHaveBeenCalled()
  })

  test('can be done twice, and stays through with()', async () => {
    const first: HoldfastEvent[] = []
    const second: HoldfastEvent[] = []
    const { fetch } = bench()
    const watched = fetch
      .observe({ onEvent: (event) => first.push(event) })
      .observe({ onEvent: (event) => second.push(event) })
      .with({ onEvent: false })
    await watched(URL_)
    expect([typesOf(first), typesOf(second)]).toEqual([CALL, CALL])
  })

  test('watches also where everything is off', async () => {
    const seen: HoldfastEvent[] = []
    const { fetch } = bench([200], ALL_OFF)
    await fetch.observe({ onEvent: (event) => seen.push(event) })(URL_)
    expect(typesOf(seen)).toEqual(CALL)
  })

  test('tells of circuits, which are shared', async () => {
    const seen: HoldfastEvent[] = []
    const { fetch } = bench()
    const watched = fetch.observe({ onEvent: (event) => seen.push(event) })
    expect(watched.circuits).toBe(fetch.circuits)
    fetch.circuits.get('http://api.test').isolate()
    expect(seen).toEqual([expect.objectContaining({ type: 'circuit-open', key: 'http://api.test' })])
  })

  test('shows each attempt with its own headers, which then are sent', async () => {
    const seen: ObservedAttempt[] = []
    const { fetch, clock, sent } = bench([503, 200])
    const watched = fetch.observe({
      onAttempt(attempt) {
        seen.push(attempt)
        attempt.headers.set('traceparent', `span ${attempt.attempt}`)
      },
    })
    const headers = new Headers({ accept: 'text/plain' })
    await finish(clock, watched(URL_, { headers }))
    expect(seen).toMatchObject([
      { attempt: 1, call: { url: URL_ } },
      { attempt: 2, call: { url: URL_ } },
    ])
    expect(sent.map((each) => each.get('traceparent'))).toEqual(['span 1', 'span 2'])
    expect(sent.map((each) => each.get('accept'))).toEqual(['text/plain', 'text/plain'])
    expect(headers.has('traceparent')).toBe(false)
  })

  test('shows an attempt after its start was told and beforeAttempt has run', async () => {
    const order: string[] = []
    const { fetch } = bench([200], { beforeAttempt: () => void order.push('beforeAttempt') })
    const watched = fetch.observe({
      onEvent: ({ type }) => order.push(type),
      onAttempt: () => order.push('onAttempt'),
    })
    await watched(URL_)
    expect(order).toEqual([
      'call-start',
      'beforeAttempt',
      'attempt-start',
      'onAttempt',
      'attempt-end',
      'call-end',
    ])
  })

  test.each(['throws', 'rejects'])('an observer that %s changes nothing, for others neither', async (way) => {
    const fail = (): void => {
      const error = new Error('observer')
      if (way === 'throws') throw error
      return Promise.reject(error) as unknown as void
    }
    const seen: HoldfastEvent[] = []
    const attempts: ObservedAttempt[] = []
    const { fetch } = bench()
    const watched = fetch.observe({ onEvent: fail, onAttempt: fail }).observe({
      onEvent: (event) => seen.push(event),
      onAttempt: (attempt) => attempts.push(attempt),
    })
    expect((await watched(URL_)).status).toBe(200)
    expect(typesOf(seen)).toEqual(CALL)
    expect(attempts).toHaveLength(1)
  })

  test.each([
    [{ onEvent: 7 }, 'fetch.observe onEvent should be a function, got 7'],
    [{ onAttempt: 'x' }, 'fetch.observe onAttempt should be a function, got "x"'],
    [{ onEvnt: () => {} }, 'onEvnt'],
  ])('refuses %o', (observer, message) => {
    const { fetch } = bench()
    expect(() => fetch.observe(observer as never)).toThrow(message)
  })
})

describe('attempt-end', () => {
  test('says which response was a replay', async () => {
    const seen: HoldfastEvent[] = []
    const { fetch, clock } = bench([503, 201], { onEvent: (event) => seen.push(event) })
    await finish(clock, fetch(URL_, { method: 'POST', body: 'x' }))
    const ends = seen.filter(({ type }) => type === 'attempt-end')
    expect(ends.map((event) => 'replayed' in event && event.replayed)).toEqual([false, true])
  })

  test('says nothing of it where there was no key', async () => {
    const seen: HoldfastEvent[] = []
    const { fetch } = bench([201], { onEvent: (event) => seen.push(event) })
    await fetch(URL_)
    const ends = seen.filter(({ type }) => type === 'attempt-end')
    expect(ends.map((event) => 'replayed' in event)).toEqual([false])
  })
})

describe('fetch.budgets', () => {
  test('shows what is left, by the key of the circuit', async () => {
    const { fetch, clock } = bench([503, 503, 200], { retryBudget: { capacity: 5, perMinute: 0 } })
    const left: unknown[] = []
    const look = (): void => void left.push([...fetch.budgets].map(({ key, tokens }) => [key, tokens]))
    const watched = fetch.observe({ onEvent: ({ type }) => type === 'retry' && look() })
    await finish(clock, watched(URL_))
    look()
    expect(left).toEqual([[['http://api.test', 4]], [['http://api.test', 3]], [['http://api.test', 5]]])
  })
})

describe('the channel holdfast:event', () => {
  function subscribed(): HoldfastEvent[] {
    const seen: HoldfastEvent[] = []
    const listener = (event: unknown): void => void seen.push(event as HoldfastEvent)
    diagnostics.subscribe('holdfast:event', listener)
    onTestFinished(() => void diagnostics.unsubscribe('holdfast:event', listener))
    return seen
  }

  test('publishes the events of every fetch', async () => {
    const { fetch } = bench()
    const seen = subscribed()
    await fetch(URL_)
    await bench().fetch(URL_)
    expect(typesOf(seen)).toEqual([...CALL, ...CALL])
  })

  test('publishes what the own listener is told too', async () => {
    const own: HoldfastEvent[] = []
    const { fetch } = bench([200], { onEvent: (event) => own.push(event) })
    const seen = subscribed()
    await fetch(URL_)
    expect(seen).toEqual(own)
    expect(typesOf(own)).toEqual(CALL)
  })

  test('publishes what happens to circuits', () => {
    const { fetch } = bench()
    const seen = subscribed()
    fetch.circuits.get('a').isolate()
    expect(typesOf(seen)).toEqual(['circuit-open'])
  })

  test('leaves none out who comes after it', () => {
    const { fetch } = bench()
    const published = subscribed()
    fetch.circuits.get('a').isolate()
    const seen: HoldfastEvent[] = []
    fetch.observe({ onEvent: (event) => seen.push(event) })
    fetch.circuits.get('b').isolate()
    expect([published.length, seen.length]).toEqual([2, 1])
  })

  test('publishes nothing to who has unsubscribed', async () => {
    const { fetch } = bench()
    const seen: unknown[] = []
    const listener = (event: unknown): void => void seen.push(event)
    diagnostics.subscribe('holdfast:event', listener)
    diagnostics.unsubscribe('holdfast:event', listener)
    await fetch(URL_)
    expect(seen).toEqual([])
  })
})
