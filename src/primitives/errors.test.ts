import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { CircuitOpenError, HoldfastError, isHoldfastError, isLocalRejection, RefusedError } from './errors.ts'

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
