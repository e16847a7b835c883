import { describe, expect, test } from 'vitest'
import { Hearing } from '../../../test/support/hearing.ts'
import { deferred, watch, type Deferred } from '../../../test/support/operations.ts'
import { DEFAULTS } from '../../primitives/defaults.ts'
import { delay } from '../../primitives/delay.ts'
import { CircuitOpenError, HoldfastError } from '../../primitives/errors.ts'
import { pipeline } from '../../core/pipeline.ts'
import { Context, Execution, type Policy } from '../../core/policy.ts'
import { Semaphore } from '../../structures/semaphore.ts'
import { Scope } from '../../primitives/signal.ts'
import { seededRandom } from '../../testing/seeded-random.ts'
import { virtualClock } from '../../testing/virtual-clock.ts'
import { circuitBreaker } from '../circuit-breaker/circuit-breaker.ts'
import { timeout } from '../timeout.ts'
import { concurrencyLimit, type ConcurrencyLimitOptions } from './concurrency-limit.ts'

/** A limiter around work that ends when it is told to. */
function bench(options: ConcurrencyLimitOptions = {}) {
  const clock = virtualClock()
  const policy = concurrencyLimit({ clock, ...options })
  const guarded = pipeline(policy)
  const started: Deferred<unknown>[] = []
  const run = (signal: AbortSignal | null = null, key = 'default') => {
    const work = (): Promise<unknown> => {
      const job = deferred<unknown>()
      started.push(job)
      return job.promise
    }
    return watch(guarded.execute(work, { signal, key }))
  }
  /** As many executions as make a window, one after the other, ended by `end`. */
  const runWindow = async (end: (job: Deferred<unknown>) => void): Promise<number> => {
    for (let done = 0; done < DEFAULTS.concurrencyLimit.initialLimit; done++) {
      run()
      await clock.settle()
      const job = started.at(-1)
      if (job !== undefined) end(job)
      await clock.settle()
    }
    return policy.places().limit
  }
  return { clock, policy, guarded, run, started, runWindow }
}

/** Does what hedging does to an attempt that was not the first. */
const race: Policy = {
  name: 'race',
  wrap: (next) => (context) => {
    const scope = new Scope(context.scope)
    const work = next(context.within(scope, context.deadline))
    scope.abort(new Error('lost'), 'race')
    return work
  },
}

describe('a wait at an open circuit is no load', () => {
  test.each(['goes on', 'times out'])('that %s', async (how) => {
    const clock = virtualClock()
    const limit = concurrencyLimit({ clock })
    const breaker = circuitBreaker({ clock, whenOpen: 'wait' })
    const circuit = breaker.circuits.get('default')
    const guarded = pipeline(timeout({ totalMs: 60_000, clock }), limit, breaker)
    // First it learns how quick the service is.
    for (let call = 0; call < 20; call++) await guarded.execute(() => clock.advance(1))
    for (let round = 0; round < 5; round++) {
      circuit.isolate()
      const waiting = Array.from({ length: 20 }, () => watch(guarded.execute(() => 'done')))
      await clock.advance(how === 'goes on' ? 10_000 : 60_000)
      circuit.reset()
      await clock.settle()
      expect(waiting.every(({ settled }) => settled)).toBe(true)
    }
    expect(limit.places()).toEqual({ running: 0, queued: 0, limit: 20 })
  })
})

describe('concurrencyLimit', () => {
  test('refuses what is beyond the limit, with the numbers', async () => {
    const { run, started, clock, policy } = bench({ initialLimit: 2 })
    const [, , third] = [run(), run(), run()]
    await clock.settle()
    expect(started).toHaveLength(2)
    expect(policy.places()).toEqual({ running: 2, queued: 0, limit: 2 })
    expect(String(third?.error)).toBe(
      'BulkheadFullError: concurrency limit of "default" is reached: 2 running (at most 2), 0 waiting (at most 0)',
    )
    expect(third?.error).toMatchObject({ code: 'ERR_BULKHEAD_FULL', key: 'default' })
  })

  test('maxQueued lets some wait, in order, and leave', async () => {
    const { run, started, clock, policy } = bench({ initialLimit: 1, maxQueued: 2 })
    const controller = new AbortController()
    run()
    const [leaving, staying] = [run(controller.signal), run()]
    await clock.settle()
    controller.abort('left')
    started[0]?.resolve(1)
    await clock.settle()
    started[1]?.resolve(2)
    await clock.settle()
    expect([leaving.error, staying.value]).toEqual(['left', 2])
    expect(policy.places().running).toBe(0)
  })

  test('an abort in the queue is heard of by a policy of one’s own outside', async () => {
    const { policy, run, clock } = bench({ initialLimit: 1, maxQueued: 1 })
    run()
    const controller = new AbortController()
    const heard = new Hearing()
    watch(pipeline(heard, policy).execute(() => 'ran', controller))
    await clock.settle()
    controller.abort('left')
    await clock.settle()
    expect(heard.errors).toEqual(['left'])
  })

  test('keys have limits of their own', async () => {
    const { run, started, clock } = bench({ initialLimit: 1 })
    run(null, 'a')
    run(null, 'b')
    await clock.settle()
    expect(started).toHaveLength(2)
  })

  test('a key that nobody uses is forgotten, with its limit, when there are too many', async () => {
    const { runWindow, policy } = bench({ maxKeys: 1, isOverload: () => true })
    expect(await runWindow((job) => job.resolve('busy'))).toBe(15)
    policy.places('other')
    expect(policy.places().limit).toBe(20)
  })

  test('timeouts of attempts shrink the limit', async () => {
    const clock = virtualClock()
    const policy = concurrencyLimit({ clock })
    const guarded = pipeline(policy, timeout({ attemptMs: 10, clock }))
    const { initialLimit } = DEFAULTS.concurrencyLimit
    for (let done = 0; done < initialLimit; done++) void watch(guarded.execute(() => new Promise(() => {})))
    await clock.advance(10)
    expect(policy.places()).toEqual({ running: 0, queued: 0, limit: initialLimit * 0.75 })
  })

  test('so does what the total timeout cuts off', async () => {
    const clock = virtualClock()
    const policy = concurrencyLimit({ clock })
    const guarded = pipeline(timeout({ totalMs: 10, clock }), policy)
    const untilAborted = ({ signal }: { signal: AbortSignal }): Promise<never> =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('cut off'))))
    const { initialLimit } = DEFAULTS.concurrencyLimit
    for (let done = 0; done < initialLimit; done++) void watch(guarded.execute(untilAborted))
    await clock.advance(10)
    expect(policy.places().limit).toBe(initialLimit * 0.75)
  })

  test.each<[string, (job: Deferred<unknown>) => void]>([
    ['local rejections', (job) => job.reject(new CircuitOpenError('key', 1))],
    ['other errors', (job) => job.reject(new Error('down'))],
    ['errors of misuse', (job) => job.reject(new HoldfastError('ERR_INVALID_OPTION', 'wrong'))],
    [
      'foreign errors with the code of a timeout',
      (job) => job.reject(Object.assign(new Error('theirs'), { code: 'ERR_ATTEMPT_TIMEOUT' })),
    ],
    ['successes', (job) => job.resolve('fine')],
  ])('%s do not shrink it', async (_, end) => {
    expect(await bench().runWindow(end)).toBe(DEFAULTS.concurrencyLimit.initialLimit)
  })

  test.each<[string, Policy | undefined, Error]>([
    ['errors', undefined, new Error('refused')],
    ['refusals on this side', undefined, new CircuitOpenError('key', 1)],
    ['lost races', race, new Error('lost')],
  ])('fast %s do not pass for fast answers', async (_, outside, error) => {
    const { clock, policy, guarded } = bench({ initialLimit: 20 })
    const ending = outside === undefined ? guarded : pipeline(outside, policy)
    for (let done = 0; done < 100; done++) await ending.execute(() => Promise.reject(error)).catch(() => {})
    for (let done = 0; done < 40; done++) {
      const works = Array.from({ length: 15 }, () => guarded.execute(() => delay(clock, 50, new Scope())))
      await clock.advance(50)
      await Promise.all(works)
    }
    expect(policy.places().limit).toBe(20)
  })

  test('a timeout that is no news of the service to the client does not shrink it', async () => {
    const { policy, clock } = bench()
    const untilAborted = ({ scope }: Context): Promise<never> =>
      new Promise((_, reject) => scope.add({ onAbort: () => reject(new Error('cut off')) }))
    const limited = timeout({ totalMs: 10, clock }).wrap(policy.wrap(untilAborted))
    const { initialLimit } = DEFAULTS.concurrencyLimit
    for (let done = 0; done < initialLimit; done++) {
      const execution = new Execution(undefined, { judge: () => 'nothing' })
      void watch(limited(new Context(execution, new Scope())))
    }
    await clock.advance(10)
    expect(policy.places()).toEqual({ running: 0, queued: 0, limit: initialLimit })
  })

  test('the caller’s abort says nothing of the load', async () => {
    const { run, started, clock, policy } = bench({ isOverload: () => true })
    for (let done = 0; done < 100; done++) {
      const controller = new AbortController()
      run(controller.signal)
      await clock.settle()
      controller.abort()
      started.at(-1)?.reject(new Error('aborted'))
      await clock.settle()
    }
    expect(policy.places()).toEqual({ running: 0, queued: 0, limit: 20 })
  })

  test('isOverload is never asked about what was rejected on this side', async () => {
    const { runWindow } = bench({ isOverload: () => true })
    expect(await runWindow((job) => job.reject(new CircuitOpenError('key', 1)))).toBe(20)
  })

  test('nor does the loser of a race', async () => {
    const { policy, clock } = bench({ isOverload: () => true })
    const raced = pipeline(race, policy)
    for (let done = 0; done < 100; done++) {
      void watch(raced.execute(() => delay(clock, 10, new Scope())))
      await clock.advance(10)
    }
    expect(policy.places()).toEqual({ running: 0, queued: 0, limit: 20 })
  })

  test.each([
    [true, 15],
    [false, 20],
    ['ignored', 20],
    [undefined, 20],
  ] as const)('isOverload decides: %s', async (verdict, expected) => {
    const { runWindow } = bench({ isOverload: () => verdict })
    expect(await runWindow((job) => job.resolve('busy'))).toBe(expected)
  })

  test('a rule that throws keeps no place', async () => {
    const { run, started, clock, policy } = bench({
      isOverload() {
        throw new Error('rule')
      },
    })
    const result = run()
    await clock.settle()
    started[0]?.resolve('done')
    await clock.settle()
    expect(String(result.error)).toBe('Error: rule')
    expect(policy.places().running).toBe(0)
  })

  test('may begin at its upper bound', () => {
    expect(() => concurrencyLimit({ initialLimit: 50, maxLimit: 50 })).not.toThrow()
  })

  test('shows what it is set to', () => {
    expect(pipeline(concurrencyLimit({ maxLimit: 50 })).describe()).toBe(
      'concurrency-limit  initialLimit 20 · minLimit 1 · maxLimit 50 · maxQueued 0 · tolerance 1.5',
    )
  })

  test.each([
    [{ minLimit: 0 }, 'concurrencyLimit.minLimit should be an integer >= 1, got 0'],
    [{ minLimit: 30 }, 'concurrencyLimit.initialLimit should be an integer >= 30, got 20'],
    [{ maxLimit: 10 }, 'concurrencyLimit.initialLimit should be <= maxLimit (10), got 20'],
    [{ minLimit: 3, maxLimit: 2 }, 'concurrencyLimit.maxLimit should be an integer >= 3, got 2'],
    [{ maxQueued: -1 }, 'concurrencyLimit.maxQueued should be an integer >= 0, got -1'],
    [{ tolerance: 0.9 }, 'concurrencyLimit.tolerance should be a number >= 1, got 0.9'],
    [{ isOverload: 5 }, 'concurrencyLimit.isOverload should be a function, got 5'],
    [{ key: 'a' }, 'concurrencyLimit.key should be a function, got "a"'],
    [{ maxKeys: 0 }, 'concurrencyLimit.maxKeys should be an integer >= 1, got 0'],
    [{ limit: 1 }, 'concurrencyLimit has no option "limit"'],
  ])('refuses %j', (options, message) => {
    expect(() => concurrencyLimit(options as ConcurrencyLimitOptions)).toThrow(message)
  })
})

describe('concurrencyLimit in front of a service that queues', () => {
  const SERVICE_MS = 50

  /** Workers that take one job after the other, each for about 50 ms, and a queue before them. */
  function simulation(workers: number) {
    const clock = virtualClock()
    const random = seededRandom(1)
    const service = new Semaphore(workers, Infinity)
    const policy = concurrencyLimit({ clock })
    const guarded = pipeline(policy)
    let served = 0
    const work = async (): Promise<void> => {
      await service.enter(new Scope(), () => new Error('the queue has no end'))
      await delay(clock, SERVICE_MS * (0.5 + random()), new Scope())
      service.leave()
      served++
    }
    /** So many calls a second for so long. @returns what was seen in the second half */
    const load = async (perSecond: number, forMs: number) => {
      const everyMs = 1000 / perSecond
      const endMs = clock.now() + forMs
      const limits: number[] = []
      let servedBefore = served
      for (let atMs = clock.now(); atMs < endMs; atMs += everyMs) {
        void watch(guarded.execute(work))
        await clock.advance(everyMs)
        if (atMs < endMs - forMs / 2) servedBefore = served
        else limits.push(policy.places().limit)
      }
      const mean = limits.reduce((sum, each) => sum + each, 0) / limits.length
      return { limit: mean, perSecond: ((served - servedBefore) * 2000) / forMs }
    }
    return { service, load, capacity: () => (service.limit * 1000) / SERVICE_MS }
  }

  test('the limit comes near the capacity, falls when that falls, and little of it is wasted', async () => {
    const { service, load, capacity } = simulation(20)
    const before = await load(2 * capacity(), 4000)
    expect(before.limit).toBeGreaterThan(20)
    expect(before.limit).toBeLessThan(40)
    expect(before.perSecond).toBeGreaterThan(0.9 * capacity())
    service.limit = 5
    const after = await load(4 * capacity(), 12_000)
    expect(after.limit).toBeGreaterThan(5)
    expect(after.limit).toBeLessThan(before.limit / 2)
    expect(after.perSecond).toBeGreaterThan(0.9 * capacity())
  })

  test('stays while the client has little to do', async () => {
    const { load, capacity } = simulation(20)
    expect((await load(0.2 * capacity(), 4000)).limit).toBe(DEFAULTS.concurrencyLimit.initialLimit)
  })
})
