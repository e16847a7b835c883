import { describe, expect, test } from 'vitest'
import { limitsOf } from './fields.ts'

const limits = (headers: Record<string, string>, status = 200) =>
  limitsOf(new Response(null, { status, headers }), 0)

const quotas = (headers: Record<string, string>) => limits(headers).quotas

describe('the quotas of a response', () => {
  test('are those of RateLimit, with limit and window of their policy', () => {
    const headers = {
      ratelimit: '"burst";r=5;t=30, "daily";r=900',
      'ratelimit-policy': '"burst";q=10;w=60, "daily";q=1000;w=86400',
    }
    expect(quotas(headers)).toEqual([
      { name: 'burst', remaining: 5, resetMs: 30_000, limit: 10, windowMs: 60_000 },
      { name: 'daily', remaining: 900, resetMs: 86_400_000, limit: 1000, windowMs: 86_400_000 },
    ])
  })

  test('need no policy', () => {
    expect(quotas({ ratelimit: '"x";r=0;t=2' })).toEqual([
      { name: 'x', remaining: 0, resetMs: 2000, limit: undefined, windowMs: undefined },
    ])
  })

  test('are apart by partition', () => {
    const names = quotas({ ratelimit: '"x";r=1;t=1;pk=:AQI=:, "x";r=2;t=1' }).map(({ name }) => name)
    expect(names).toEqual(['x 1.2', 'x'])
  })

  test('that do not count requests are not paced by', () => {
    const headers = { ratelimit: '"bytes";r=0;t=9', 'ratelimit-policy': '"bytes";q=1;qu="content-bytes"' }
    expect(quotas(headers)).toEqual([])
    const requests = { ratelimit: '"n";r=0;t=9', 'ratelimit-policy': '"n";q=1;qu="requests"' }
    expect(quotas(requests)).toHaveLength(1)
  })

  test.each([
    ['draft 07', { ratelimit: 'limit=100, remaining=5, reset=30' }],
    ['draft 06', { 'ratelimit-limit': '100', 'ratelimit-remaining': '5', 'ratelimit-reset': '30' }],
  ])('are read in the form of %s', (_, headers) => {
    expect(quotas(headers)).toEqual([
      { name: 'default', remaining: 5, resetMs: 30_000, limit: 100, windowMs: undefined },
    ])
  })

  test.each<[string, Record<string, string>]>([
    ['no remaining', { ratelimit: '"x";t=2' }],
    ['no reset', { ratelimit: '"x";r=2' }],
    ['a negative number', { ratelimit: '"x";r=-1;t=2' }],
    ['a text for a number', { ratelimit: '"x";r="1";t=2' }],
    ['a name that is none', { ratelimit: '5;r=1;t=2' }],
    ['an inner list', { ratelimit: '("x");r=1;t=2' }],
    ['nonsense', { ratelimit: '{"remaining": 1}' }],
    ['an empty header', { ratelimit: '' }],
    ['half of the three fields', { 'ratelimit-remaining': '5' }],
    ['fields that are no numbers', { 'ratelimit-remaining': '5 or so', 'ratelimit-reset': '1e3' }],
    ['nothing', {}],
  ])('are ignored where malformed: %s', (_, headers) => {
    expect(quotas(headers)).toEqual([])
  })

  test('a 429 with Retry-After asks for a pause; another status does not', () => {
    expect(limits({ 'retry-after': '7' }, 429)).toEqual({ quotas: [], pauseMs: 7000 })
    expect(limits({ 'retry-after': '7' }, 503)).toEqual({ quotas: [], pauseMs: 0 })
    expect(limits({}, 429)).toEqual({ quotas: [], pauseMs: 0 })
  })
})
