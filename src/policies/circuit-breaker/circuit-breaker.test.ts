import { describe, expect, test } from 'vitest'
import { deferred, watch } from '../../../test/support/operations.ts'
import { DEFAULTS } from '../../primitives/defaults.ts'
import { CircuitOpenError } from '../../primitives/errors.ts'
import { BulkheadFullError, RateLimitedError, ThrottledError } from '../../primitives/refusals.ts'
import { pipeline } from '../../core/pipeline.ts'
import type { Policy } from '../../core/policy.ts'
import { raceAbort } from '../../core/work.ts'
import { Scope } from '../../primitives/signal.ts'
import { virtualClock, type VirtualClock } from '../../testing/virtual-clock.ts'
import { retry } from '../retry.ts'
import { timeout } from '../timeout.ts'
import { bench, fail, succeed } from './breaker.test-support.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import type { CircuitBreakerOptions } from './guard.ts'

const hang = (): Promise<never> => new Promise(() => {})
/** Does what hedging does to an attempt that was not the first. */
const race: Policy = {
  name: 'race',
  wrap: (next) => (context) => {
    const scope = new Scope(context.scope)
    const result = raceAbort(scope, next(context.within(scope, Infinity)))
    scope.abort('lost', 'race')
    return result
  },
}
const delay = (clock: VirtualClock, ms: number): Promise<void> =>
  new Promise((resolve) => void clock.schedule(resolve, ms))

describe('circuitBreaker', () => {
  test('rejects at once with key and time while it is open, and does not call', async () => {
    const { guarded, open } = bench()
    await open()
    let calls = 0
    const error: unknown = await guarded.execute(async () => calls++).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(CircuitOpenError)
    expect(error).toMatchObject({ code: 'ERR_CIRCUIT_OPEN', key: 'default', retryAfterMs: 5000 })
    expect(String(error)).toBe('CircuitOpenError: circuit "default" is open, come again in 5000 ms')
    expect(calls).toBe(0)
  })

  test('an isolated circuit promises no test request: there is none until it is reset', async () => {
    const { guarded, breaker } = bench()
    breaker.circuits.get('default').isolate()
    await expect(guarded.execute(() => 'never')).rejects.toMatchObject({
      message: 'circuit "default" is open, come again in 5000 ms',
      retryAfterMs: 5000,
    })
  })

  test('of 50 concurrent calls to a half-open circuit exactly one gets through', async () => {
    const { guarded, open, clock } = bench()
    await open()
    await clock.advance(5000)
    const gate = deferred<string>()
    let calls = 0
    const results = Array.from({ length: 50 }, () =>
      watch(
        guarded.execute(() => {
          calls++
          return gate.promise
        }),
      ),
    )
    await clock.settle()
    expect(calls).toBe(1)
    gate.resolve('up')
    await clock.settle()
    expect(results.filter(({ value }) => value === 'up')).toHaveLength(1)
    expect(results.filter(({ error }) => error instanceof CircuitOpenError)).toHaveLength(49)
    expect(await guarded.execute(succeed)).toBe('up')
  })

  test("the caller's abort is no failure", async () => {
    const { guarded, circuit } = bench()
    for (let call = 0; call < 20; call++) {
      const controller = new AbortController()
      const result = guarded.execute(
        ({ signal }) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
        {
          signal: controller.signal,
        },
      )
      controller.abort()
      await result.catch(() => {})
    }
    expect(circuit.state).toBe('closed')
  })

  test('timeouts of attempts are failures', async () => {
    const { breaker, clock, circuit } = bench()
    const guarded = pipeline(breaker, timeout({ attemptMs: 10, clock }))
    for (let call = 0; call < 10; call++) {
      const result = watch(guarded.execute(() => new Promise(() => {})))
      await clock.advance(10)
      expect(result.error).toMatchObject({ code: 'ERR_ATTEMPT_TIMEOUT' })
    }
    expect(circuit.state).toBe('open')
  })

  test('a total timeout outside it is a failure too: a service that hangs must open the circuit', async () => {
    const { breaker, clock, circuit } = bench()
    const guarded = pipeline(timeout({ totalMs: 10, clock }), breaker)
    for (let call = 0; call < 10; call++) {
      const result = watch(
        guarded.execute(
          ({ signal }) =>
            new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
        ),
      )
      await clock.advance(10)
      expect(result.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    }
    expect(circuit.state).toBe('open')
  })

  test('an attempt that lost a race is no failure, and no test request either', async () => {
    const { breaker, circuit, clock } = bench({ minimumCalls: 1 })
    await pipeline(breaker)
      .execute(fail)
      .catch(() => {})
    await clock.advance(5000)
    const lost = watch(pipeline(race, breaker).execute(hang))
    await clock.settle()
    expect(lost.error).toBe('lost')
    expect(circuit.state).toBe('half-open')
    expect(await pipeline(breaker).execute(succeed)).toBe('up')
    expect(circuit.state).toBe('closed')
  })

  test.each([
    ['a full bulkhead', new BulkheadFullError('api', 'full')],
    ['a throttle', new ThrottledError('api', 'throttled')],
    ['a used-up quota', new RateLimitedError('api', 1000)],
    ['an open circuit of another breaker', new CircuitOpenError('other', 1000)],
  ])('what %s inside it refuses says nothing of the service', async (_, refusal) => {
    const { guarded, circuit, clock } = bench({ minimumCalls: 1 })
    const refuse = (): Promise<never> => Promise.reject(refusal)
    await expect(guarded.execute(refuse)).rejects.toBe(refusal)
    expect(circuit.state).toBe('closed')
    await guarded.execute(fail).catch(() => {})
    await clock.advance(5000)
    await guarded.execute(refuse).catch(() => {})
    expect(circuit.state).toBe('half-open')
    await guarded.execute(succeed)
    expect(circuit.state).toBe('closed')
  })

  test('of 50 concurrent calls halfOpenProbes get through', async () => {
    const { guarded, open, clock, circuit } = bench({ halfOpenProbes: 3 })
    await open()
    await clock.advance(5000)
    const gate = deferred<string>()
    const results = Array.from({ length: 50 }, () => watch(guarded.execute(() => gate.promise)))
    await clock.settle()
    expect(results.filter(({ settled }) => settled)).toHaveLength(47)
    gate.resolve('up')
    await clock.settle()
    expect(results.filter(({ value }) => value === 'up')).toHaveLength(3)
    expect(circuit.state).toBe('closed')
  })

  test('slow attempts open it, measured by its clock, and what it does not wait for is not measured', async () => {
    const slowCall = { durationMs: 1000, rate: 1 }
    const { breaker, clock, circuit } = bench({ slowCall, minimumCalls: 2 })
    const parked: Policy = {
      name: 'parked',
      wrap: (next) => async (context) => {
        await delay(clock, 5000)
        return next(context)
      },
    }
    const takes = (ms: number) => () => delay(clock, ms)
    for (let call = 0; call < 10; call++) {
      const result = watch(pipeline(parked, breaker).execute(takes(1000)))
      await clock.advance(6000)
      expect(result.settled).toBe(true)
    }
    expect(circuit.state).toBe('closed')
    await clock.advance(30_000)
    const slow = [
      watch(pipeline(breaker).execute(takes(1001))),
      watch(pipeline(breaker).execute(takes(1001))),
    ]
    await clock.advance(1001)
    expect(slow.every(({ settled }) => settled)).toBe(true)
    expect(circuit.state).toBe('open')
  })

  test('asks for the time once an attempt, and twice where its duration matters', async () => {
    const readsOf = async (options: CircuitBreakerOptions): Promise<number> => {
      const clock = virtualClock()
      let reads = 0
      const counting = { ...clock, now: () => (reads++, clock.now()) }
      const guarded = pipeline(circuitBreaker({ ...options, clock: counting }))
      await guarded.execute(succeed)
      return reads
    }
    expect(await readsOf({ consecutive: 3 })).toBe(1)
    expect(await readsOf({ slowCall: { durationMs: 1000, rate: 1 } })).toBe(2)
  })

  test('has no timer, whatever state its circuits are in', async () => {
    const { open, circuit, clock, guarded } = bench({ halfOpenProbes: 2 })
    await open()
    expect([circuit.state, clock.pending]).toEqual(['open', 0])
    await clock.advance(5000)
    await guarded.execute(succeed)
    expect([circuit.state, clock.pending]).toEqual(['half-open', 0])
    await guarded.execute(succeed)
    expect([circuit.state, clock.pending]).toEqual(['closed', 0])
  })

  test('isFailure judges results and errors', async () => {
    const { guarded, circuit } = bench({
      isFailure: (outcome) => (outcome.ok ? outcome.value === 'bad' : 'ignored'),
    })
    for (let call = 0; call < 20; call++) await guarded.execute(fail).catch(() => {})
    expect(circuit.state).toBe('closed')
    for (let call = 0; call < 10; call++) await guarded.execute(async () => 'bad')
    expect(circuit.state).toBe('open')
  })

  test('a rule that throws keeps no permit, and decides nothing', async () => {
    let isBroken = false
    const { guarded, open, clock, circuit } = bench({
      isFailure(outcome) {
        if (isBroken) throw new Error('bug')
        return !outcome.ok
      },
    })
    await open()
    await clock.advance(5000)
    isBroken = true
    await expect(guarded.execute(succeed)).rejects.toThrow('bug')
    expect(circuit.state).toBe('half-open')
    isBroken = false
    expect(await guarded.execute(succeed)).toBe('up')
    expect(circuit.state).toBe('closed')
  })

  test('an attempt counts by how it ended, though its caller has left meanwhile', async () => {
    const { guarded, circuit, clock } = bench()
    const controller = new AbortController()
    const end = deferred<string>()
    const result = watch(guarded.execute(() => end.promise, { signal: controller.signal }))
    await clock.settle()
    controller.abort()
    end.resolve('up')
    await clock.settle()
    expect(result.settled).toBe(true)
    expect(circuit.snapshot().buckets).toEqual([{ successes: 1, failures: 0, slow: 0 }])
  })

  test('a test request that a total timeout ends has failed', async () => {
    const { breaker, open, clock, circuit } = bench()
    await open()
    await clock.advance(5000)
    const guarded = pipeline(timeout({ totalMs: 10, clock }), breaker)
    const result = watch(
      guarded.execute(
        ({ signal }) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      ),
    )
    await clock.advance(10)
    expect(result.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect([circuit.state, circuit.snapshot().openForMs]).toEqual(['open', 10_000])
  })

  test('what comes of a test request after it was called off does not count elsewhere either', async () => {
    let elsewhere: string | undefined
    const { guarded, breaker, open, clock } = bench({ settledKey: () => elsewhere })
    await open()
    await clock.advance(5000)
    elsewhere = 'elsewhere'
    const controller = new AbortController()
    const end = deferred<string>()
    watch(guarded.execute(() => end.promise, { signal: controller.signal }))
    await clock.settle()
    controller.abort()
    end.resolve('up')
    await clock.settle()
    expect(breaker.circuits.get('elsewhere').snapshot().buckets).toEqual([])
  })

  test('each key has its own circuit', async () => {
    let key = 'a'
    const { guarded, breaker, open } = bench({ key: () => key })
    await open()
    key = 'b'
    expect(await guarded.execute(succeed)).toBe('up')
    expect([...breaker.circuits].map((circuit) => [circuit.key, circuit.state])).toEqual([
      ['default', 'closed'],
      ['a', 'open'],
      ['b', 'closed'],
    ])
  })

  test('the key that execute was given is that of the circuit', async () => {
    const { guarded, breaker } = bench({ minimumCalls: 1 })
    await guarded.execute(fail, { key: 'a' }).catch(() => {})
    expect(await guarded.execute(succeed, { key: 'b' })).toBe('up')
    expect(breaker.circuits.get('a').state).toBe('open')
  })

  test('says what it is set to', () => {
    const slowCall = { durationMs: 1000, rate: 0.5 }
    expect(circuitBreaker({ slowCall, openMs: 40_000, whenOpen: 'wait' }).settings).toEqual({
      ...DEFAULTS.circuitBreaker,
      slowCall,
      openMs: 40_000,
      maxOpenMs: 40_000,
      whenOpen: 'wait',
      leaseMs: 40_000,
    })
    expect(circuitBreaker({ leaseMs: 100 }).settings).toEqual({ ...DEFAULTS.circuitBreaker, leaseMs: 100 })
  })

  test('an outcome that belongs elsewhere counts there, and as a success here', async () => {
    const { guarded, breaker, circuit } = bench({ settledKey: () => 'elsewhere' })
    for (let call = 0; call < 10; call++) await guarded.execute(fail).catch(() => {})
    expect(circuit.state).toBe('closed')
    expect(breaker.circuits.get('elsewhere').state).toBe('open')
  })

  test('its duration counts there, too', async () => {
    const slowCall = { durationMs: 1000, rate: 1 }
    const { guarded, breaker, clock, circuit } = bench({ slowCall, settledKey: () => 'elsewhere' })
    const calls = Array.from({ length: 10 }, () => watch(guarded.execute(() => delay(clock, 1001))))
    await clock.advance(1001)
    expect(calls.every(({ settled }) => settled)).toBe(true)
    expect(circuit.state).toBe('closed')
    expect(breaker.circuits.get('elsewhere').state).toBe('open')
  })

  test('forgets closed, idle circuits beyond maxCircuits, and never an open one', async () => {
    let key = 'broken'
    const { guarded, breaker } = bench({ key: () => key, maxCircuits: 3 })
    for (let call = 0; call < 10; call++) await guarded.execute(fail).catch(() => {})
    for (key of ['a', 'b', 'c', 'd']) await guarded.execute(succeed)
    expect([...breaker.circuits].map((circuit) => circuit.key)).toEqual(['broken', 'c', 'd'])
    expect(breaker.circuits.size).toBe(3)
    expect(breaker.circuits.get('broken').state).toBe('open')
  })

  test('tells every change of state', async () => {
    const { guarded, open, events, clock } = bench()
    await open()
    await clock.advance(5000)
    await guarded.execute(succeed)
    expect(events.map(({ type }) => type)).toEqual(['circuit-open', 'circuit-half-open', 'circuit-close'])
  })

  test('may not stand outside retry', () => {
    expect(() => pipeline(circuitBreaker(), retry())).toThrow('circuit-breaker stands outside retry')
  })

  test('an open time above the default cap lifts the cap', () => {
    expect(() => circuitBreaker({ openMs: 60_000 })).not.toThrow()
  })

  test('rules that are off by default may be turned off', () => {
    expect(() => circuitBreaker({ consecutive: false, slowCall: false })).not.toThrow()
  })

  test.each([
    [{ failureRate: 50 }, 'circuitBreaker.failureRate should be in (0, 1], got 50'],
    [{ windowMs: 0 }, 'circuitBreaker.windowMs should be a number > 0, got 0'],
    [{ minimumCalls: 0 }, 'circuitBreaker.minimumCalls should be an integer >= 1, got 0'],
    [{ openMs: 10, maxOpenMs: 5 }, 'circuitBreaker.maxOpenMs should be >= openMs (10), got 5'],
    [{ consecutive: 0 }, 'circuitBreaker.consecutive should be an integer >= 1, got 0'],
    [{ consecutive: true as never }, 'circuitBreaker.consecutive should be an integer >= 1, got true'],
    [{ halfOpenProbes: 1.5 }, 'circuitBreaker.halfOpenProbes should be an integer >= 1, got 1.5'],
    [{ slowCall: 1000 as never }, 'circuitBreaker.slowCall should be an object, got 1000'],
    [
      { slowCall: { durationMs: 1000 } as never },
      'circuitBreaker.slowCall.rate should be in (0, 1], got undefined',
    ],
    [
      { slowCall: { durationMs: 1000, rate: 50 } },
      'circuitBreaker.slowCall.rate should be in (0, 1], got 50',
    ],
    [
      { slowCall: { durationMs: 0, rate: 1 } },
      'circuitBreaker.slowCall.durationMs should be a number > 0, got 0',
    ],
    [
      { slowCall: { durationMs: 1, rate: 1, ms: 1 } as never },
      'circuitBreaker.slowCall has no option "ms"; it has durationMs, rate',
    ],
    [{ whenOpen: 'park' as 'wait' }, 'circuitBreaker.whenOpen should be one of "reject", "wait", got "park"'],
    [{ key: 'a' as unknown as () => string }, 'circuitBreaker.key should be a function, got "a"'],
    [{ isFailure: true as never }, 'circuitBreaker.isFailure should be a function, got true'],
    [{ settledKey: 'b' as never }, 'circuitBreaker.settledKey should be a function, got "b"'],
    [{ random: 0.5 as never }, 'circuitBreaker.random should be a function, got 0.5'],
    [{ onEvent: {} as never }, 'circuitBreaker.onEvent should be a function'],
    [{ leaseMs: 0 }, 'circuitBreaker.leaseMs should be a number > 0, got 0'],
    [{ threshold: 5 } as never, 'circuitBreaker has no option "threshold"'],
  ])('refuses %j', (options, message) => {
    expect(() => circuitBreaker(options)).toThrow(message)
  })
})
