import { describe, expect, test, vi } from 'vitest'
import { deferred, watch, type Deferred } from '../../../test/support/operations.ts'
import { delay } from '../../primitives/delay.ts'
import { BulkheadFullError } from '../../primitives/refusals.ts'
import type { HoldfastEvent } from '../../core/events.ts'
import { pipeline } from '../../core/pipeline.ts'
import type { AttemptBudget, Context, Policy } from '../../core/policy.ts'
import { Scope } from '../../primitives/signal.ts'
import { virtualClock, type VirtualClock } from '../../testing/virtual-clock.ts'
import { bulkhead } from '../bulkhead/bulkhead.ts'
import { circuitBreaker } from '../circuit-breaker/circuit-breaker.ts'
import { concurrencyLimit } from '../concurrency-limit/concurrency-limit.ts'
import { retry } from '../retry.ts'
import { timeout } from '../timeout.ts'
import { hedge, hedgeFrom, type HedgeOptions, type HedgeRules } from './hedge.ts'
import { HedgeStore } from './stats.ts'

/** An operation whose runs are ended by hand. */
function runs(): { readonly all: { context: Context; end: Deferred<string> }[]; operation: Operation } {
  const all: { context: Context; end: Deferred<string> }[] = []
  return {
    all,
    operation(context) {
      const end = deferred<string>()
      all.push({ context, end })
      return end.promise
    },
  }
}
type Operation = (context: Context) => Promise<string>

function bench(options: HedgeOptions<string> = {}) {
  const clock = virtualClock()
  const events: HoldfastEvent[] = []
  const discarded: string[] = []
  const policy = hedge<string>({
    delayMs: 100,
    maxExtra: 1,
    clock,
    onEvent: (event) => events.push(event),
    discard: (value) => discarded.push(value),
    ...options,
  })
  const started = runs()
  const execute = (...outside: Policy<string>[]) =>
    watch(pipeline(...outside, policy).execute(started.operation))
  return { clock, events, discarded, policy, runs: started.all, execute }
}

/** Executions that take so long, one after the other. */
async function settleEach(
  clock: VirtualClock,
  policy: Policy<string>,
  durationsMs: readonly number[],
): Promise<void> {
  for (const durationMs of durationsMs) {
    const end = deferred<string>()
    const work = pipeline(policy).execute(() => end.promise)
    await clock.advance(durationMs)
    end.resolve('done')
    await work
  }
}

/** After how long a second attempt is sent. */
async function delayOf(clock: VirtualClock, policy: Policy<string>): Promise<number | undefined> {
  const end = deferred<string>()
  const work = pipeline(policy).execute(() => end.promise)
  const [delayMs] = clock.pendingDelaysMs
  end.resolve('done')
  await work
  return delayMs
}

const repeated = (count: number, value: number): number[] => Array.from({ length: count }, () => value)

describe('a hedge', () => {
  test('sends a second attempt when the first takes longer than the delay, and tells so', async () => {
    const { clock, events, runs, execute } = bench()
    execute()
    await clock.advance(99)
    expect(runs).toHaveLength(1)
    await clock.advance(1)
    expect(runs.map(({ context }) => [context.attempt, context.isHedge])).toEqual([
      [1, false],
      [1, true],
    ])
    expect(events).toEqual([{ type: 'hedge', attempt: 1, delayMs: 100 }])
  })

  test('is not sent beside an attempt that is in time, and leaves no timer', async () => {
    const { clock, runs, execute } = bench()
    const result = execute()
    runs[0]?.end.resolve('quick')
    await clock.settle()
    expect(result.value).toBe('quick')
    expect(clock.pending).toBe(0)
    await clock.advance(1000)
    expect(runs).toHaveLength(1)
  })

  test('the second one wins: the first is aborted, and what still comes of it is discarded', async () => {
    const { clock, discarded, runs, execute } = bench()
    const result = execute()
    await clock.advance(100)
    const { signal } = runs[0]?.context ?? {}
    runs[1]?.end.resolve('second')
    await clock.settle()
    expect(result.value).toBe('second')
    expect(signal?.reason).toMatchObject({ name: 'AbortError', message: 'another attempt was first' })
    expect(runs[0]?.context.scope.abortedBy).toBe('race')
    runs[0]?.end.resolve('too late')
    await clock.settle()
    expect(discarded).toEqual(['too late'])
    expect(runs[1]?.context.scope.aborted).toBe(false)
  })

  test('the first one wins after all: the second is aborted', async () => {
    const { clock, discarded, runs, execute } = bench()
    const result = execute()
    await clock.advance(100)
    runs[0]?.end.resolve('first')
    await clock.settle()
    expect(result.value).toBe('first')
    expect(runs.map(({ context }) => context.scope.abortedBy)).toEqual([undefined, 'race'])
    runs[1]?.end.reject(new Error('aborted'))
    await clock.settle()
    expect(discarded).toEqual([])
  })

  test('a first one that fails before the delay is over is no reason for a second', async () => {
    const { clock, runs, execute } = bench()
    const result = execute()
    runs[0]?.end.reject(new Error('down'))
    await clock.settle()
    expect(result.error).toEqual(new Error('down'))
    expect(clock.pending).toBe(0)
  })

  test.each([
    [0, 1],
    [1, 0],
  ])('attempt %i fails: the other is waited for', async (failing, other) => {
    const { clock, runs, execute } = bench()
    const result = execute()
    await clock.advance(100)
    runs[failing]?.end.reject(new Error('down'))
    await clock.settle()
    expect(result.settled).toBe(false)
    runs[other]?.end.resolve('well')
    await clock.settle()
    expect(result.value).toBe('well')
  })

  test.each([
    [1, 0],
    [0, 1],
  ])('both fail, %i before %i: the newest failure is given, once', async (former, latter) => {
    const { clock, runs, execute } = bench()
    const result = execute()
    await clock.advance(100)
    runs[former]?.end.reject(new Error('one'))
    await clock.settle()
    runs[latter]?.end.reject(new Error('two'))
    await clock.settle()
    expect(result.error).toEqual(new Error('two'))
  })

  test('a result that is not good is kept while the other runs, and given when that fails, too', async () => {
    const { clock, discarded, runs, execute } = bench({
      isGood: (outcome) => outcome.ok && outcome.value !== 'busy',
    })
    const result = execute()
    await clock.advance(100)
    runs[0]?.end.resolve('busy')
    await clock.settle()
    expect([result.settled, discarded]).toEqual([false, []])
    runs[1]?.end.reject(new BulkheadFullError('k', 'full'))
    await clock.settle()
    expect(result.value).toBe('busy')
    expect(discarded).toEqual([])
  })

  test('a result that is not good is discarded when the other one wins', async () => {
    const { clock, discarded, runs, execute } = bench({
      isGood: (outcome) => outcome.ok && outcome.value !== 'busy',
    })
    execute()
    await clock.advance(100)
    runs[0]?.end.resolve('busy')
    runs[1]?.end.resolve('well')
    await clock.settle()
    expect(discarded).toEqual(['busy'])
  })

  test('the loser is aborted where nobody discards what it gave', async () => {
    const { clock, runs, execute } = bench({
      discard: undefined as never,
      isGood: (outcome) => outcome.ok && outcome.value !== 'busy',
    })
    execute()
    await clock.advance(100)
    runs[0]?.end.resolve('busy')
    runs[1]?.end.resolve('well')
    await clock.settle()
    expect(runs.map(({ context }) => context.scope.abortedBy)).toEqual(['race', undefined])
  })

  test('a first one that is refused on this side ends it, and gives nothing back', async () => {
    const refusal = new BulkheadFullError('k', 'full')
    const budget = new CountingBudget(5)
    const { clock, runs, execute } = bench()
    const result = execute(lending(budget))
    runs[0]?.end.reject(refusal)
    await clock.settle()
    expect([result.error, budget.tokens]).toEqual([refusal, 5])
  })

  test('a second one that is refused on this side ends nothing and costs nothing', async () => {
    const refusal = new BulkheadFullError('k', 'full')
    const budget = new CountingBudget(5)
    const { clock, runs, execute } = bench({ maxExtra: 0.001 })
    const result = execute(lending(budget))
    await clock.advance(100)
    runs[1]?.end.reject(refusal)
    await clock.settle()
    expect([result.settled, budget.tokens]).toEqual([false, 5])
    runs[0]?.end.resolve('first')
    await clock.settle()
    expect([result.value, budget.tokens]).toEqual(['first', 5])
    execute()
    await clock.advance(100)
    expect(runs).toHaveLength(4)
  })

  test('an abort by the caller ends both with its reason, and leaves no timer', async () => {
    const { clock, discarded, policy } = bench()
    const { all, operation } = runs()
    const controller = new AbortController()
    const result = watch(pipeline(policy).execute(operation, { signal: controller.signal }))
    await clock.advance(100)
    controller.abort('left')
    await clock.settle()
    expect(result.error).toBe('left')
    expect(all.map(({ context }) => context.scope.abortedBy)).toEqual(['caller', 'caller'])
    all[0]?.end.resolve('too late')
    all[1]?.end.reject(new Error('too late'))
    await clock.settle()
    expect(discarded).toEqual(['too late'])
  })

  test('an abort by the caller lets go what has ended while the other was waited for', async () => {
    const { clock, discarded, policy } = bench({ isGood: () => false })
    const { all, operation } = runs()
    const controller = new AbortController()
    const result = watch(pipeline(policy).execute(operation, { signal: controller.signal }))
    await clock.advance(100)
    all[1]?.end.resolve('busy')
    await clock.settle()
    expect([result.settled, discarded]).toEqual([false, []])
    controller.abort('left')
    await clock.settle()
    expect([result.error, discarded]).toEqual(['left', ['busy']])
  })

  test('an abort by the caller before the delay is over: no second attempt', async () => {
    const { clock, policy } = bench()
    const { all, operation } = runs()
    const controller = new AbortController()
    watch(pipeline(policy).execute(operation, { signal: controller.signal }))
    controller.abort('left')
    expect(clock.pending).toBe(0)
    await clock.advance(1000)
    expect(all).toHaveLength(1)
  })

  test('an abort by a listener of the event: no second attempt', async () => {
    const controller = new AbortController()
    const { clock, policy } = bench({ onEvent: () => controller.abort('left') })
    const { all, operation } = runs()
    const result = watch(pipeline(policy).execute(operation, { signal: controller.signal }))
    await clock.advance(100)
    expect(result.error).toBe('left')
    expect(all).toHaveLength(1)
  })

  test('an abort by a listener of the event costs nothing, and no hook is told of an attempt', async () => {
    const clock = virtualClock()
    const budget = new CountingBudget(1)
    const onHedge = vi.fn<() => void>()
    let controller = new AbortController()
    const onEvent = (): void => controller.abort('left')
    const store = new HedgeStore({ delayMs: 100, maxExtra: 0.001 }, 10)
    const rules = { clock, key: () => 'k', onEvent, onHedge }
    const policy = pipeline(lending(budget), hedgeFrom<string>(store, rules))
    const begin = () => watch(policy.execute(runs().operation, { signal: controller.signal }))
    const result = begin()
    await clock.advance(100)
    expect([result.error, budget.tokens, onHedge.mock.calls]).toEqual(['left', 1, []])
    controller = new AbortController()
    begin()
    await clock.advance(100)
    expect(controller.signal.aborted).toBe(true)
  })

  test('a timeout outside ends both as a timeout', async () => {
    const { clock, runs, execute } = bench()
    const result = execute(timeout({ totalMs: 150, clock }))
    await clock.advance(150)
    expect(result.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect(runs.map(({ context }) => context.scope.abortedBy)).toEqual(['timeout', 'timeout'])
  })

  test('no timer is set for a second attempt that would come after the deadline', async () => {
    const { clock, execute, runs } = bench()
    const result = execute(timeout({ totalMs: 100, clock }))
    expect(clock.pendingDelaysMs).toEqual([100])
    runs[0]?.end.resolve('first')
    await clock.settle()
    expect(result.value).toBe('first')
  })

  test.each([50, 60])('a timer that comes %i ms late, when no time is left, sends none', async (byMs) => {
    const clock = virtualClock()
    const late = { lateMs: 0 }
    const { execute, runs } = bench({
      clock: {
        ...clock,
        now: () => clock.now() + late.lateMs,
        schedule: (...wait) => clock.schedule(...wait),
      },
    })
    execute(timeout({ totalMs: 150, clock }))
    late.lateMs = byMs
    await clock.advance(100)
    expect(runs).toHaveLength(1)
  })

  test('nothing is begun for a caller who has left already', async () => {
    const { clock, policy } = bench()
    const work = pipeline(policy).execute(() => new Promise<never>(() => {}), {
      signal: AbortSignal.abort('left'),
    })
    await expect(work).rejects.toBe('left')
    expect(clock.pending).toBe(0)
  })

  test('inside retry: each attempt may be hedged, under its own number', async () => {
    const { clock, events, runs, execute } = bench()
    const result = execute(retry({ clock, random: () => 0.5, baseDelayMs: 10 }))
    await clock.advance(100)
    runs[0]?.end.reject(new Error('down'))
    runs[1]?.end.reject(new Error('down'))
    // The first attempt has failed, so nothing has been earned for a second hedge.
    await clock.advance(10)
    runs[2]?.end.resolve('well')
    await clock.settle()
    expect(result.value).toBe('well')
    expect(runs.map(({ context: { attempt, isHedge } }) => [attempt, isHedge])).toEqual([
      [1, false],
      [1, true],
      [2, false],
    ])
    expect(events).toHaveLength(1)
  })

  test('what is not hedgeable runs once and is no sample', async () => {
    const { clock, runs, execute } = bench({ isHedgeable: () => false })
    execute()
    expect(clock.pending).toBe(0)
    await clock.advance(1000)
    expect(runs).toHaveLength(1)
  })

  test('an operation that throws at once fails like any other', async () => {
    const { clock, policy } = bench()
    const broken: Policy<string> = {
      name: 'broken',
      wrap: () => () => {
        throw new Error('bug')
      },
    }
    await expect(pipeline(policy, broken).execute(() => 'x')).rejects.toThrow('bug')
    expect(clock.pending).toBe(0)
  })

  const bug = new Error('bug in a hook')
  const broken = (): never => {
    throw bug
  }
  test.each([
    ['isGood', { isGood: broken }],
    ['isHedgeable', { isHedgeable: broken }],
    ['key', { key: broken }],
  ])('what %s throws is thrown, and leaves no timer', async (_, options) => {
    const { clock, runs, execute } = bench(options)
    const result = execute()
    await clock.settle()
    runs[0]?.end.resolve('done')
    await clock.settle()
    expect(result.error).toBe(bug)
    expect(clock.pending).toBe(0)
  })

  test('a discard that throws holds up nothing', async () => {
    const { clock, runs, execute } = bench({ discard: broken, isGood: (o) => o.ok && o.value === 'well' })
    const result = execute()
    await clock.advance(100)
    runs[0]?.end.resolve('busy')
    runs[1]?.end.resolve('well')
    await clock.settle()
    expect(result.value).toBe('well')
  })

  test('a discard that throws at what came too late is not asked about the result', async () => {
    const asked: string[] = []
    const discard = (value: string): never => {
      asked.push(value)
      return broken()
    }
    const { clock, runs, execute } = bench({ discard })
    const result = execute()
    await clock.advance(100)
    runs[0]?.end.resolve('result')
    await clock.settle()
    runs[1]?.end.resolve('late')
    await clock.settle()
    expect([result.value, asked]).toEqual(['result', ['late']])
  })
})

describe('the rules of an embedding client', () => {
  function racing(rules: Partial<HedgeRules<string>>) {
    const clock = virtualClock()
    const key = (): string => 'k'
    const policy = hedgeFrom<string>(new HedgeStore({ delayMs: 100 }, 1), { clock, key, ...rules })
    const { all, operation } = runs()
    return { clock, runs: all, result: watch(pipeline(policy).execute(operation)) }
  }

  test('whether a second attempt can be sent is asked when the delay is over', async () => {
    let isReady = true
    const { clock, runs } = racing({ isReady: () => isReady })
    isReady = false
    await clock.advance(100)
    expect(runs).toHaveLength(1)
    const ready = racing({ isReady: () => true })
    await ready.clock.advance(100)
    expect(ready.runs).toHaveLength(2)
  })

  test('it is told before the second attempt is sent', async () => {
    const seen: number[] = []
    const racers = racing({ onHedge: () => seen.push(racers.runs.length) })
    await racers.clock.advance(100)
    expect([seen, racers.runs.length]).toEqual([[1], 2])
  })

  test.each(['isReady', 'onHedge'])('what %s throws ends the race, and the first attempt', async (hook) => {
    const bug = new Error('bug')
    const { clock, runs, result } = racing({
      [hook]: () => {
        throw bug
      },
    })
    await clock.advance(100)
    expect(result.error).toBe(bug)
    expect(runs.map(({ context }) => context.scope.abortedBy)).toEqual(['race'])
  })
})

describe('the delay of a hedge', () => {
  test('is delayMs until there are enough samples, then their percentile', async () => {
    const { clock, policy } = bench({ delayMs: 777 })
    await settleEach(clock, policy, [...repeated(18, 10), 50])
    expect(await delayOf(clock, policy)).toBe(777)
    // The 20 samples: 18 of 10 ms, one of 50, one of the 0 ms that asking took. 95 % are at most 10 ms.
    expect(await delayOf(clock, policy)).toBe(10)
  })

  test('goes by the percentile that is asked for', async () => {
    const { clock, policy } = bench({ delayMs: 777, percentile: 1, minimumSamples: 3 })
    await settleEach(clock, policy, [10, 50, 10])
    expect(await delayOf(clock, policy)).toBe(50)
  })

  test('keys have their own', async () => {
    const { clock, policy } = bench({ delayMs: 777, minimumSamples: 1 })
    await settleEach(clock, policy, [10])
    const other = pipeline(policy).execute(() => 'done', { key: 'other' })
    expect(clock.pendingDelaysMs).toEqual([777])
    await other
    expect(await delayOf(clock, policy)).toBe(10)
  })

  test('is forgotten with the key used longest ago', async () => {
    const { clock, policy } = bench({ delayMs: 777, minimumSamples: 1, maxKeys: 1 })
    await settleEach(clock, policy, [10])
    await pipeline(policy).execute(() => 'done', { key: 'other' })
    expect(await delayOf(clock, policy)).toBe(777)
  })

  test('what has waited at an open circuit is no sample', async () => {
    const { clock, policy } = bench({ minimumSamples: 1 })
    const breaker = circuitBreaker<string>({ clock, whenOpen: 'wait' })
    const circuit = breaker.circuits.get('default')
    circuit.isolate()
    const parked = pipeline(policy, breaker).execute(() => 'done')
    await clock.advance(50)
    circuit.reset()
    await parked
    expect(await delayOf(clock, policy)).toBe(100)
  })

  test('an attempt after one that has waited is a sample again', async () => {
    const { clock, policy } = bench({ minimumSamples: 1 })
    const breaker = circuitBreaker<string>({ clock, whenOpen: 'wait' })
    const circuit = breaker.circuits.get('default')
    circuit.isolate()
    const again = retry<string>({ maxRetries: 1, jitter: 'none', clock })
    const call = pipeline(again, policy, breaker).execute(async ({ attempt }) => {
      if (attempt === 1) throw new Error('down')
      await delay(clock, 70, new Scope())
      return 'done'
    })
    await clock.advance(50)
    circuit.reset()
    await clock.runAll()
    expect(await call).toBe('done')
    expect(await delayOf(clock, policy)).toBe(70)
  })

  test('failures are no samples', async () => {
    const { clock, policy } = bench({ delayMs: 777, minimumSamples: 1 })
    await expect(pipeline(policy).execute(() => Promise.reject(new Error('down')))).rejects.toThrow('down')
    expect(await delayOf(clock, policy)).toBe(777)
  })

  test('what the second attempt took is no sample, and the first counts as the delay it exceeded', async () => {
    const { clock, policy, execute, runs } = bench({ delayMs: 100, minimumSamples: 1, percentile: 1 })
    execute()
    await clock.advance(130)
    runs[1]?.end.resolve('second')
    await clock.settle()
    expect(await delayOf(clock, policy)).toBe(100)
  })

  test('a first attempt that failed is no sample where the second one wins', async () => {
    const { clock, policy, execute, runs } = bench({ delayMs: 100, minimumSamples: 1 })
    execute()
    await clock.advance(150)
    runs[0]?.end.reject(new Error('down'))
    runs[1]?.end.resolve('second')
    await clock.settle()
    await settleEach(clock, policy, [20])
    expect(await delayOf(clock, policy)).toBe(20)
  })

  test('a replica that hangs at one call in ten neither pushes the delay up nor lets it sink', async () => {
    const { clock, policy } = bench({ delayMs: 100, minimumSamples: 20, maxExtra: 1 })
    const call = async (index: number): Promise<void> => {
      const work = pipeline(policy).execute(({ isHedge, signal }) => {
        if (index % 10 !== 0 || isHedge)
          return new Promise<string>((end) => clock.schedule(() => end('x'), 20))
        return new Promise<string>((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason)),
        )
      })
      await clock.runAll()
      await work
    }
    for (let index = 0; index < 600; index++) await call(index)
    expect(await delayOf(clock, policy)).toBe(100)
  })
})

describe('the limit of a hedge', () => {
  /** One call after another, each slow enough to be hedged. @returns how many were. */
  async function hedged(calls: number, options: HedgeOptions<string>, ...outside: Policy<string>[]) {
    const { clock, execute, runs } = bench({ minimumSamples: 256, ...options })
    for (let call = 0; call < calls; call++) {
      const before = runs.length
      execute(...outside)
      await clock.advance(100)
      runs[before]?.end.resolve('done')
      await clock.settle()
    }
    return runs.length - calls
  }

  test('at most 5 % of 1000 executions are hedged', async () => {
    expect(await hedged(1000, { maxExtra: 0.05, minimumSamples: 256, percentile: 0.01 })).toBe(50)
  })

  test('twenty successes earn one, exactly', async () => {
    expect(await hedged(20, { maxExtra: 0.05 })).toBe(1)
    expect(await hedged(21, { maxExtra: 0.05 })).toBe(2)
  })

  test('sums of tenths do not fall short of one', async () => {
    expect(await hedged(11, { maxExtra: 0.1 })).toBe(2)
  })

  test('keys have their own', async () => {
    let call = 0
    expect(await hedged(4, { maxExtra: 0.05, key: () => `${call++ % 2}` })).toBe(2)
  })

  test('an unused share is saved up for ten hedges, not more', async () => {
    const { clock, policy } = bench({ maxExtra: 1, minimumSamples: 256 })
    await settleEach(clock, policy, repeated(50, 0))
    const { all, operation } = runs()
    for (let call = 0; call < 20; call++) watch(pipeline(policy).execute(operation))
    await clock.advance(100)
    expect(all).toHaveLength(20 + 10)
  })

  test('failures earn none', async () => {
    const { clock, execute, runs } = bench({ maxExtra: 1 })
    execute()
    await clock.advance(100)
    for (const { end } of runs) end.reject(new Error('down'))
    execute()
    await clock.advance(100)
    expect(runs).toHaveLength(3)
  })

  test('each is paid from the budget, and given back when the execution succeeds', async () => {
    const budget = new CountingBudget(1)
    const { clock, execute, runs } = bench()
    execute(lending(budget))
    await clock.advance(100)
    expect(budget.tokens).toBe(0)
    runs[1]?.end.resolve('second')
    await clock.settle()
    expect(budget.tokens).toBe(1)
  })

  test('what fails gives nothing back', async () => {
    const budget = new CountingBudget(1)
    const { clock, execute, runs } = bench()
    execute(lending(budget))
    await clock.advance(100)
    for (const { end } of runs) end.reject(new Error('down'))
    await clock.settle()
    expect(budget.tokens).toBe(0)
  })

  test('an empty budget: no hedge, and the limit is not touched', async () => {
    const { clock, execute, runs } = bench({ maxExtra: 0.001 })
    const result = execute(lending(new CountingBudget(0)))
    await clock.advance(100)
    runs[0]?.end.resolve('first')
    await clock.settle()
    expect([runs.length, result.value]).toEqual([1, 'first'])
    execute()
    await clock.advance(100)
    expect(runs).toHaveLength(3)
  })
})

class CountingBudget implements AttemptBudget {
  tokens: number

  constructor(tokens: number) {
    this.tokens = tokens
  }

  tryTake(): boolean {
    if (this.tokens === 0) return false
    this.tokens--
    return true
  }

  giveBack(): void {
    this.tokens++
  }

  succeeded(): void {}
}

const lending = (budget: AttemptBudget): Policy<string> => ({
  name: 'lend',
  wrap: (next) => (context) => next(context.paidFrom(budget)),
})

describe('a hedge that waits in line', () => {
  test.each([
    ['bulkhead', () => bulkhead({ maxConcurrent: 1, maxQueued: 1 })],
    ['concurrencyLimit', () => concurrencyLimit({ initialLimit: 1, maxLimit: 1, maxQueued: 1 })],
  ])('of a %s is not sent for the place of an attempt that has won', async (_, limiter) => {
    const { clock, policy, events } = bench()
    const { all, operation } = runs()
    const work = watch(pipeline<string>(policy, limiter()).execute(operation))
    await clock.advance(100)
    expect([events.length, all.length]).toEqual([1, 1])
    all[0]?.end.resolve('first')
    await clock.settle()
    expect(work.value).toBe('first')
    expect(all.length).toBe(1)
  })
})

describe('the options of a hedge', () => {
  test.each([
    [{ percentile: 0 }, 'hedge.percentile should be in (0, 1], got 0'],
    [{ percentile: 95 }, 'hedge.percentile should be in (0, 1], got 95'],
    [{ minimumSamples: 0 }, 'hedge.minimumSamples should be an integer >= 1, got 0'],
    [{ minimumSamples: 257 }, 'hedge.minimumSamples should be at most 256, got 257'],
    [{ delayMs: -1 }, 'hedge.delayMs should be a number >= 0, got -1'],
    [{ maxExtra: 5 }, 'hedge.maxExtra should be in (0, 1], got 5'],
    [{ maxKeys: 0 }, 'hedge.maxKeys should be an integer >= 1, got 0'],
    [{ isGood: true }, 'hedge.isGood should be a function, got true'],
    [{ after: 5 }, 'hedge has no option "after"'],
  ])('%j is refused', (options, message) => {
    expect(() => hedge(options as HedgeOptions)).toThrow(message)
  })

  test('are told by describe', () => {
    expect(pipeline(hedge()).describe()).toBe(
      'hedge  percentile 0.95 · minimumSamples 20 · delayMs 1000 · maxExtra 0.05',
    )
  })
})
