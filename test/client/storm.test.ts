/** What must hold of every call, whatever the options, the service and the callers do: by chance, on a virtual clock. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DEFAULTS, type HoldfastEvent } from '../../src/index.ts'
import { lawful, STORMS, type Laws } from '../support/laws.ts'
import { expectNoUnhandledRejections } from './support/unhandled.ts'
import { weathered, type Aftermath, type Asked, type Storm, type Weather } from './support/storm.ts'

expectNoUnhandledRejections()

const weather: fc.Arbitrary<Weather> = fc.record({
  afterMs: fc.integer({ min: 0, max: 900 }),
  gives: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(200, 204, 404, 401) },
    { weight: 3, arbitrary: fc.constantFrom(500, 503, 429, 409) },
    { weight: 2, arbitrary: fc.constantFrom('refused' as const, 'reset' as const, 'throws' as const) },
  ),
  retryAfterS: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined, freq: 4 }),
  isDeaf: fc.boolean(),
})

const asked: fc.Arbitrary<Asked> = fc.record({
  startMs: fc.integer({ min: 0, max: 3000 }),
  method: fc.constantFrom('GET', 'POST', 'PUT'),
  path: fc.constantFrom('/a', '/b', '/c'),
  body: fc.constantFrom('text', 'stream', 'request'),
  abortAfterMs: fc.option(fc.integer({ min: 0, max: 2000 }), { nil: undefined, freq: 3 }),
})

const offOr = <T>(part: fc.Arbitrary<T>): fc.Arbitrary<T | false> =>
  fc.oneof(fc.constant(false as const), part)

const ms = (min: number, max: number): fc.Arbitrary<number | false> => offOr(fc.integer({ min, max }))

const storm: fc.Arbitrary<Storm> = fc.record({
  options: fc.record({
    retry: offOr(
      fc.record({ maxRetries: fc.integer({ min: 0, max: 4 }), baseDelayMs: fc.constantFrom(10, 200) }),
    ),
    circuitBreaker: offOr(
      fc.record({
        minimumCalls: fc.integer({ min: 2, max: 5 }),
        openMs: fc.constantFrom(100, 1000),
        whenOpen: fc.constantFrom('reject' as const, 'wait' as const),
      }),
    ),
    idempotency: offOr(fc.constant({})),
    timeout: fc.record({ attemptMs: ms(50, 800), totalMs: ms(100, 3000) }),
    retryBudget: offOr(fc.record({ capacity: fc.integer({ min: 1, max: 5 }), perMinute: fc.constant(0) })),
    bulkhead: offOr(
      fc.record({
        maxConcurrent: fc.integer({ min: 1, max: 3 }),
        maxQueued: fc.integer({ min: 0, max: 4 }),
      }),
    ),
    hedge: offOr(fc.record({ delayMs: fc.constantFrom(20, 200), maxExtra: fc.constantFrom(0.05, 1) })),
    coalesce: fc.boolean(),
    hasFallback: fc.boolean(),
    hasCache: fc.boolean(),
    hasHook: fc.boolean(),
  }),
  asked: fc.array(asked, { minLength: 1, maxLength: 12 }),
  weather: fc.array(weather, { minLength: 1, maxLength: 20 }),
  seed: fc.nat(),
})

type Told = Aftermath['events'][number]

/** The events of each call. */
function byCall({ events }: Aftermath): Told[][] {
  const calls = new Map<number, Told[]>()
  for (const event of events)
    if (event.call !== undefined) calls.set(event.call.id, [...(calls.get(event.call.id) ?? []), event])
  return [...calls.values()]
}

const count = (events: readonly Told[], type: HoldfastEvent['type']): number =>
  events.filter((event) => event.type === type).length

const isGood = (end: Told | undefined): boolean =>
  end?.type === 'call-end' && end.status !== undefined && end.status < 500

/** A retry that only asks whether the answer to the first attempt is there by now: it costs nothing. */
const isWait = (event: Told): boolean => event.type === 'retry' && event.status === 409

/** An answer that is not asked for again: what its call has paid for retries is given back. */
const isAnswered = (events: readonly Told[]): boolean =>
  events.some(
    (event) =>
      event.type === 'attempt-end' &&
      event.status !== undefined &&
      event.status < 500 &&
      event.status !== 429 &&
      !(event.status === 409 && events.some(isWait)),
  )

/** A hedge that found no place was not sent. */
const isPaid = (event: Told): boolean =>
  (event.type === 'retry' && !isWait(event)) || (event.type === 'attempt-start' && event.hedge === true)

const codeOf = (error: unknown): unknown => (error as { cause?: { code?: unknown } }).cause?.code

/** What holds in any storm. */
const laws: Laws<Aftermath, Storm> = {
  'each call ends once; what its caller aborts ends at once, with his own reason'({ ended }, { asked: all }) {
    expect(ended.length).toBe(all.length)
    for (const { asked: one, endMs, error, reason } of ended) {
      const abortMs = one.startMs + (one.abortAfterMs ?? Infinity)
      expect(endMs).toBeLessThanOrEqual(abortMs)
      if (error === reason) expect(endMs).toBe(abortMs)
    }
  },

  'each call is told of from its start to its end, and so is each of its attempts'(aftermath, { options }) {
    const calls = byCall(aftermath)
    expect(calls.length).toBe(aftermath.ended.length)
    for (const events of calls) {
      expect(events[0]?.type).toBe('call-start')
      const end = events.find(({ type }) => type === 'call-end')
      // What others wait for goes on when the call that has begun it ends.
      if (!options.coalesce) expect(events.at(-1)).toBe(end)
      expect(count(events, 'call-start') + count(events, 'call-end')).toBe(2)
      expect(count(events, 'attempt-end')).toBe(count(events, 'attempt-start'))
      const attempts = count(
        events.slice(
          0,
          events.findIndex((event) => event === end),
        ),
        'attempt-start',
      )
      // Who shares an answer is told what that took.
      if (count(events, 'coalesced') === 0) expect(end).toMatchObject({ attempts })
    }
  },

  'what is told is what was sent'({ sent, events }) {
    expect(sent.length).toBe(count(events, 'attempt-start'))
  },

  'no call takes more attempts than it may'(aftermath, { options: { retry, hedge } }) {
    const tries = retry === false ? 1 : 1 + (retry?.maxRetries ?? DEFAULTS.retry.maxRetries)
    for (const events of byCall(aftermath)) {
      const mayTake = (tries + events.filter(isWait).length) * (hedge === false ? 1 : 2)
      expect(count(events, 'attempt-start')).toBeLessThanOrEqual(mayTake)
    }
  },

  'no call takes longer than its total time'({ events }, { options: { timeout, hasCache } }) {
    // What is stored is looked up by a digest, which takes real time.
    if (hasCache || timeout === false || !timeout?.totalMs) return
    for (const event of events)
      if (event.type === 'call-end') expect(event.durationMs).toBeLessThanOrEqual(timeout.totalMs)
  },

  async 'attempts of a write have one key and one body, and no other call has that key'(
    { sent },
    { options },
  ) {
    const bodies = new Map<string, string>()
    for (const { method, url, key, body } of sent) {
      expect(key !== null).toBe(method !== 'GET' && options.idempotency !== false)
      const text = await body
      if (key === null || text === undefined) continue
      expect(url + text).toBe(bodies.get(key) ?? url + text)
      bodies.set(key, url + text)
    }
  },

  'what nobody waits for any more is called off, and leaves no timer'(
    { sent, ended, waitsLeft },
    { options },
  ) {
    // What is asked anew for the cache goes on.
    if (options.hasCache) return
    const lastMs = Math.max(...ended.map(({ endMs }) => endMs))
    for (const { startMs, weather: what, signal } of sent)
      if (startMs + what.afterMs > lastMs && what.gives !== 'throws') expect(signal?.aborted).toBe(true)
    expect(waitsLeft).toBe(0)
  },

  'a bulkhead holds'({ mostRunning }, { options: { bulkhead } }) {
    if (bulkhead === false) return
    expect(mostRunning).toBeLessThanOrEqual(bulkhead?.maxConcurrent ?? DEFAULTS.bulkhead.maxConcurrent)
  },

  'a budget holds'(aftermath, { options: { retryBudget } }) {
    if (retryBudget === false) return
    const { capacity = DEFAULTS.retryBudget.capacity, perSuccess = DEFAULTS.retryBudget.perSuccess } =
      retryBudget ?? {}
    const calls = byCall(aftermath)
    // Also where those who wanted the answer have left; and who shares a request may leave, and is still
    // told of its attempts, of which others get the good.
    const failed = calls.filter((events) => !isGood(events.at(-1)) && !isAnswered(events))
    expect(failed.flat().filter(isPaid).length).toBeLessThanOrEqual(
      capacity + perSuccess * (calls.length - failed.length),
    )
  },

  'what the service has answered, and what was never sent, is certain'({ ended }) {
    for (const { outcome, response, asked: one } of ended) {
      if (outcome === undefined) continue
      const isAnswered = outcome.source === 'network' && response !== undefined && response.status < 400
      if (isAnswered || outcome.attempts === 0 || one.method === 'GET') expect(outcome.uncertain).toBe(false)
    }
  },

  'a POST without a key that may have been done is not sent again'({ events }, { options: { idempotency } }) {
    if (idempotency !== false) return
    for (const event of events) {
      if (event.type !== 'retry' || event.call?.method !== 'POST') continue
      if (event.status === undefined) expect(codeOf(event.error)).toBe('ECONNREFUSED')
      else expect([429, 503]).toContain(event.status)
    }
  },
}

test('in any storm each law holds', { timeout: 300 * STORMS }, () =>
  fc.assert(lawful(laws, storm, weathered), { numRuns: STORMS }),
)
