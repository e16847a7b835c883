import { describe, expect, test } from 'vitest'
import { checkComposition } from './composition.ts'
import { isHoldfastError } from '../primitives/errors.ts'
import {
  bulkhead,
  circuitBreaker,
  coalesce,
  concurrencyLimit,
  createFetch,
  fallback,
  hedge,
  pipeline,
  retry,
  retryBudget,
  throttle,
  timeout,
} from '../index.ts'
import type { Policy } from './policy.ts'
import { rateLimit } from '../rate-limit/index.ts'

const policy = (name: string): Policy => ({ name, wrap: (next) => next })

const refusalOf = (...names: string[]): string => {
  try {
    checkComposition('pipeline', names.map(policy))
  } catch (error) {
    expect(isHoldfastError(error) && error.code).toBe('ERR_INVALID_OPTION')
    return (error as Error).message
  }
  return ''
}

describe('the order of a pipeline', () => {
  test('that createFetch has is right', () => {
    const order = [
      'fallback',
      'cache',
      'coalesce',
      'total-timeout',
      'retry-budget',
      'retry',
      'hedge',
      'rate-limit',
    ]
    expect(
      refusalOf(...order, 'throttle', 'bulkhead', 'concurrency-limit', 'circuit-breaker', 'attempt-timeout'),
    ).toBe('')
  })

  test.each([
    ['circuit-breaker', 'retry', 'not attempts'],
    ['attempt-timeout', 'retry', 'totalMs'],
    ['retry', 'total-timeout', 'attemptMs'],
    ['attempt-timeout', 'circuit-breaker', 'not count as failures'],
    ['retry', 'retry-budget', 'pay for nothing'],
    ['hedge', 'retry', 'both requests'],
    ['retry', 'fallback', 'nothing would be tried again'],
    ['circuit-breaker', 'bulkhead', 'the wait for a free place'],
    ['concurrency-limit', 'retry', 'sleep'],
  ])('%s outside %s is refused with the reason', (outer, inner, reason) => {
    expect(refusalOf(outer, inner)).toContain(`pipeline: ${outer} stands outside ${inner}; `)
    expect(refusalOf(outer, inner)).toContain(reason)
    expect(refusalOf(inner, outer)).toBe('')
  })

  test('these orders are refused, each with a reason, and no others', () => {
    const refused: Readonly<Record<string, readonly string[]>> = {
      retry: ['retry-budget', 'total-timeout', 'fallback', 'coalesce', 'retry'],
      'retry-budget': ['retry-budget'],
      hedge: ['retry', 'retry-budget', 'total-timeout', 'fallback', 'coalesce', 'hedge'],
      'circuit-breaker': [
        'retry',
        'hedge',
        'fallback',
        'coalesce',
        'bulkhead',
        'concurrency-limit',
        'rate-limit',
      ],
      throttle: ['retry', 'hedge', 'fallback', 'coalesce'],
      'concurrency-limit': ['retry', 'hedge', 'fallback', 'coalesce', 'bulkhead', 'rate-limit'],
      'rate-limit': ['retry', 'hedge', 'fallback', 'coalesce'],
      'total-timeout': ['total-timeout'],
      'attempt-timeout': [
        'retry',
        'circuit-breaker',
        'bulkhead',
        'concurrency-limit',
        'rate-limit',
        'attempt-timeout',
      ],
    }
    const names = [...Object.keys(refused), 'fallback', 'cache', 'coalesce', 'bulkhead', 'mine']
    const withReason = / (stands outside|has two of) [^;]+; \S/
    for (const outer of names) {
      const inside = names.filter((inner) => refusalOf(outer, inner) !== '')
      expect(inside.toSorted()).toEqual([...(refused[outer] ?? [])].toSorted())
      for (const inner of inside) expect(refusalOf(outer, inner)).toMatch(withReason)
    }
  })

  test('is seen through policies between the two, the user’s own among them', () => {
    expect(refusalOf('circuit-breaker', 'mine', 'bulkhead', 'retry')).toContain(
      'circuit-breaker stands outside',
    )
    expect(refusalOf('mine', 'retry', 'mine', 'circuit-breaker', 'mine')).toBe('')
  })

  test.each(['retry', 'retry-budget', 'hedge', 'total-timeout', 'attempt-timeout'])(
    'two of %s are refused',
    (name) => {
      expect(refusalOf(name, 'mine', name)).toContain(`it has two of ${name}; `)
    },
  )

  test.each(['circuit-breaker', 'bulkhead', 'fallback'])('two of %s may guard two things', (name) => {
    expect(refusalOf(name, name)).toBe('')
  })

  test('the same object twice is refused', () => {
    const same = policy('bulkhead')
    expect(() => checkComposition('createFetch', [same, policy('mine'), same])).toThrow(
      'createFetch: the same bulkhead stands in it twice; a policy object holds state',
    )
  })
})

test.each<[string, unknown, string]>([
  ['a list', [retry()], 'an array of 1'],
  ['what makes one', retry, 'a function'],
  ['nothing', undefined, 'undefined'],
])('what is no policy is refused by its place: %s', (_, given, shown) => {
  expect(() => pipeline(timeout({ totalMs: 1 }), given as Policy)).toThrow(
    `argument 2 of pipeline should be a policy, such as retry(), got ${shown}`,
  )
})

describe('in createFetch', () => {
  test.each([
    ['bulkhead', bulkhead()],
    ['circuitBreaker', circuitBreaker()],
    ['coalesce', coalesce({ key: () => undefined })],
    ['concurrencyLimit', concurrencyLimit()],
    ['fallback', fallback(() => undefined)],
    ['hedge', hedge()],
    ['rateLimit', rateLimit()],
    ['retry', retry()],
    ['retryBudget', retryBudget()],
    ['throttle', throttle()],
    ['timeout, attemptMs', timeout({ attemptMs: 1 })],
    ['timeout, totalMs', timeout({ totalMs: 1 })],
  ])('%s brings the rules along', (_, given) => {
    // Two that bring nothing, and are in the wrong order.
    const policies = [given, policy('attempt-timeout'), policy('retry')] as Policy<Response>[]
    expect(() => createFetch({ policies })).toThrow(/^createFetch: .*(?:stands outside|it has two of)/)
    expect(() => createFetch({ policies: policies.slice(1) })).not.toThrow()
  })

  test('nothing may be given twice, not even by who knows no rules', () => {
    const mine = policy('mine') as Policy<Response>
    expect(() => createFetch({ policies: [mine, mine] })).toThrow(
      'policies should be without one that stands in it twice, since it holds state, got an array of 2',
    )
  })
})
