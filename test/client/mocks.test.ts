import { describe, expect, test, vi } from 'vitest'
import { httpCache } from '../../src/cache/index.ts'
import { createFetch, type FetchOptions, type Transport } from '../../src/index.ts'
import { rateLimit } from '../../src/rate-limit/index.ts'
import { testClock } from './support/clock.ts'
import { finish } from './support/wait.ts'

/** What a test of a user's gives as a response: as much of one as its code reads. */
function mockOf(status: number, more: object = {}): Response {
  const partial: unknown = { ok: status < 300, status, json: async () => ({ id: 1 }), ...more }
  return partial as Response
}

const HEADERS: [string, object][] = [
  ['no headers', {}],
  ['null', { headers: null }],
  ['a plain object', { headers: { 'content-type': 'application/json' } }],
  ['a Map', { headers: new Map([['content-type', 'application/json']]) }],
  ['get alone', { headers: { get: () => null } }],
  ['get that knows nothing', { headers: { get: () => undefined } }],
]

const PARTS: [string, () => FetchOptions][] = [
  ['the defaults', () => ({})],
  ['a cache', () => ({ cache: httpCache({ serveFresh: true }) })],
  ['a listener', () => ({ onEvent: () => {} })],
  ['beforeAttempt', () => ({ beforeAttempt: () => {} })],
  ['coalescing', () => ({ coalesce: true })],
  ['a bulkhead', () => ({ bulkhead: {} })],
  ['hedges', () => ({ hedge: {} })],
  ['bodyIdleMs', () => ({ timeout: { bodyIdleMs: 10 } })],
  ['resumed bodies', () => ({ retry: { resumeBody: true } })],
  ['rate limits', () => ({ policies: [rateLimit()] })],
  ['a fallback', () => ({ fallback: () => undefined })],
]

describe('a mock with as much of a response as its test reads is taken as it is', () => {
  test.each(PARTS.flatMap(([part, make]) => HEADERS.map(([name, more]) => ({ part, make, name, more }))))(
    'with $part: $name',
    async ({ make, more }) => {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'])
        for (const status of [200, 204, 401, 404, 409, 429, 503]) {
          const clock = testClock()
          const mock = mockOf(status, more)
          const transport = vi.fn<Transport>(async () => mock)
          const fetch = createFetch({ clock, fetch: transport, ...make() })
          expect(await finish(clock, fetch('http://x.test/', { method }))).toBe(mock)
          expect(transport).toHaveBeenCalledTimes(status === 429 || status === 503 ? 5 : 1)
        }
    },
  )

  test('its plain headers are read: a Retry-After is waited for, a stored answer is final', async () => {
    const clock = testClock()
    const answers = [
      mockOf(429, { headers: { 'retry-after': '7' } }),
      mockOf(503, { headers: { 'idempotency-status': 'stored' } }),
    ]
    const fetch = createFetch({ clock, fetch: async () => answers.shift() ?? mockOf(200), random: () => 0 })
    expect((await finish(clock, fetch('http://x.test/', { method: 'POST' }))).status).toBe(503)
    expect(clock.sleeps).toEqual([7000])
  })

  test('calls that share one which can’t be cloned all get it', async () => {
    const mock = mockOf(200)
    const fetch = createFetch({ fetch: async () => mock, coalesce: true })
    expect(await Promise.all([fetch('http://x.test/'), fetch('http://x.test/')])).toEqual([mock, mock])
  })

  test('without a body or headers it passes a cache, and may confirm what is stored', async () => {
    const clock = testClock()
    const answers = [
      mockOf(200, { body: null }),
      new Response('stored', { headers: { etag: '"1"', 'cache-control': 'max-age=1' } }),
      mockOf(304, { url: '' }),
    ]
    const transport = vi.fn<Transport>(async () => answers.shift() ?? mockOf(500))
    const fetch = createFetch({ clock, fetch: transport, cache: httpCache() })
    expect((await fetch('http://x.test/mock')).headers).toBeUndefined()
    await (await fetch('http://x.test/')).text()
    await clock.advance(2000)
    const confirmed = await finish(clock, fetch('http://x.test/'))
    expect([confirmed.status, await confirmed.text()]).toEqual([200, 'stored'])
    expect(transport).toHaveBeenCalledTimes(3)
  })
})
