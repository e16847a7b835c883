import { describe, expect, test, vi } from 'vitest'
import { Hearing } from '../../test/support/hearing.ts'
import { deferred, failing, watch } from '../../test/support/operations.ts'
import { stoppedClock } from '../../test/support/stopped-clock.ts'
import type { HoldfastEvent } from '../core/events.ts'
import { pipeline } from '../core/pipeline.ts'
import { Context, Execution, type AttemptBudget } from '../core/policy.ts'
import { Scope } from '../primitives/signal.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { retry, retryBy, type Attempts, type RetryDecision, type RetryOptions } from './retry.ts'
import { timeout } from './timeout.ts'

const random = (): number => 0.5

describe('a rule that takes its time', () => {
  test('may say all that one at once may', async () => {
    const clock = virtualClock()
    const decisions: RetryDecision[] = [{ kind: 'retry', minDelayMs: 1500 }, { kind: 'accept' }]
    const delaysMs: number[] = []
    const policy = retry({
      clock,
      random,
      shouldRetry: async () => decisions.shift() ?? true,
      onDelay: (delayMs) => delaysMs.push(delayMs),
    })
    const result = pipeline(policy).execute(async ({ attempt }) => attempt)
    await clock.runAll()
    expect(await result).toBe(2)
    expect(delaysMs).toEqual([1500])
  })

  test('may stop it, for a reason of its own', async () => {
    const events: HoldfastEvent[] = []
    const policy = retry({
      shouldRetry: async () => ({ kind: 'stop', reason: 'body' }),
      onEvent: (event) => events.push(event),
    })
    await expect(pipeline(policy).execute(failing(9, 'never'))).rejects.toThrow('failure 1')
    expect(events).toMatchObject([{ type: 'give-up', reason: 'body' }])
  })

  test('comes too late where the call has ended meanwhile: nothing is paid or told', async () => {
    const clock = virtualClock()
    const rule = deferred<boolean>()
    const onEvent = vi.fn<(event: HoldfastEvent) => void>()
    const budget = { tryTake: vi.fn<() => boolean>(), succeeded() {}, giveBack() {} } satisfies AttemptBudget
    const scope = new Scope()
    const attempts = retry({ clock, random, onEvent, shouldRetry: () => rule.promise }).wrap(failing(9, ''))
    const result = watch(attempts(new Context(new Execution(undefined), scope, Infinity, budget)))
    await clock.settle()
    scope.abort('left', 'caller')
    rule.resolve(true)
    await clock.runAll()
    expect(result.error).toEqual(new Error('failure 1'))
    expect([onEvent.mock.calls, budget.tryTake.mock.calls]).toEqual([[], []])
  })
})

test('an abort during the backoff is heard of by a policy of one’s own outside', async () => {
  const clock = virtualClock()
  const controller = new AbortController()
  const heard = new Hearing()
  watch(pipeline(heard, retry({ clock, random })).execute(failing(9, 'never'), controller))
  await clock.settle()
  controller.abort('left')
  await clock.settle()
  expect(heard.errors).toEqual(['left'])
})

describe('a process that was stopped in the backoff', () => {
  test('wakes too late for another attempt', async () => {
    const clock = stoppedClock()
    const operation = failing(9, 'never')
    const limited = pipeline(timeout({ totalMs: 6000, clock }), retry({ clock, random }))
    const result = watch(limited.execute(operation))
    await clock.advance(0)
    await clock.stop(6000)
    expect(result.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect(operation.calls).toBe(1)
  })

  test('goes on where nothing ends the call, though its time is over', async () => {
    const clock = stoppedClock()
    const attempts = retry({ clock, random }).wrap(failing(1, 'done'))
    const result = watch(attempts(new Context(new Execution(undefined), new Scope(), 6000)))
    await clock.advance(0)
    await clock.stop(6000)
    expect(result.settled).toBe(false)
    await clock.advance(1)
    expect(result.value).toBe('done')
  })
})

describe('a value that may fail late', () => {
  type KeepString = (value: string, context: Context, attempts: Attempts<string>) => Promise<string>

  function bench(keep: KeepString, options: RetryOptions<string> = {}) {
    const clock = virtualClock()
    const contexts: Context[] = []
    const policy = retryBy<string>({ clock, random, ...options }, keep)
    const run = (work: (attempt: number) => string) =>
      watch(
        pipeline(policy).execute((context) => {
          contexts.push(context)
          return work(context.attempt)
        }),
      )
    return { clock, contexts, run }
  }

  test('is given as what is kept of it', async () => {
    const { clock, run } = bench(async (value, _, { attempt }) => `kept ${value} of attempt ${attempt}`)
    const result = run(() => 'value')
    await clock.settle()
    expect(result.value).toBe('kept value of attempt 1')
  })

  test('a failure is no value to keep', async () => {
    const keep = vi.fn<KeepString>(async (value) => value)
    const { clock, run } = bench(keep, { maxRetries: 1 })
    const result = run((attempt) => {
      throw new Error(`failure ${attempt}`)
    })
    await clock.runAll()
    expect(result.error).toEqual(new Error('failure 2'))
    expect(keep).not.toHaveBeenCalled()
  })

  test('goes on as if its attempt had failed, and counts on', async () => {
    const events: HoldfastEvent[] = []
    const late = new Error('broken')
    const { clock, contexts, run } = bench(
      async (value, context, attempts) => `${value}, ${await attempts.failedLate(late, context)}`,
      { onEvent: (event) => events.push(event) },
    )
    const result = run((attempt) => {
      if (attempt === 2) throw new Error('down')
      return String(attempt)
    })
    await clock.runAll()
    expect(result.value).toBe('1, 3')
    expect(contexts.map(({ attempt }) => attempt)).toEqual([1, 2, 3])
    expect(events).toMatchObject([
      { type: 'retry', attempt: 1, error: late },
      { type: 'retry', attempt: 2, error: new Error('down') },
    ])
  })

  test('and so does what ends such attempts', async () => {
    const { clock, run } = bench(
      (_, context, attempts) => attempts.failedLate(new Error('broken'), context),
      {
        maxRetries: 1,
      },
    )
    const result = run((attempt) => {
      if (attempt === 1) return 'value'
      throw new Error('down')
    })
    await clock.runAll()
    expect(result.error).toEqual(new Error('down'))
  })

  test('each attempt can be broken off by itself', async () => {
    const { clock, contexts, run } = bench(async (_, context, attempts) => {
      contexts[0]?.scope.abort('broken off', 'timeout')
      expect(context.scope.aborted).toBe(false)
      return attempts.failedLate(new Error('broken'), context)
    })
    const result = run(String)
    await clock.runAll()
    expect(result.value).toBe('2')
    expect(contexts.map(({ scope }) => scope.aborted)).toEqual([true, false])
  })

  test('without late failures attempts have the scope of the call', async () => {
    const scope = new Scope()
    const seen: Scope[] = []
    const next = retry({ random }).wrap(async (context) => seen.push(context.scope))
    await next(new Context(new Execution(undefined), scope))
    expect(seen).toEqual([scope])
    expect(seen[0]).toBe(scope)
  })
})
