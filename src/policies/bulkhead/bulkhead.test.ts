import { describe, expect, test } from 'vitest'
import { Hearing } from '../../../test/support/hearing.ts'
import { deferred, watch, type Deferred } from '../../../test/support/operations.ts'
import { stoppedClock, type StoppedClock } from '../../../test/support/stopped-clock.ts'
import { BulkheadFullError } from '../../primitives/refusals.ts'
import { pipeline } from '../../core/pipeline.ts'
import { Context, Execution, type Policy } from '../../core/policy.ts'
import type { Clock } from '../../primitives/clock.ts'
import { isHoldfastError } from '../../primitives/errors.ts'
import { Scope } from '../../primitives/signal.ts'
import { concurrencyLimit } from '../concurrency-limit/concurrency-limit.ts'
import { virtualClock } from '../../testing/virtual-clock.ts'
import { bulkhead, type BulkheadOptions } from './bulkhead.ts'
import { retry } from '../retry.ts'
import { timeout } from '../timeout.ts'

const settle = (): Promise<void> => virtualClock().settle()

/** A bulkhead around work that ends when it is told to. */
function bench(options: BulkheadOptions) {
  const policy = bulkhead(options)
  const guarded = pipeline(policy)
  const started: Deferred<string>[] = []
  const run = (signal?: AbortSignal, key = 'default') => {
    const work = (): Promise<string> => {
      const job = deferred<string>()
      started.push(job)
      return job.promise
    }
    return watch(guarded.execute(work, { key, signal: signal ?? null }))
  }
  return { policy, run, started }
}

describe('bulkhead', () => {
  test('runs as many as it may, then queues, then refuses with the numbers', async () => {
    const { policy, run, started } = bench({ maxConcurrent: 2, maxQueued: 1 })
    const [, , third, fourth] = [run(), run(), run(), run()]
    await settle()
    expect(started).toHaveLength(2)
    expect(policy.places()).toEqual({ running: 2, queued: 1 })
    expect(third?.settled).toBe(false)
    expect(fourth?.error).toBeInstanceOf(BulkheadFullError)
    expect(fourth?.error).toMatchObject({
      name: 'BulkheadFullError',
      code: 'ERR_BULKHEAD_FULL',
      key: 'default',
    })
    expect(String(fourth?.error)).toBe(
      'BulkheadFullError: bulkhead "default" is full: 2 running (at most 2), 1 waiting (at most 1)',
    )
  })

  test('maxQueued: 0 refuses what finds no place, and lets in what comes after one is free', async () => {
    const { run, started } = bench({ maxConcurrent: 1, maxQueued: 0 })
    run()
    expect((run(), await settle(), started)).toHaveLength(1)
    started[0]?.resolve('done')
    await settle()
    run()
    await settle()
    expect(started).toHaveLength(2)
  })

  test.each(['resolve', 'reject'] as const)('a place is free when the work has settled: %s', async (end) => {
    const { policy, run, started } = bench({ maxConcurrent: 1 })
    const first = run()
    const second = run()
    await settle()
    started[0]?.[end]('end')
    await settle()
    expect(first.settled).toBe(true)
    expect(started).toHaveLength(2)
    started[1]?.resolve('second')
    await settle()
    expect(second.value).toBe('second')
    expect(policy.places()).toEqual({ running: 0, queued: 0 })
  })

  test('keys have places of their own; by default that of the execution is the key', async () => {
    const { policy, run, started } = bench({ maxConcurrent: 1, maxQueued: 0 })
    run(undefined, 'a')
    run(undefined, 'b')
    await settle()
    expect(started).toHaveLength(2)
    expect([policy.places('a').running, policy.places('b').running]).toEqual([1, 1])
    const own = bench({ maxConcurrent: 1, maxQueued: 0, key: () => 'all' })
    own.run(undefined, 'a')
    const refused = own.run(undefined, 'b')
    await settle()
    expect(refused.error).toMatchObject({ key: 'all' })
  })

  test('an abort in the queue rejects with its reason, frees the room, and never runs', async () => {
    const { policy, run, started } = bench({ maxConcurrent: 1, maxQueued: 1 })
    const controller = new AbortController()
    run()
    const waiting = run(controller.signal)
    await settle()
    controller.abort('left')
    await settle()
    expect(waiting.error).toBe('left')
    expect(policy.places()).toEqual({ running: 1, queued: 0 })
    started[0]?.resolve('done')
    await settle()
    expect(started).toHaveLength(1)
  })

  test('an abort in the queue is heard of by a policy of one’s own outside', async () => {
    const { policy, run } = bench({ maxConcurrent: 1 })
    run()
    const controller = new AbortController()
    const heard = new Hearing()
    watch(pipeline(heard, policy).execute(() => 'ran', controller))
    await settle()
    controller.abort('left')
    await settle()
    expect(heard.errors).toEqual(['left'])
  })

  test('an aborted execution never runs, also when a place is free', async () => {
    const { policy, run, started } = bench({ maxConcurrent: 1 })
    const result = run(AbortSignal.abort('left'))
    await settle()
    expect(result.error).toBe('left')
    expect(started).toEqual([])
    expect(policy.places()).toEqual({ running: 0, queued: 0 })
  })

  test('waiting costs no timer, and a total timeout ends it', async () => {
    const clock = virtualClock()
    const policy = bulkhead({ maxConcurrent: 1 })
    const guarded = pipeline(timeout({ totalMs: 100, clock }), policy)
    void watch(pipeline(policy).execute(() => new Promise(() => {})))
    const waiting = watch(guarded.execute(async () => 'ran'))
    await clock.settle()
    expect(clock.pending).toBe(1)
    await clock.advance(100)
    expect(waiting.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect(policy.places()).toEqual({ running: 1, queued: 0 })
  })

  test('abandoned work keeps its place until it ends; with a timeout inside, until that strikes', async () => {
    const { policy, run, started } = bench({ maxConcurrent: 1 })
    const controller = new AbortController()
    const abandoned = run(controller.signal)
    await settle()
    controller.abort('left')
    await settle()
    expect(abandoned.error).toBe('left')
    expect(policy.places().running).toBe(1)
    started[0]?.resolve('late')
    await settle()
    expect(policy.places().running).toBe(0)

    const clock = virtualClock()
    const cut = watch(
      pipeline(policy, timeout({ attemptMs: 100, clock })).execute(() => new Promise(() => {})),
    )
    await clock.advance(99)
    expect(policy.places().running).toBe(1)
    await clock.advance(1)
    expect(cut.error).toMatchObject({ code: 'ERR_ATTEMPT_TIMEOUT' })
    expect(policy.places().running).toBe(0)
  })

  test('inside retry a call that sleeps between attempts holds no place', async () => {
    const clock = virtualClock()
    const policy = bulkhead({ maxConcurrent: 1, maxQueued: 0 })
    const guarded = pipeline(retry({ clock, random: () => 0.5 }), policy)
    const failing = watch(guarded.execute(() => Promise.reject(new Error('down'))))
    await clock.settle()
    expect(policy.places().running).toBe(0)
    expect(await guarded.execute(async () => 'between')).toBe('between')
    await clock.runAll()
    expect(String(failing.error)).toBe('Error: down')
  })

  test('a refusal is never retried', async () => {
    const clock = virtualClock()
    const policy = bulkhead({ maxConcurrent: 1, maxQueued: 0 })
    const guarded = pipeline(retry({ clock }), policy)
    void watch(guarded.execute(() => new Promise(() => {})))
    const refused = watch(guarded.execute(async () => 'ran'))
    await clock.settle()
    expect(refused.error).toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
    expect(clock.pending).toBe(0)
  })

  test('only keys that nobody uses are forgotten', async () => {
    const { policy, run } = bench({ maxConcurrent: 1, maxKeys: 1 })
    run(undefined, 'busy')
    run(undefined, 'other')
    await settle()
    expect(policy.places('busy').running).toBe(1)
  })

  test('shows what it is set to', () => {
    expect(pipeline(bulkhead({ maxConcurrent: 3 })).describe()).toBe(
      'bulkhead  maxConcurrent 3 · maxQueued 100',
    )
  })

  test('a key that throws takes no place', async () => {
    const { policy, run, started } = bench({
      key: () => {
        throw new Error('no key')
      },
    })
    const result = run()
    await settle()
    expect(String(result.error)).toBe('Error: no key')
    expect(started).toEqual([])
    expect(policy.places()).toEqual({ running: 0, queued: 0 })
  })

  test.each([
    [{ maxConcurrent: 0 }, 'bulkhead.maxConcurrent should be an integer >= 1, got 0'],
    [{ maxConcurrent: Infinity }, 'bulkhead.maxConcurrent should be an integer >= 1, got Infinity'],
    [{ maxQueued: -1 }, 'bulkhead.maxQueued should be an integer >= 0, got -1'],
    [{ maxKeys: 0 }, 'bulkhead.maxKeys should be an integer >= 1, got 0'],
    [{ key: 'a' }, 'bulkhead.key should be a function, got "a"'],
    [{ limit: 1 }, 'bulkhead has no option "limit"'],
  ])('refuses %j', (options, message) => {
    expect(() => bulkhead(options as BulkheadOptions)).toThrow(message)
  })
})

describe('in a process that was stopped for longer than a call may take', () => {
  const guarded = (clock: StoppedClock, policy: Policy) =>
    pipeline(timeout({ totalMs: 1500, clock }), policy, timeout({ attemptMs: 1000, clock }))

  test.each([
    ['bulkhead', (clock: Clock) => bulkhead({ maxConcurrent: 1, clock })],
    [
      'concurrencyLimit',
      (clock: Clock) => concurrencyLimit({ initialLimit: 1, maxLimit: 1, maxQueued: 10, clock }),
    ],
  ])('nothing that has waited in line is begun: %s', async (_, make) => {
    const clock = stoppedClock()
    const policies = guarded(clock, make(clock))
    let begun = 0
    const results = [1, 2, 3].map(() => watch(policies.execute(() => new Promise(() => begun++))))
    await clock.advance(0)
    await clock.stop(3000)
    await clock.advance(1)
    expect(results.map(({ error }) => isHoldfastError(error) && error.code)).toEqual([
      'ERR_ATTEMPT_TIMEOUT',
      'ERR_TOTAL_TIMEOUT',
      'ERR_TOTAL_TIMEOUT',
    ])
    expect(begun).toBe(1)
  })

  test('what nothing ends goes on, though its time is over', async () => {
    const clock = stoppedClock()
    const places = bulkhead({ maxConcurrent: 1, clock })
    const job = deferred<string>()
    void pipeline(places).execute(() => job.promise)
    const work = places.wrap(async () => 'done')
    const result = watch(work(new Context(new Execution(undefined), new Scope(), 1000)))
    await clock.stop(3000)
    job.resolve('first')
    await clock.advance(1)
    expect(result.value).toBe('done')
    expect(places.places()).toEqual({ running: 0, queued: 0 })
  })
})
