import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, test, vi } from 'vitest'
import { deferred, watch } from '../../test/support/operations.ts'
import type { Clock } from '../primitives/clock.ts'
import { isHoldfastError, TimeoutError } from '../primitives/errors.ts'
import type { HoldfastEvent } from '../core/events.ts'
import { pipeline } from '../core/pipeline.ts'
import { Context, Execution } from '../core/policy.ts'
import { Scope } from '../primitives/signal.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { circuitBreaker } from './circuit-breaker/circuit-breaker.ts'
import { retry } from './retry.ts'
import { timeout, type TimeoutOptions } from './timeout.ts'

const random = (): number => 0.5
const never = (): Promise<never> => new Promise(() => {})

describe('timeout', () => {
  test('rejects at once even where the function ignores the signal', async () => {
    const clock = virtualClock()
    const result = watch(pipeline(timeout({ attemptMs: 100, clock })).execute(never))
    await clock.advance(99)
    expect(result.settled).toBe(false)
    await clock.advance(1)
    expect(result.error).toBeInstanceOf(TimeoutError)
    expect(result.error).toMatchObject({ name: 'TimeoutError', code: 'ERR_ATTEMPT_TIMEOUT', timeoutMs: 100 })
    expect(String(result.error)).toBe('TimeoutError: the attempt took longer than 100 ms')
    expect(isHoldfastError(result.error)).toBe(true)
  })

  test('aborts the signal with the very error, and says that it was no caller', async () => {
    const clock = virtualClock()
    let seen: Context | undefined
    const result = watch(
      pipeline(timeout({ totalMs: 100, clock })).execute((context) => {
        seen = context
        return never()
      }),
    )
    const signal = seen?.signal
    await clock.advance(100)
    expect(result.error).toMatchObject({
      code: 'ERR_TOTAL_TIMEOUT',
      message: 'the call with its retries took longer than 100 ms',
    })
    expect(signal?.reason).toBe(result.error)
    expect(seen?.scope.abortedBy).toBe('timeout')
  })

  test('a retry that follows runs in the async context of its call, not of the timer', async () => {
    const clock = virtualClock()
    const context = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    const attempts = pipeline(retry({ maxRetries: 1, clock, random }), timeout({ attemptMs: 100, clock }))
    const result = watch(
      context.run('call', () =>
        attempts.execute(() => {
          seen.push(context.getStore())
          return seen.length === 1 ? never() : Promise.resolve('second')
        }),
      ),
    )
    await context.run('timer', () => clock.advance(2000))
    expect(result).toMatchObject({ value: 'second' })
    expect(seen).toEqual(['call', 'call'])
  })

  test('a listener is told of a total timeout in the async context of its call', async () => {
    const context = new AsyncLocalStorage<string>()
    const virtual = virtualClock()
    // As of the platform's: a timer that was taken over runs in the context of who armed it first.
    const clock: Clock = {
      now: () => virtual.now(),
      wallNow: () => virtual.wallNow(),
      schedule(callback, delayMs, options) {
        const where = options?.dueMs === undefined ? context.getStore() : 'another call'
        return virtual.schedule(() => context.run(where ?? 'none', callback), delayMs)
      },
    }
    const seen: unknown[] = []
    const onEvent = ({ type }: HoldfastEvent): void => void seen.push([type, context.getStore()])
    const calls = pipeline(timeout({ totalMs: 100, clock, onEvent }))
    const result = watch(context.run('call', () => calls.execute(() => never())))
    await virtual.advance(100)
    expect(result.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect(seen).toEqual([['timeout', 'call']])
  })

  test('only a timer that tells nobody, or in the context of its call, may be shared with other calls', async () => {
    const virtual = virtualClock()
    const due: (number | undefined)[] = []
    const clock: Clock = {
      now: () => virtual.now(),
      wallNow: () => virtual.wallNow(),
      schedule(callback, delayMs, options) {
        due.push(options?.dueMs)
        return virtual.schedule(callback, delayMs, options)
      },
    }
    const onEvent = (): void => {}
    await pipeline(timeout({ totalMs: 100, clock })).execute(() => 'done')
    await pipeline(timeout({ attemptMs: 100, clock, onEvent })).execute(() => 'done')
    await pipeline(timeout({ totalMs: 100, clock, onEvent })).execute(() => 'done')
    await pipeline(timeout({ totalMs: 100, clock })).execute(() => 'done', { onEvent })
    expect(due).toEqual([100, 100, undefined, undefined])
  })

  test('an attempt that ends as its time does is not said to have timed out', async () => {
    // Fake timers may run all that is due in one step, before any promise is heard.
    const due: (() => void)[] = []
    const clock: Clock = {
      now: () => 0,
      wallNow: () => 0,
      schedule: (callback) => ({ cancel: () => {}, at: due.push(callback) }),
    }
    const events: HoldfastEvent[] = []
    const attempts = pipeline(
      timeout({ totalMs: 100, clock, onEvent: (event) => events.push(event) }),
      timeout({ attemptMs: 50, clock, onEvent: (event) => events.push(event) }),
    )
    const call = attempts.execute(never)
    for (const callback of due.toReversed()) callback()
    await expect(call).rejects.toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect(events).toMatchObject([{ type: 'timeout', kind: 'total' }])
  })

  test('work that cannot begin leaves no timer', async () => {
    const clock = virtualClock()
    const key = (): string => {
      throw new TypeError('no key')
    }
    const result = watch(
      pipeline(timeout({ totalMs: 100, clock }), circuitBreaker({ key, clock })).execute(never),
    )
    await clock.settle()
    expect(result.error).toEqual(new TypeError('no key'))
    expect(clock.pending).toBe(0)
  })

  test('what comes too late is discarded, what is in time is not', async () => {
    const clock = virtualClock()
    const discard = vi.fn<(value: unknown) => void>()
    const [inTime, late] = [deferred<string>(), deferred<string>()]
    const run = pipeline(timeout({ attemptMs: 100, clock, discard }))
    const results = [inTime, late].map(({ promise }) => watch(run.execute(() => promise)))
    inTime.resolve('in time')
    await clock.advance(100)
    late.resolve('late')
    await clock.settle()
    expect(results).toMatchObject([{ value: 'in time' }, { error: { code: 'ERR_ATTEMPT_TIMEOUT' } }])
    expect(discard.mock.calls).toEqual([['late']])
  })

  test('what the caller’s discard() throws goes nowhere', async () => {
    const clock = virtualClock()
    const late = deferred<string>()
    const discard = vi.fn<() => void>(() => {
      throw new Error('not to be seen')
    })
    const result = watch(pipeline(timeout({ attemptMs: 100, clock, discard })).execute(() => late.promise))
    await clock.advance(100)
    late.resolve('late')
    await clock.settle()
    expect(discard).toHaveBeenCalledOnce()
    expect(result.error).toMatchObject({ code: 'ERR_ATTEMPT_TIMEOUT' })
  })

  test('what comes too late, with nobody to discard it, goes unnoticed', async () => {
    const clock = virtualClock()
    const late = deferred<string>()
    const result = watch(pipeline(timeout({ attemptMs: 100, clock })).execute(() => late.promise))
    await clock.advance(100)
    late.resolve('late')
    await clock.settle()
    expect(result.error).toMatchObject({ code: 'ERR_ATTEMPT_TIMEOUT' })
  })

  test('a call that was called off before rejects at once, and leaves no timer', async () => {
    const clock = virtualClock()
    const scope = new Scope()
    scope.abort('left', 'caller')
    const result = watch(
      timeout({ attemptMs: 100, clock }).wrap(never)(new Context(new Execution(never), scope)),
    )
    await clock.settle()
    expect(result.error).toBe('left')
    expect(clock.pending).toBe(0)
  })

  test('does nothing to what is in time, and leaves no timer', async () => {
    const clock = virtualClock()
    let seen: AbortSignal | undefined
    const result = await pipeline(timeout({ attemptMs: 100, clock })).execute(async ({ signal }) => {
      seen = signal
      return 'done'
    })
    expect(result).toBe('done')
    expect(clock.pending).toBe(0)
    await clock.advance(1000)
    expect(seen?.aborted).toBe(false)
  })

  test("the caller's abort ends it with the caller's reason, and leaves no timer", async () => {
    const clock = virtualClock()
    const controller = new AbortController()
    const result = watch(
      pipeline(timeout({ attemptMs: 100, clock })).execute(never, { signal: controller.signal }),
    )
    controller.abort('left')
    await clock.settle()
    expect(result.error).toBe('left')
    expect(clock.pending).toBe(0)
  })

  test('a total timeout names the last failure as its cause', async () => {
    const clock = virtualClock()
    const failure = new Error('down')
    const run = pipeline(timeout({ totalMs: 5000, clock }), retry({ clock, random })).execute(
      ({ attempt }) => {
        if (attempt === 1) throw failure
        return never()
      },
    )
    const result = watch(run)
    await clock.advance(5000)
    expect(result.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT', cause: failure })
  })

  test('each attempt has the full time, and its own signal', async () => {
    const clock = virtualClock()
    const signals: AbortSignal[] = []
    const gate = deferred<string>()
    const result = watch(
      pipeline(retry({ clock, random }), timeout({ attemptMs: 100, clock })).execute(
        ({ signal, attempt }) => {
          signals.push(signal)
          return attempt === 1 ? never() : gate.promise
        },
      ),
    )
    await clock.advance(100 + 1000 + 99)
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
    gate.resolve('done')
    await clock.settle()
    expect(result.value).toBe('done')
  })

  test('an attempt that begins later has the full time too, under a total timeout', async () => {
    const clock = virtualClock()
    const policies = pipeline(
      timeout({ totalMs: 10_000, clock }),
      retry({ maxRetries: 1, baseDelayMs: 1000, jitter: 'none', clock }),
      {
        name: 'refuses the first',
        wrap: (next) => async (context) => {
          if (context.attempt === 1) throw new Error('refused')
          return next(context)
        },
      },
      timeout({ attemptMs: 500, clock }),
    )
    let deadline = 0
    const result = watch(policies.execute((context) => void (deadline = context.deadline)))
    await clock.advance(1000)
    expect([result.settled, deadline]).toEqual([true, 1500])
  })

  test('a call inside another has the time of its own clock', async () => {
    const [outerClock, innerClock] = [virtualClock(), virtualClock()]
    await innerClock.advance(1_000_000)
    const inner = pipeline(timeout({ attemptMs: 100, clock: innerClock }))
    const outer = pipeline(timeout({ totalMs: 1000, clock: outerClock }))
    let deadline = 0
    await outer.execute(() => inner.execute((context) => void (deadline = context.deadline)))
    expect(deadline).toBe(1_000_100)
  })

  test('the total timeout wins where both end together', async () => {
    const clock = virtualClock()
    const result = watch(
      pipeline(timeout({ totalMs: 100, clock }), timeout({ attemptMs: 100, clock })).execute(never),
    )
    expect(clock.pending).toBe(1)
    await clock.advance(100)
    expect(result.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
  })

  test('tells that it has fired', async () => {
    const clock = virtualClock()
    const events: HoldfastEvent[] = []
    const onEvent = (event: HoldfastEvent): void => void events.push(event)
    watch(pipeline(timeout({ attemptMs: 100, clock, onEvent })).execute(never))
    await clock.advance(100)
    expect(events).toEqual([{ type: 'timeout', kind: 'attempt', timeoutMs: 100 }])
  })

  test('is named after what it ends, and shows its time', () => {
    expect(timeout({ attemptMs: 1 })).toMatchObject({ name: 'attempt-timeout', settings: { attemptMs: 1 } })
    expect(timeout({ totalMs: 2 })).toMatchObject({ name: 'total-timeout', settings: { totalMs: 2 } })
  })

  test.each([
    [{ ms: 1 } as TimeoutOptions, 'timeout has no option "ms"; it has attemptMs, totalMs'],
    [{}, 'timeout should be given either attemptMs (inside retry) or totalMs (outside retry)'],
    [{ attemptMs: 1, totalMs: 2 }, 'timeout should be given either attemptMs'],
    [{ attemptMs: 0 }, 'timeout.attemptMs should be a number > 0, got 0'],
    [{ totalMs: Number.NaN }, 'timeout.totalMs should be a number > 0, got NaN'],
    [{ totalMs: Infinity }, 'timeout.totalMs should be a number > 0, got Infinity'],
  ])('refuses %j', (options, message) => {
    expect(() => timeout(options)).toThrow(message)
  })
})
