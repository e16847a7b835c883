import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  CircuitOpenError,
  HoldfastError,
  isHoldfastError,
  isLocalRejection,
  RefusedError,
  TimeoutError,
} from './errors.ts'
import { BulkheadFullError, RateLimitedError, ThrottledError } from './refusals.ts'

describe('a refusal', () => {
  const message = 'circuit "api" is open, come again in 1500 ms'

  test('is an error like any other, but for the stack trace', () => {
    const error = new CircuitOpenError('api', 1499.5)
    for (const kind of [Error, HoldfastError, RefusedError, CircuitOpenError])
      expect(error).toBeInstanceOf(kind)
    expect([isHoldfastError(error), isLocalRejection(error)]).toEqual([true, true])
    expect(error).toMatchObject({ name: 'CircuitOpenError', code: 'ERR_CIRCUIT_OPEN', retryAfterMs: 1499.5 })
    expect([error.message, String(error)]).toEqual([message, `CircuitOpenError: ${message}`])
    expect(error.stack).toBe(`CircuitOpenError: ${message}`)
    expect(inspect(error)).toContain(message)
  })

  test('does not list its stack, has a cause if it was given one, and a stack of its own for Node', () => {
    const error = new CircuitOpenError('api', 1, { cause: 'down' })
    expect(Object.keys(error).toSorted()).toEqual(['cause', 'code', 'key', 'message', 'name', 'retryAfterMs'])
    expect(error.cause).toBe('down')
    expect('cause' in new CircuitOpenError('api', 1)).toBe(false)
    // An unhandled rejection without one is reported as "reason: #<Object>".
    expect(Object.hasOwn(error, 'stack')).toBe(true)
  })

  test('its message and stack may be changed', () => {
    const error = new CircuitOpenError('api', 1)
    error.message = 'orders: closed'
    error.stack = 'elsewhere'
    expect([error.message, error.stack]).toEqual(['orders: closed', 'elsewhere'])
  })
})

test('a timeout is named as the platform’s, and has a stack', () => {
  const error = new TimeoutError('ERR_TOTAL_TIMEOUT', 'not done in 5 ms', 5, { cause: 'down' })
  expect(error).toMatchObject({
    name: 'TimeoutError',
    code: 'ERR_TOTAL_TIMEOUT',
    timeoutMs: 5,
    cause: 'down',
  })
  expect(error.stack).toContain('errors.test.ts')
  expect(new HoldfastError('ERR_INVALID_OPTION', 'wrong').name).toBe('HoldfastError')
})

test('an error is known by its brand, whichever copy of the package made it', () => {
  expect(isHoldfastError(new HoldfastError('ERR_INVALID_OPTION', 'wrong'))).toBe(true)
  expect(isHoldfastError({ isHoldfastError: true })).toBe(true)
  const others = [
    new Error('other'),
    { isHoldfastError: 1 },
    null,
    undefined,
    'text',
    Object.assign(() => 1, { isHoldfastError: true }),
  ]
  expect(others.map(isHoldfastError)).toEqual(others.map(() => false))
})

test.each([
  [new CircuitOpenError('api', 1), true],
  [new BulkheadFullError('api', 'full'), true],
  [new ThrottledError('api', 'throttled'), true],
  [new RateLimitedError('api', 1, { cause: 'a 429' }), true],
  [new TimeoutError('ERR_ATTEMPT_TIMEOUT', 'late', 1), false],
  [new HoldfastError('ERR_INVALID_OPTION', 'wrong'), false],
  [Object.assign(new Error('foreign'), { code: 'ERR_THROTTLED' }), false],
])('%s was refused on this side: %s', (error, isLocal) => {
  expect(isLocalRejection(error)).toBe(isLocal)
})

test.each([
  [new BulkheadFullError('api', 'full', { cause: 'load' }), 'BulkheadFullError', 'ERR_BULKHEAD_FULL', 'full'],
  [new ThrottledError('api', 'throttled', { cause: 'load' }), 'ThrottledError', 'ERR_THROTTLED', 'throttled'],
  [
    new RateLimitedError('api', 1499.5, { cause: 'load' }),
    'RateLimitedError',
    'ERR_RATE_LIMITED',
    'the quota of "api" is used up for another 1500 ms',
  ],
])('%s tells whose refusal it is, and why', (error, name, code, message) => {
  expect(error).toMatchObject({ name, code, key: 'api', message, cause: 'load' })
})

test('a quota that is used up tells when there will be some again', () => {
  expect(new RateLimitedError('api', 1499.5).retryAfterMs).toBe(1499.5)
})
