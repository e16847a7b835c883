import { describe, expect, test, vi } from 'vitest'
import { deferred, failing, watch } from '../../test/support/operations.ts'
import { DEFAULTS } from '../primitives/defaults.ts'
import { CircuitOpenError } from '../primitives/errors.ts'
import type { HoldfastEvent } from '../core/events.ts'
import { pipeline } from '../core/pipeline.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { retry, type RetryDecision, type RetryOptions } from './retry.ts'
import { retryBudget } from './retry-budget.ts'
import { timeout } from './timeout.ts'

const random = (): number => 0.5

function fails(): never {
  throw new Error('a bug')
}

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

  test('a rule that says nothing is a no, and hides no failure', async () => {
    const nothing = (() => undefined) as unknown as () => boolean
    const result = pipeline(retry({ shouldRetry: nothing })).execute(failing(1, 'done'))
    await expect(result).rejects.toThrow('failure 1')
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
    const shouldRetry = vi.fn<() => boolean>(() => true)
    const onEvent = vi.fn<(event: HoldfastEvent) => void>()
    let calls = 0
    const result = watch(
      pipeline(retry({ clock, random, shouldRetry, onEvent })).execute(
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
    expect(shouldRetry).not.toHaveBeenCalled()
    expect(onEvent).not.toHaveBeenCalled()
  })

  test('a result that comes after the end reaches who discards it', async () => {
    const clock = virtualClock()
    const discard = vi.fn<(value: unknown) => void>()
    const late = deferred<string>()
    const run = pipeline(timeout({ totalMs: 100, clock, discard }), retry({ clock, random }))
    const result = watch(run.execute(() => late.promise))
    await clock.advance(100)
    late.resolve('late')
    await clock.settle()
    expect(result.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect(discard.mock.calls).toEqual([['late']])
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

  test('an open circuit has no cause without a failure, and keeps its own', async () => {
    const clock = virtualClock()
    const alone = new CircuitOpenError('key', 1000)
    const withOwn = new CircuitOpenError('key', 1000, { cause: 'its own' })
    const run = pipeline(retry({ clock, random }))
    const first = watch(run.execute(() => Promise.reject(alone)))
    const second = watch(
      run.execute(({ attempt }) => Promise.reject(attempt === 1 ? new Error('down') : withOwn)),
    )
    await clock.runAll()
    expect([first.error, second.error]).toEqual([alone, withOwn])
    expect([alone.cause, withOwn.cause]).toEqual([undefined, 'its own'])
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

  test.each<[string, RetryOptions<string>]>([
    ['a rule', { shouldRetry: fails }],
    ['a rule that takes its time', { shouldRetry: async () => fails() }],
    ['a jitter', { jitter: fails, shouldRetry: () => true }],
  ])('a result that %s throws at is let go, since nobody will read it', async (_, options) => {
    const discard = vi.fn<(value: string) => void>()
    const result = pipeline(retry<string>({ ...options, discard })).execute(async () => 'result')
    await expect(result).rejects.toThrow('a bug')
    expect(discard.mock.calls).toEqual([['result']])
  })

  test('a result that was let go is let go once, though the wait after it is called off', async () => {
    const clock = virtualClock()
    const discard = vi.fn<(value: string) => void>()
    const controller = new AbortController()
    const policy = retry<string>({ clock, discard, shouldRetry: () => true })
    const result = watch(pipeline(policy).execute(async () => 'result', controller))
    await clock.advance(10)
    controller.abort('called off')
    await clock.settle()
    expect(result.error).toBe('called off')
    expect(discard).toHaveBeenCalledOnce()
  })

  test('where an attempt threw there is nothing to discard', async () => {
    const clock = virtualClock()
    const discard = vi.fn<(value: unknown) => void>()
    const result = pipeline(retry({ clock, random, discard })).execute(failing(2, 'done'))
    await clock.runAll()
    expect(await result).toBe('done')
    expect(discard).not.toHaveBeenCalled()
  })

  test('shouldRetry can end it at once', async () => {
    const clock = virtualClock()
    const operation = failing(1, 'never')
    const events: HoldfastEvent[] = []
    const onEvent = (event: HoldfastEvent): void => void events.push(event)
    const result = watch(
      pipeline(retry({ clock, random, onEvent, shouldRetry: async () => false })).execute(operation),
    )
    await clock.runAll()
    expect(operation.calls).toBe(1)
    expect(result.error).toEqual(new Error('failure 1'))
    expect(events).toMatchObject([{ type: 'give-up', reason: 'final', attempt: 1 }])
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

  test('free waits grow like other delays, and apart from them', async () => {
    const clock = virtualClock()
    const decisions: RetryDecision[] = [
      { kind: 'retry', free: true },
      { kind: 'retry', free: true },
      { kind: 'retry' },
      { kind: 'retry', free: true },
      { kind: 'accept' },
    ]
    const delaysMs: number[] = []
    const policy = retry({
      clock,
      random,
      shouldRetry: () => decisions.shift() ?? false,
      onDelay: (delayMs) => delaysMs.push(delayMs),
    })
    const result = pipeline(policy).execute(async () => 'done')
    await clock.runAll()
    expect(await result).toBe('done')
    expect(delaysMs).toEqual([1000, 2000, 1000, 4000])
  })

  test('tells of each retry, and that there are none left', async () => {
    const clock = virtualClock()
    const events: HoldfastEvent[] = []
    const onEvent = (event: HoldfastEvent): void => void events.push(event)
    watch(pipeline(retry({ clock, random, onEvent, maxRetries: 1 })).execute(failing(9, 'never')))
    await clock.runAll()
    expect(events).toEqual([
      { type: 'retry', delayMs: 1000, attempt: 1, error: new Error('failure 1') },
      { type: 'give-up', reason: 'exhausted', attempt: 2, error: new Error('failure 2') },
    ])
  })

  test('describes outcomes only to who listens', async () => {
    const clock = virtualClock()
    const describe = vi.fn<() => { status: number }>(() => ({ status: 503 }))
    const run = pipeline(retry({ clock, random, describe, maxRetries: 0 }))
    await expect(run.execute(failing(1, 'never'))).rejects.toThrow('failure 1')
    expect(describe).not.toHaveBeenCalled()
    const onEvent = vi.fn<(event: HoldfastEvent) => void>()
    await expect(run.execute(failing(1, 'never'), { onEvent })).rejects.toThrow('failure 1')
    expect(onEvent.mock.lastCall?.[0]).toEqual({
      type: 'give-up',
      reason: 'exhausted',
      attempt: 1,
      status: 503,
    })
  })

  test('gives up before sleeping when the deadline would pass meanwhile', async () => {
    const clock = virtualClock()
    const events: HoldfastEvent[] = []
    const onEvent = (event: HoldfastEvent): void => void events.push(event)
    const result = watch(
      pipeline(timeout({ totalMs: 3000, clock }), retry({ clock, random, onEvent })).execute(
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

  test('has a name, and shows its settings with the defaults', () => {
    const { baseDelayMs, factor, maxDelayMs, jitter, maxRetries } = DEFAULTS.retry
    expect(retry()).toMatchObject({
      name: 'retry',
      settings: { baseDelayMs, factor, maxDelayMs, jitter, maxRetries },
    })
    const given = { baseDelayMs: 1, factor: 3, maxDelayMs: 5, jitter: 'none', maxRetries: 7 } as const
    expect(retry(given).settings).toEqual(given)
  })

  test.each([
    [{ factor: 0 }, 'retry.factor should be a number >= 1, got 0'],
    [{ maxRetries: -1 }, 'retry.maxRetries should be an integer >= 0, got -1'],
    [{ maxRetries: 1.5 }, 'retry.maxRetries should be an integer >= 0, got 1.5'],
    [{ shouldRetry: 'yes' as unknown as () => boolean }, 'retry.shouldRetry should be a function, got "yes"'],
    [{ retries: 3 }, 'retry has no option "retries"; it has maxRetries'],
  ])('refuses %j', (options, message) => {
    expect(() => retry(options as RetryOptions)).toThrow(message)
  })
})
