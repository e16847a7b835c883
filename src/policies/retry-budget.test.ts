import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DEFAULTS } from '../primitives/defaults.ts'
import { pipeline } from '../core/pipeline.ts'
import type { AttemptBudget } from '../core/policy.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { retryBudget, RetryBudgets, TokenBudget, type RetryBudgetOptions } from './retry-budget.ts'

const drain = (budget: TokenBudget): number => {
  let taken = 0
  while (budget.tryTake()) taken++
  return taken
}

describe('retry budget', () => {
  test('pays for 10 retries at the start, then for none', () => {
    const budget = new TokenBudget('api', DEFAULTS.retryBudget, virtualClock())
    expect(drain(budget)).toBe(10)
    expect(budget.tryTake()).toBe(false)
  })

  test('ten successes pay for one retry', () => {
    const budget = new TokenBudget('api', DEFAULTS.retryBudget, virtualClock())
    drain(budget)
    for (let success = 0; success < 9; success++) budget.succeeded(0)
    expect(budget.tryTake()).toBe(false)
    budget.succeeded(0)
    expect(budget.tryTake()).toBe(true)
  })

  test('earns one token a minute, up to its capacity', async () => {
    const clock = virtualClock()
    const budget = new TokenBudget('api', DEFAULTS.retryBudget, clock)
    drain(budget)
    await clock.advance(59_000)
    expect(budget.tryTake()).toBe(false)
    await clock.advance(1000)
    expect(budget.tryTake()).toBe(true)
    await clock.advance(3_600_000)
    expect(drain(budget)).toBe(10)
  })

  test('earns as many a minute as it is told', async () => {
    const clock = virtualClock()
    const budget = new TokenBudget('api', { ...DEFAULTS.retryBudget, perMinute: 6 }, clock)
    drain(budget)
    await clock.advance(20_000)
    expect(drain(budget)).toBe(2)
  })

  test('gives back what extra attempts have cost, when the call succeeds or the attempt was not needed', () => {
    const budget = new TokenBudget(
      'api',
      { capacity: 10, perRetry: 2, perSuccess: 0, perMinute: 0 },
      virtualClock(),
    )
    expect(drain(budget)).toBe(5)
    budget.succeeded(3)
    expect(budget.tokens).toBe(6)
    budget.giveBack()
    expect(budget.tokens).toBe(8)
  })

  test('calls of one key share a budget, others do not', () => {
    const budgets = new RetryBudgets({ capacity: 1 }, 10, virtualClock())
    expect(budgets.get('a').tryTake()).toBe(true)
    expect(budgets.get('a').tryTake()).toBe(false)
    expect(budgets.get('b').tryTake()).toBe(true)
  })

  test('all that are kept can be looked at', () => {
    const budgets = new RetryBudgets({}, 10, virtualClock())
    budgets.get('a').tryTake()
    budgets.get('b')
    expect([...budgets].map(({ key, tokens }) => [key, tokens])).toEqual([
      ['a', DEFAULTS.retryBudget.capacity - 1],
      ['b', DEFAULTS.retryBudget.capacity],
    ])
  })

  test('full budgets are forgotten, to keep no more than maxKeys', () => {
    const budgets = new RetryBudgets({}, 1, virtualClock())
    const first = budgets.get('a')
    expect(budgets.get('a')).toBe(first)
    budgets.get('b')
    expect(budgets.get('a')).not.toBe(first)
  })

  test('only full budgets are forgotten: forgetting one must not refill it', () => {
    const budgets = new RetryBudgets({ capacity: 1 }, 2, virtualClock())
    budgets.get('spent').tryTake()
    budgets.get('full')
    budgets.get('another')
    expect(budgets.get('spent').tryTake()).toBe(false)
  })

  test('a pipeline’s calls share one, unless they or the policy have a key', async () => {
    const lent = async (
      options: RetryBudgetOptions,
      keys: string[],
    ): Promise<(AttemptBudget | undefined)[]> => {
      const run = pipeline(retryBudget({ ...options, clock: virtualClock() }))
      return Promise.all(keys.map((key) => run.execute(({ budget }) => budget, key === '' ? {} : { key })))
    }
    const kinds = async (options: RetryBudgetOptions, keys: string[]): Promise<number> =>
      new Set(await lent(options, keys)).size
    expect(await kinds({}, ['', '', 'default'])).toBe(1)
    expect(await kinds({}, ['a', 'b', 'a'])).toBe(2)
    expect(await kinds({ key: () => 'all' }, ['a', 'b'])).toBe(1)
    expect(await kinds({ maxKeys: 1 }, ['a', 'b', 'a'])).toBe(3)
  })

  test('has a name, and shows its settings with the defaults', () => {
    expect(retryBudget({ capacity: 5 })).toMatchObject({
      name: 'retry-budget',
      settings: { ...DEFAULTS.retryBudget, capacity: 5 },
    })
  })

  test('agrees with a plain model over random sequences', async () => {
    const step = fc.oneof(
      fc.constant({ kind: 'take' as const }),
      fc.record({ kind: fc.constant('success' as const), extra: fc.integer({ min: 0, max: 4 }) }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 300_000 }) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const clock = virtualClock()
        const budget = new TokenBudget('api', DEFAULTS.retryBudget, clock)
        // The model counts in whole numbers, 600,000 a token, so that no rounding can hide.
        let units = 10 * 600_000
        for (const each of steps) {
          if (each.kind === 'pass') {
            await clock.advance(each.ms)
            units = Math.min(6_000_000, units + each.ms * 10)
          } else if (each.kind === 'success') {
            budget.succeeded(each.extra)
            units = Math.min(6_000_000, units + 60_000 + each.extra * 600_000)
          } else {
            const expected = units >= 600_000
            if (expected) units -= 600_000
            expect(budget.tryTake()).toBe(expected)
          }
        }
      }),
      { numRuns: 60 },
    )
  })

  test.each([
    [{ perSuccess: -1 }, 'retryBudget.perSuccess should be a number >= 0, got -1'],
    [{ perRetry: 0 }, 'retryBudget.perRetry should be a number > 0, got 0'],
    [{ tokens: 1 }, 'retryBudget has no option "tokens"'],
  ])('refuses %j', (options, message) => {
    expect(() => retryBudget(options as RetryBudgetOptions)).toThrow(message)
  })
})
