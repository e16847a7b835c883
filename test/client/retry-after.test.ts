import { describe, expect, test } from 'vitest'
import { createFetch, outcomeOf, type HoldfastEvent } from '../../src/index.ts'
import { faultServer, status, times } from '../../src/testing/index.ts'
import { testClock } from './support/clock.ts'
import { finish } from './support/wait.ts'

/** The least chance there is: a backoff of 0.75 s, and Retry-After as asked. */
const least = (): number => 0
/** More than the greatest. */
const most = (): number => 1

const giveUps = (events: readonly HoldfastEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'give-up' ? [event.reason] : []))

/** What is waited after a 503 with these headers; `undefined` where the call gives up instead. */
async function waitAfter(headers: Record<string, string>, random = least): Promise<number | undefined> {
  const clock = testClock()
  await using server = await faultServer({ clock, faults: [status(503, { headers })] })
  const response = await finish(clock, createFetch({ clock, random })(server.url))
  await response.body?.cancel()
  return server.requests[1]?.atMs
}

const DATE = 'Thu, 01 Jan 2026 00:00:00 GMT'

describe('Retry-After', () => {
  test.each<[string, Record<string, string>, number]>([
    ['seconds', { 'retry-after': '7' }, 7000],
    ['seconds, with spaces around', { 'retry-after': ' 7 ' }, 7000],
    ['no seconds at all', { 'retry-after': '0' }, 750],
    ['less than the backoff', { 'retry-after-ms': '10' }, 750],
    ['milliseconds', { 'retry-after-ms': '1500' }, 1500],
    ['a fraction of milliseconds', { 'retry-after-ms': '1500.5' }, 1500.5],
    ['milliseconds before seconds', { 'retry-after-ms': '1500', 'retry-after': '20' }, 1500],
    ['malformed milliseconds, then seconds', { 'retry-after-ms': 'soon', 'retry-after': '20' }, 20_000],
    ['a date', { date: DATE, 'retry-after': 'Thu, 01 Jan 2026 00:00:10 GMT' }, 10_000],
    ['a date in the RFC 850 form', { date: DATE, 'retry-after': 'Thursday, 01-Jan-26 00:00:10 GMT' }, 10_000],
    ['a date in the past', { date: DATE, 'retry-after': 'Wed, 31 Dec 2025 00:00:10 GMT' }, 750],
    ['exactly the longest', { 'retry-after': '60' }, 60_000],
  ])('%s', async (_, headers, delayMs) => {
    expect(await waitAfter(headers)).toBe(delayMs)
  })

  test('a date is read against the response’s own Date, not the clock here', async () => {
    const headers = { date: 'Mon, 01 Jan 2001 00:00:00 GMT', 'retry-after': 'Mon, 01 Jan 2001 00:00:05 GMT' }
    expect(await waitAfter(headers)).toBe(5000)
  })

  test('a date without a Date is read against the clock here', async () => {
    const clock = testClock()
    const headers = { 'retry-after': 'Thu, 01 Jan 2026 00:00:05 GMT' }
    const answers = [new Response('', { status: 503, headers })]
    const fetch = createFetch({ clock, random: least, fetch: async () => answers.shift() ?? new Response() })
    await finish(clock, fetch('http://x.test/'))
    expect(clock.sleeps).toEqual([5000])
  })

  test.each([
    '-1',
    '1.5',
    'soon',
    '',
    '1e3',
    '0x10',
    'NaN',
    'Infinity',
    '7 s',
    '10, 20',
    'Thu, 99 Foo 2026 99:99:99 GMT',
  ])('malformed, it is ignored: %j', async (value) => {
    expect(await waitAfter({ date: DATE, 'retry-after': value })).toBe(750)
  })

  test.each(['-5', 'NaN', 'Infinity', '1e9', 'soon', ''])(
    'malformed milliseconds are ignored: %j',
    async (value) => {
      expect(await waitAfter({ 'retry-after-ms': value })).toBe(750)
    },
  )

  test.each([408, 425, 429, 500, 503])('goes for a %d', async (code) => {
    const clock = testClock()
    await using server = await faultServer({ clock, faults: [status(code, { retryAfter: 9 })] })
    await finish(clock, createFetch({ clock, random: least })(server.url))
    expect(clock.sleeps).toEqual([9000])
  })

  test.each([301, 404, 200])('makes nothing transient: %d', async (code) => {
    await using server = await faultServer({ faults: [status(code, { retryAfter: 1 })] })
    expect((await createFetch()(server.url)).status).toBe(code)
    expect(server.requests).toHaveLength(1)
  })

  test('is jittered upward only, by up to a quarter', async () => {
    expect(await waitAfter({ 'retry-after': '8' }, least)).toBe(8000)
    expect(await waitAfter({ 'retry-after': '8' }, most)).toBe(10_000)
    for (let chance = 0; chance < 1; chance += 0.1) {
      expect(await waitAfter({ 'retry-after': '8' }, () => chance)).toBeGreaterThanOrEqual(8000)
    }
  })

  test('is a lower bound: a longer backoff stands', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(4, status(503, { retryAfter: 3 }))] })
    await finish(clock, createFetch({ clock, random: least })(server.url))
    expect(clock.sleeps).toEqual([3000, 3000, 3000, 6000])
  })
})

describe('a Retry-After that is too long', () => {
  test.each<[string, Record<string, string>]>([
    ['a second too long', { 'retry-after': '61' }],
    ['longer than a timer can wait', { 'retry-after': '4294967296' }],
    ['longer than any number', { 'retry-after': '9'.repeat(400) }],
    ['in milliseconds', { 'retry-after-ms': '60001' }],
    ['a date far away', { 'retry-after': 'Fri, 31 Dec 9999 23:59:59 GMT' }],
  ])('gives up at once: %s', async (_, headers) => {
    const clock = testClock()
    const events: HoldfastEvent[] = []
    await using server = await faultServer({ faults: [times(9, status(503, { headers, body: 'why' }))] })
    const fetch = createFetch({ clock, onEvent: (event) => events.push(event) })
    const response = await fetch(server.url)
    expect(await response.text()).toBe('why')
    expect(server.requests).toHaveLength(1)
    expect(clock.sleeps).toEqual([])
    expect(giveUps(events)).toEqual(['retry-after'])
    expect(outcomeOf(response)).toMatchObject({ attempts: 1, delaysMs: [] })
  })

  test('takes no token', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503, { retryAfter: 61 }), status(503)] })
    const fetch = createFetch({ clock, retryBudget: { capacity: 1, perMinute: 0 } })
    await fetch(server.url)
    expect((await finish(clock, fetch(server.url))).status).toBe(200)
  })

  test('is by the option: maxRetryAfterMs', async () => {
    const clock = testClock()
    await using server = await faultServer({
      faults: [status(503, { retryAfter: 90 }), status(503, { retryAfter: 101 })],
    })
    const fetch = createFetch({ clock, random: least, retry: { maxRetryAfterMs: 100_000 } })
    expect((await finish(clock, fetch(server.url))).status).toBe(503)
    expect(clock.sleeps).toEqual([90_000])
  })

  test('jitter does not count against maxRetryAfterMs', async () => {
    expect(await waitAfter({ 'retry-after': '60' }, most)).toBe(75_000)
  })

  test('gives up where it would pass the deadline', async () => {
    const clock = testClock()
    const events: HoldfastEvent[] = []
    await using server = await faultServer({ faults: [times(9, status(503, { retryAfter: 50 }))] })
    const fetch = createFetch({
      clock,
      random: least,
      timeout: { totalMs: 45_000 },
      onEvent: (event) => events.push(event),
    })
    const response = await fetch(server.url)
    expect(response.status).toBe(503)
    expect(await response.text()).toMatch('503')
    expect(clock.sleeps).toEqual([])
    expect(giveUps(events)).toEqual(['deadline'])
  })
})
