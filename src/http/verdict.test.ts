import { describe, expect, test, vi } from 'vitest'
import { DEFAULTS } from '../primitives/defaults.ts'
import { CircuitOpenError, TimeoutError } from '../primitives/errors.ts'
import { BulkheadFullError, RateLimitedError, ThrottledError } from '../primitives/refusals.ts'
import { statusMatcher } from './statuses.ts'
import { verdictOf, type Verdict, type VerdictRules } from './verdict.ts'

const isTransient = statusMatcher(DEFAULTS.retry.statuses)
const url = new URL('http://api.test/')
const plain = { keyed: false, isTransient, url }
const keyed = { keyed: true, isTransient, url }

const response = (status: number, headers: Record<string, string> = {}) =>
  ({ ok: true, value: new Response(null, { status, headers }) }) as const
const failure = (error: unknown) => ({ ok: false, error }) as const
const short = ({ next, health, effect }: Verdict): string => `${next}, ${health}, ${effect}`

describe('verdictOf a response', () => {
  test.each([
    [200, 'accept, success, answered'],
    [304, 'accept, success, answered'],
    [400, 'accept, success, answered'],
    [404, 'accept, success, answered'],
    [401, 'accept, success, untouched'],
    [409, 'accept, success, untouched'],
    [412, 'accept, success, untouched'],
    [422, 'accept, success, answered'],
    [408, 'retry, ignored, unknown'],
    [425, 'retry, ignored, untouched'],
    [429, 'retry, ignored, untouched'],
    [500, 'retry, failure, unknown'],
    [501, 'retry, failure, unknown'],
    [503, 'retry, failure, unknown'],
    [599, 'retry, failure, unknown'],
  ])('%d: %s', (status, expected) => {
    expect(short(verdictOf(response(status), plain))).toBe(expected)
  })

  test('an opaque response is a success', () => {
    const opaque = { ok: true, value: { status: 0, headers: new Headers() } as Response } as const
    expect(short(verdictOf(opaque, plain))).toBe('accept, success, answered')
  })

  test.each([{ 'idempotent-replayed': 'true' }, { 'idempotency-status': 'stored' }])(
    'what is on record is final, and no news of the service: %j',
    (headers) => {
      expect(short(verdictOf(response(500, headers), keyed))).toBe('accept, ignored, answered')
      expect(short(verdictOf(response(201, headers), keyed))).toBe('accept, ignored, answered')
    },
  )

  test.each([{ 'idempotency-status': 'in-flight' }, { 'retry-after': '1' }])(
    'a 409 that says the first attempt is running is waited for, with a key: %j',
    (headers) => {
      expect(short(verdictOf(response(409, headers), keyed))).toBe('wait, success, unknown')
      expect(short(verdictOf(response(409, headers), plain))).toBe('accept, success, untouched')
      expect(short(verdictOf(response(503, headers), keyed))).toBe('retry, failure, unknown')
    },
  )

  test('a plain 409 is an answer for its own attempt, also with a key', () => {
    expect(short(verdictOf(response(409), keyed))).toBe('accept, success, untouched')
  })

  test('without a key of ours a record makes a failure final, and leaves a success alone', () => {
    const recorded = { 'idempotent-replayed': 'true' }
    expect(short(verdictOf(response(500, recorded), plain))).toBe('accept, ignored, answered')
    expect(short(verdictOf(response(201, recorded), plain))).toBe('accept, success, answered')
  })

  test.each([
    [200, { 'idempotent-replayed': 'true' }],
    [503, { 'idempotency-status': 'unsaved' }],
  ])('a marker shows that the origin knows keys: %i %j', (status, headers) => {
    const seen = (rules: VerdictRules, given?: Record<string, string>): number => {
      const onMarkers = vi.fn<() => void>()
      verdictOf(response(status, given), { ...rules, onMarkers })
      return onMarkers.mock.calls.length
    }
    expect([seen(keyed, headers), seen(plain, headers), seen(keyed)]).toEqual([1, 0, 0])
  })

  test.each([plain, keyed])('a success needs no advice, with a key or without', (rules) => {
    expect(short(verdictOf(response(200, { 'x-should-retry': 'true' }), rules))).toBe(
      'accept, success, answered',
    )
  })

  test.each(['x-should-retry', 'stripe-should-retry'])('the server’s advice counts: %s', (name) => {
    expect(short(verdictOf(response(503, { [name]: 'false' }), plain))).toBe('accept, failure, unknown')
    expect(short(verdictOf(response(429, { [name]: 'false' }), plain))).toBe('accept, ignored, untouched')
    expect(short(verdictOf(response(400, { [name]: 'true' }), plain))).toBe('retry, success, answered')
    expect(short(verdictOf(response(503, { [name]: 'maybe' }), plain))).toBe('retry, failure, unknown')
  })

  test.each([
    ['a refusal does not undo what the first answer stood for', 429, 'retry, ignored, unknown'],
    ['an answer is one', 404, 'accept, success, answered'],
    ['a conflict is one', 409, 'accept, success, answered'],
  ])('after a redirect %s', (_, status, expected) => {
    const value = { status, headers: new Headers(), redirected: true } as Response
    expect(short(verdictOf({ ok: true, value }, plain))).toBe(expected)
  })

  test.each([
    [404, 'accept, success, answered'],
    [408, 'accept, ignored, unknown'],
    [425, 'accept, ignored, untouched'],
    [429, 'accept, ignored, untouched'],
    [500, 'accept, success, unknown'],
  ])(
    'a %d that is not to be tried again is no failure, and tells of the operation what it always does: %s',
    (status, expected) => {
      const only503 = { keyed: false, isTransient: statusMatcher([503]), url }
      expect(short(verdictOf(response(status), only503))).toBe(expected)
    },
  )

  test('other statuses can be tried again', () => {
    const also404 = { keyed: false, isTransient: statusMatcher(['5xx', 404]), url }
    expect(short(verdictOf(response(404), also404))).toBe('retry, failure, unknown')
    const also202 = { keyed: false, isTransient: statusMatcher([202]), url }
    expect(short(verdictOf(response(202), also202))).toBe('retry, failure, unknown')
  })
})

describe('verdictOf an error', () => {
  const refused = new TypeError('fetch failed', {
    cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }),
  })
  test.each([
    ['any rejection of a transport', new Error('odd'), 'retry, failure, unknown'],
    ['no error object at all', 'text', 'retry, failure, unknown'],
    ['null', null, 'retry, failure, unknown'],
    ['a refused connection', refused, 'retry, failure, untouched'],
    ['an attempt timeout', new TimeoutError('ERR_ATTEMPT_TIMEOUT', '', 1), 'retry, failure, unknown'],
    ['an open circuit', new CircuitOpenError('key', 1), 'accept, ignored, untouched'],
    ['a full bulkhead', new BulkheadFullError('key', ''), 'accept, ignored, untouched'],
    ['a throttle', new ThrottledError('key', ''), 'accept, ignored, untouched'],
    ['a used up quota', new RateLimitedError('key', 1), 'accept, ignored, untouched'],
    ['an abort from inside the transport', new DOMException('', 'AbortError'), 'accept, ignored, unknown'],
  ])('%s', (_, error, expected) => {
    expect(short(verdictOf(failure(error), plain))).toBe(expected)
  })
})
