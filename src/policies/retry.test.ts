import { describe, expect, test, vi } from 'vitest'
import { deferred, failing, watch } from '../../test/support/operations.ts'
import { CircuitOpenError } from '../errors.ts'
import type { HoldfastEvent } from '../events.ts'
import { pipeline } from '../pipeline.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { retry, type RetryDecision, type RetryOptions } from './retry.ts'
import { retryBudget } from './retry-budget.ts'
import { timeout } from './timeout.ts'

const random = (): number => 0.5

describe('retry', () => {
  test('tries again after 1 s, 2 s, 4 s and 8 s, then succeeds', async () => {
    const clock = virtualClock()
    const operation = failing(4, 'done')
    const result = pipeline(retry({ clock, random })).execute(operation)
    const callsAfter: number[] = []
    for (const ms of [999, 1, 1999, 1, 3999, 1, 7999, 1]) {
      await clock.advance(ms)
      callsAfter.push(operation.calls)
    }
    expect(callsAfter).toEqual([1, 2, 2, 3, 3, 4, 4, 5])
    expect(await result).toBe('done')
  })

  test('gives up after 4 retries with the last error as it is', async () => {
    const clock = virtualClock()
    const errors = [1, 2, 3, 4, 5].map((n) => new Error(String(n)))
    const attempts: number[] = []
    const result = watch(
      pipeline(retry({ clock, random })).execute(async ({ attempt }) => {
        attempts.push(attempt)
        throw errors[attempt - 1]
      }),
    )
    await clock.runAll()
    expect(attempts).toEqual([1, 2, 3, 4, 5])
    expect(result.error).toBe(errors[4])
  })

  test('an operation that throws before it returns a promise is retried like any other', async () => {
    const clock = virtualClock()
    let calls = 0
    const result = pipeline(retry({ clock, random })).execute(() => {
      calls++
      if (calls === 1) throw new Error('at once')
      return calls
    })
    await clock.runAll()
    expect(await result).toBe(2)
  })

  test('an abort during backoff rejects at once with the reason and makes no further attempt', async () => {
    const clock = virtualClock()
    const operation = failing(9, 'never')
    const controller = new AbortController()
    const result = watch(pipeline(retry({ clock, random })).execute(operation, { signal: controller.signal }))
    await clock.settle()
    const reason = { why: 'the user left' }
    controller.abort(reason)
    await clock.settle()
    expect(result.error).toBe(reason)
    expect(clock.pending).toBe(0)
    await clock.advance(60_000)
    expect(operation.calls).toBe(1)
  })

  test("an operation that fails by the caller's abort is not tried again", async () => {
    const clock = virtualClock()
    const controller = new AbortController()
    let calls = 0
    const result = watch(
      pipeline(retry({ clock, random })).execute(
        async ({ signal }) => {
          calls++
          controller.abort('left')
          throw signal.reason
        },
        { signal: controller.signal },
      ),
    )
    await clock.runAll()
    expect(calls).toBe(1)
    expect(result.error).toBe('left')
  })

  test('an open circuit is never retried, and names the last failure as its cause', async () => {
    const clock = virtualClock()
    const failure = new Error('down')
    const open = new CircuitOpenError('key', 1000)
    const outcomes = [failure, open]
    const result = watch(
      pipeline(retry({ clock, random })).execute(async ({ attempt }) => {
        throw outcomes[attempt - 1]
      }),
    )
    await clock.runAll()
    expect(result.error).toBe(open)
    expect(open.cause).toBe(failure)
  })

  test('shouldRetry can retry a result, which is discarded first', async () => {
    const clock = virtualClock()
    const discard = vi.fn<(value: number) => void>()
    const policy = retry<number>({ clock, random, discard, shouldRetry: ({ ok }) => ok })
    const result = pipeline(policy).execute(async ({ attempt }) => attempt)
    await clock.runAll()
    expect(await result).toBe(5)
    expect(discard.mock.calls).toEqual([[1], [2], [3], [4]])
  })

  test('shouldRetry can end it at once', async () => {
    const clock = virtualClock()
    const operation = failing(1, 'never')
    const result = watch(
      pipeline(retry({ clock, random, shouldRetry: async () => false })).execute(operation),
    )
    await clock.runAll()
    expect(operation.calls).toBe(1)
    expect(result.error).toEqual(new Error('failure 1'))
  })

  test('a lower bound of the delay wins over a shorter backoff, not over a longer one', async () => {
    const clock = virtualClock()
    const delaysMs: number[] = []
    const policy = retry({
      clock,
      random,
      maxRetries: 2,
      shouldRetry: () => ({ kind: 'retry', minDelayMs: 1500 }),
      onDelay: (delayMs) => delaysMs.push(delayMs),
    })
    const result = watch(pipeline(policy).execute(failing(9, 'never')))
    await clock.runAll()
    expect(delaysMs).toEqual([1500, 2000])
    expect(result.settled).toBe(true)
  })

  test('a free wait costs neither a retry nor a token', async () => {
    const clock = virtualClock()
    const decisions: RetryDecision[] = [
      ...Array.from({ length: 20 }, (): RetryDecision => ({ kind: 'retry', free: true })),
      { kind: 'retry' },
      { kind: 'accept' },
    ]
    const policies = [
      retryBudget({ clock, capacity: 1, perMinute: 0 }),
      retry({ clock, random, maxRetries: 1, shouldRetry: () => decisions.shift() ?? false }),
    ]
    const result = pipeline(...policies).execute(async ({ attempt }) => attempt)
    await clock.runAll()
    expect(await result).toBe(22)
  })

  test('gives up before sleeping when the deadline would pass meanwhile', async () => {
    const clock = virtualClock()
    const events: HoldfastEvent[] = []
    const onEvent = (event: HoldfastEvent): void => void events.push(event)
    const result = watch(
      pipeline(timeout({ totalMs: 2900, clock }), retry({ clock, random, onEvent })).execute(
        failing(9, 'never'),
      ),
    )
    await clock.advance(1000)
    expect(result.error).toEqual(new Error('failure 2'))
    expect(events.map(({ type }) => type)).toEqual(['retry', 'give-up'])
    expect(events[1]).toMatchObject({ reason: 'deadline', attempt: 2, error: new Error('failure 2') })
  })

  test('gives up before sleeping when the budget is empty', async () => {
    const clock = virtualClock()
    const events: HoldfastEvent[] = []
    const onEvent = (event: HoldfastEvent): void => void events.push(event)
    const policies = [retryBudget({ clock, capacity: 2 }), retry({ clock, random, onEvent })]
    const operation = failing(9, 'never')
    const result = watch(pipeline(...policies).execute(operation))
    await clock.runAll()
    expect(operation.calls).toBe(3)
    expect(result.error).toEqual(new Error('failure 3'))
    expect(events.at(-1)).toMatchObject({ type: 'give-up', reason: 'budget' })
  })

  test('a success gives back what its retries have cost', async () => {
    const clock = virtualClock()
    const run = pipeline(
      retryBudget({ clock, capacity: 2, perSuccess: 0, perMinute: 0 }),
      retry({ clock, random }),
    )
    for (let call = 0; call < 3; call++) {
      const result = run.execute(failing(2, 'done'))
      await clock.runAll()
      expect(await result).toBe('done')
    }
  })

  test('retries after an attempt timeout', async () => {
    const clock = virtualClock()
    const hang = deferred<string>()
    const result = pipeline(retry({ clock, random }), timeout({ attemptMs: 100, clock })).execute(
      ({ attempt }) => (attempt === 1 ? hang.promise : 'in time'),
    )
    await clock.runAll()
    expect(await result).toBe('in time')
  })

  test.each([
    [{ maxRetries: -1 }, 'retry.maxRetries should be an integer >= 0, got -1'],
    [{ maxRetries: 1.5 }, 'retry.maxRetries should be an integer >= 0, got 1.5'],
    [{ shouldRetry: 'yes' as unknown as () => boolean }, 'retry.shouldRetry should be a function, got "yes"'],
    [{ retries: 3 }, 'retry has no option "retries"; it has maxRetries'],
  ])('refuses %j', (options, message) => {
    expect(() => retry(options as RetryOptions)).toThrow(message)
  })
})
